//! Webhooks and what is on its way to them as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::v1;

/// A webhook (R214); never its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WebhookJson {
    /// UUID v7.
    pub id: String,
    /// Unique within its project where it is not empty.
    pub name: String,
    /// Whose events it is told.
    pub project: String,
    /// Where they are posted to.
    pub url: String,
    /// Only these: run.status_changed, probe.health_changed; empty: all.
    pub events: Vec<String>,
    /// Only events about this test; absent: about all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_id: String,
    /// ACTIVE, PAUSED, or GONE: the receiver answered 410.
    pub status: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_since: Option<String>,
    /// Messages are signed with the secret before the current one too until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<String>,
    /// Events on their way.
    pub pending: u32,
    /// Dead letters.
    pub dead: u32,
    /// Events that arrived, ever.
    pub delivered: u64,
    /// Events that were not kept because too many were on their way, ever.
    pub overflowed: u64,
    /// Dead letters that were forgotten for newer ones, ever.
    pub forgotten: u64,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// The answer to a creation or a rotation: the only places where a webhook's secret appears.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedWebhookJson {
    /// The webhook.
    pub webhook: WebhookJson,
    /// Shown this once; absent when the request is a repetition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
}

impl std::fmt::Debug for CreatedWebhookJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedWebhookJson")
            .field("webhook", &self.webhook)
            .finish_non_exhaustive()
    }
}

/// The answer to a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TestedWebhookJson {
    /// The webhook.
    pub webhook: WebhookJson,
    /// The header webhook-id of the message.
    pub message_id: String,
}

/// An event on its way to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeliveryJson {
    /// The webhook.
    pub webhook_id: String,
    /// Counts the webhook's events, from 1.
    pub seq: u64,
    /// The header webhook-id, the same for every attempt.
    pub message_id: String,
    /// run.status_changed, probe.health_changed or webhook.test.
    #[serde(rename = "type")]
    pub kind: String,
    /// The run or the probe; absent for a test.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object_id: String,
    /// Counts the events of that object, from 1.
    pub sequence: u64,
    /// The status before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The status after.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// When it happened, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// PENDING, DEAD or DELIVERED.
    pub status: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// When an attempt failed for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_at: Option<String>,
    /// When the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<String>,
    /// What the receiver answered last; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_http_status: Option<u32>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// Revision of the last change (D28).
    pub revision: u64,
}

impl From<&v1::Webhook> for WebhookJson {
    fn from(webhook: &v1::Webhook) -> Self {
        Self {
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            project: webhook.project.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            test_id: webhook.test_id.clone(),
            status: name_of::<v1::WebhookStatus>(webhook.status).to_owned(),
            status_since: time(&webhook.status_since),
            previous_secret_until: time(&webhook.previous_secret_until),
            pending: webhook.pending,
            dead: webhook.dead,
            delivered: webhook.delivered,
            overflowed: webhook.overflowed,
            forgotten: webhook.forgotten,
            created_at: time(&webhook.created_at),
            revision: webhook.revision,
        }
    }
}

impl From<&v1::Delivery> for DeliveryJson {
    fn from(delivery: &v1::Delivery) -> Self {
        Self {
            webhook_id: delivery.webhook_id.clone(),
            seq: delivery.seq,
            message_id: delivery.message_id.clone(),
            kind: delivery.r#type.clone(),
            object_id: delivery.object_id.clone(),
            sequence: delivery.sequence,
            from: delivery.from.clone(),
            to: delivery.to.clone(),
            at: time(&delivery.at),
            status: name_of::<v1::DeliveryStatus>(delivery.status).to_owned(),
            attempts: delivery.attempts,
            next_attempt_at: time(&delivery.next_attempt_at),
            first_failed_at: time(&delivery.first_failed_at),
            last_attempt_at: time(&delivery.last_attempt_at),
            last_http_status: (delivery.last_http_status > 0).then_some(delivery.last_http_status),
            last_error: delivery.last_error.clone(),
            revision: delivery.revision,
        }
    }
}
