//! Webhooks and what is on its way to them on the wire.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::record::{Delivery, DeliveryStatus, EventFacts, Webhook, WebhookStatus};

use super::time;
use crate::webhooks::body::message_id;

/// To the wire, with what the state knows of its events; never the secret.
pub fn webhook(state: &State, webhook: &Webhook) -> v1::Webhook {
    let counts = state.delivery_counts(webhook.id);
    v1::Webhook {
        id: webhook.id.to_string(),
        name: webhook.name.clone(),
        project: webhook.project.to_string(),
        url: webhook.url.clone(),
        events: webhook.events.iter().map(|kind| kind.name().to_owned()).collect(),
        test_id: webhook.test.map(|id| id.to_string()).unwrap_or_default(),
        status: status(webhook.status).into(),
        status_since: Some(time::timestamp(webhook.status_since)),
        previous_secret_until: webhook
            .previous
            .as_ref()
            .map(|previous| time::timestamp(previous.until)),
        pending: counts.pending,
        dead: counts.dead,
        delivered: webhook.delivered,
        overflowed: webhook.overflowed,
        forgotten: webhook.forgotten,
        created_at: Some(time::timestamp(webhook.created_at)),
        revision: webhook.revision.0,
    }
}

const fn status(status: WebhookStatus) -> v1::WebhookStatus {
    match status {
        WebhookStatus::Active => v1::WebhookStatus::Active,
        WebhookStatus::Paused => v1::WebhookStatus::Paused,
        WebhookStatus::Gone => v1::WebhookStatus::Gone,
    }
}

/// To the wire.
pub fn delivery(delivery: &Delivery) -> v1::Delivery {
    let event = &delivery.event;
    let (object_id, from, to) = match &event.facts {
        EventFacts::Run(facts) => (
            facts.run.to_string(),
            facts
                .from
                .map(|status| status.name().to_owned())
                .unwrap_or_default(),
            facts.to.name().to_owned(),
        ),
        EventFacts::Probe(facts) => (
            facts.probe.to_string(),
            facts.from.name().to_owned(),
            facts.to.name().to_owned(),
        ),
        EventFacts::Test => Default::default(),
    };
    let last = delivery.last.as_ref();
    v1::Delivery {
        webhook_id: delivery.key.webhook.to_string(),
        seq: delivery.key.seq,
        message_id: message_id(delivery.key),
        r#type: event.kind().name().to_owned(),
        object_id,
        sequence: event.sequence,
        from,
        to,
        at: Some(time::timestamp(event.at)),
        status: delivery_status(delivery.status).into(),
        attempts: delivery.attempts,
        next_attempt_at: (delivery.status == DeliveryStatus::Pending)
            .then(|| time::timestamp(delivery.next_attempt_at)),
        first_failed_at: delivery.first_failed_at.map(time::timestamp),
        last_attempt_at: last.map(|last| time::timestamp(last.at)),
        last_http_status: last.and_then(|last| last.http_status).map_or(0, u32::from),
        last_error: last.map(|last| last.error.clone()).unwrap_or_default(),
        revision: delivery.revision.0,
    }
}

const fn delivery_status(status: DeliveryStatus) -> v1::DeliveryStatus {
    match status {
        DeliveryStatus::Pending => v1::DeliveryStatus::Pending,
        DeliveryStatus::Dead => v1::DeliveryStatus::Dead,
        DeliveryStatus::Delivered => v1::DeliveryStatus::Delivered,
    }
}

/// From the wire; `None`: no filter, or a number that this version does not know.
pub fn delivery_status_from(number: i32) -> Option<DeliveryStatus> {
    match v1::DeliveryStatus::try_from(number) {
        Ok(v1::DeliveryStatus::Pending) => Some(DeliveryStatus::Pending),
        Ok(v1::DeliveryStatus::Dead) => Some(DeliveryStatus::Dead),
        Ok(v1::DeliveryStatus::Delivered) => Some(DeliveryStatus::Delivered),
        Ok(v1::DeliveryStatus::Unspecified) | Err(_) => None,
    }
}
