//! `/webhooks/{id}`: changing one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedWebhookJson, TestedWebhookJson, WebhookJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::extract::{
    Body, Id, IdPath, Operator, ProjectQuery, Query, RequestIdBody, json, positive, request_id,
};
use super::webhook;
use crate::api::Api;
use crate::error::ApiError;

/// What is changed; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateWebhookBody {
    /// Empty: none.
    name: Option<String>,
    url: Option<String>,
    /// run.status_changed, probe.health_changed; empty: all.
    events: Option<Vec<String>>,
    /// Only events about this test, by id or name; empty: about all.
    test: Option<String>,
    request_id: Option<String>,
}

/// What is sent again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayBody {
    /// Which event; left out: all dead letters.
    #[schema(minimum = 1)]
    seq: Option<u64>,
    request_id: Option<String>,
}

/// Changes what the body names.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = UpdateWebhookBody,
    responses((status = 200, description = "The webhook.", body = WebhookJson)))]
pub async fn update(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<WebhookJson>, ApiError> {
    let body: UpdateWebhookBody = json(&body)?;
    let request = v1::UpdateWebhookRequest {
        id,
        name: body.name,
        url: body.url,
        set_events: body.events.is_some(),
        events: body.events.unwrap_or_default(),
        test: body.test,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.update_webhook(request, &call).await?;
    Ok(Json(webhook(response.webhook)))
}

/// Forgets a webhook, and drops what is on its way to it.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks", params(IdPath, ProjectQuery),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteWebhookRequest {
        id,
        request_id: request_id(&headers, None)?,
        project: query.project,
    };
    api.delete_webhook(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new secret, shown this once; messages are signed with the old one too for 24 hours.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = RequestIdBody,
    responses((status = 200, description = "The webhook and its secret.", body = CreatedWebhookJson)))]
pub async fn rotate_secret(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<CreatedWebhookJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::RotateWebhookSecretRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.rotate_webhook_secret(request, &call).await?;
    Ok(Json(CreatedWebhookJson {
        webhook: webhook(response.webhook),
        secret: response.secret,
    }))
}

/// Events wait until the webhook is resumed.
#[utoipa::path(post, path = "/webhooks/{id}/pause", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = RequestIdBody,
    responses((status = 200, description = "The webhook.", body = WebhookJson)))]
pub async fn pause(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<WebhookJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::PauseWebhookRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.pause_webhook(request, &call).await?;
    Ok(Json(webhook(response.webhook)))
}

/// Takes up a webhook that was paused, or whose receiver was gone.
#[utoipa::path(post, path = "/webhooks/{id}/resume", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = RequestIdBody,
    responses((status = 200, description = "The webhook.", body = WebhookJson)))]
pub async fn resume(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<WebhookJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::ResumeWebhookRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.resume_webhook(request, &call).await?;
    Ok(Json(webhook(response.webhook)))
}

/// Sends dead letters again: one event, or all that are dead.
#[utoipa::path(post, path = "/webhooks/{id}/replay", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = ReplayBody,
    responses((status = 200, description = "The webhook.", body = WebhookJson)))]
pub async fn replay(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<WebhookJson>, ApiError> {
    let body: ReplayBody = json(&body)?;
    let request = v1::ReplayDeliveryRequest {
        id,
        seq: positive("seq", body.seq)?,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.replay_delivery(request, &call).await?;
    Ok(Json(webhook(response.webhook)))
}

/// Sends an event of the type webhook.test, whatever the webhook chose.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "webhooks", params(IdPath, ProjectQuery),
    request_body = RequestIdBody,
    responses((status = 200, description = "The webhook and the id of the message.", body = TestedWebhookJson)))]
pub async fn test(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<TestedWebhookJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::TestWebhookRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.test_webhook(request, &call).await?;
    Ok(Json(TestedWebhookJson {
        webhook: webhook(response.webhook),
        message_id: response.message_id,
    }))
}
