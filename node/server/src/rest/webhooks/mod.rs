//! `/webhooks`: making one, and looking.

pub mod change;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedWebhookJson, DeliveryJson, ListJson, WebhookJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Id, IdPath, Operator, Query, Reader, consistency, json, named, request_id};
use crate::api::Api;
use crate::error::ApiError;

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateWebhookBody {
    /// Unique within its project; left out: none.
    #[serde(default)]
    name: String,
    /// https://…
    #[serde(default)]
    url: String,
    /// run.status_changed, probe.health_changed; left out: all.
    #[serde(default)]
    events: Vec<String>,
    /// Only events about this test, by id or name.
    #[serde(default)]
    test: String,
    /// Left out: the project of the caller's key.
    #[serde(default)]
    project: String,
    request_id: Option<String>,
}

/// Which webhooks, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListWebhooksQuery {
    /// Only of this project; left out: all that the caller's key may see.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    #[serde(default)]
    #[param(required = false)]
    page_size: u32,
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Which webhook is meant.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WebhookQuery {
    /// Where a name is looked for; left out: the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Which events of a webhook, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListDeliveriesQuery {
    /// Only of this status: PENDING, DEAD or DELIVERED.
    status: Option<String>,
    /// Where a name is looked for; left out: the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    #[serde(default)]
    #[param(required = false)]
    page_size: u32,
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// A new webhook, and its secret, shown this once.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = CreateWebhookBody,
    responses((status = 201, description = "The webhook and its secret.", body = CreatedWebhookJson)))]
pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedWebhookJson>), ApiError> {
    let body: CreateWebhookBody = json(&body)?;
    let request = v1::CreateWebhookRequest {
        name: body.name,
        url: body.url,
        events: body.events,
        test: body.test,
        project: body.project,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.create_webhook(request, &call).await?;
    let created = CreatedWebhookJson {
        webhook: webhook(response.webhook),
        secret: response.secret,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Webhooks, oldest first.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(ListWebhooksQuery),
    responses((status = 200, description = "A page of webhooks.", body = ListJson<WebhookJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListWebhooksQuery>,
) -> Result<Json<ListJson<WebhookJson>>, ApiError> {
    let request = v1::ListWebhooksRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        project: query.project,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_webhooks(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.webhooks,
        &response.next_page_token,
        response.revision,
    )))
}

/// One webhook, by id or name.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "webhooks", params(IdPath, WebhookQuery),
    responses((status = 200, description = "The webhook.", body = WebhookJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<WebhookQuery>,
) -> Result<Json<WebhookJson>, ApiError> {
    let request = v1::GetWebhookRequest {
        id,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.get_webhook(request, &call).await?;
    Ok(Json(webhook(response.webhook)))
}

/// What is on its way to a webhook, given up, or has arrived, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks", params(IdPath, ListDeliveriesQuery),
    responses((status = 200, description = "A page of events.", body = ListJson<DeliveryJson>)))]
pub async fn deliveries(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ListDeliveriesQuery>,
) -> Result<Json<ListJson<DeliveryJson>>, ApiError> {
    let request = v1::ListDeliveriesRequest {
        id,
        status: named::<v1::DeliveryStatus>("status", query.status.as_deref())?,
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_deliveries(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.deliveries,
        &response.next_page_token,
        response.revision,
    )))
}

fn webhook(webhook: Option<v1::Webhook>) -> WebhookJson {
    WebhookJson::from(&webhook.unwrap_or_default())
}
