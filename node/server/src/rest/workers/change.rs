//! `/workers/{uuid}/drain` and what else changes workers.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use reeve_proto::json::{CleanedJson, CreatedWorkerJson, DrainedWorkerJson, WorkerJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::with_token;
use crate::api::{Api, Call};
use crate::error::ApiError;
use crate::rest::extract::{
    Body, Id, Operator, Query, RequestIdBody, WorkerPath, json, named, positive, request_id,
};

/// A drain that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainBody {
    /// For people.
    #[serde(default)]
    reason: String,
    /// How long endpoints may go on, seconds; left out: as the node is set, an hour by default.
    #[schema(minimum = 1)]
    deadline_s: Option<u64>,
    /// Endpoints are told to hang up at once.
    #[serde(default)]
    force: bool,
    /// DISCONNECT, the default, or RESUME; in any case.
    then: Option<String>,
    /// The platform's own, for maintenance (R32).
    #[serde(default)]
    maintenance: bool,
    /// Says what it would mean and changes nothing.
    #[serde(default)]
    dry_run: bool,
    request_id: Option<String>,
}

/// A new token that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenBody {
    /// It is refused so many seconds from now on; left out: never.
    #[schema(minimum = 1)]
    token_ttl_s: Option<u64>,
    request_id: Option<String>,
}

/// Which workers a cleanup is about.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanupBody {
    /// Session workers too, which are never deleted by themselves.
    #[serde(default)]
    include_session_workers: bool,
}

/// How a worker is deleted.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Although it holds endpoints.
    force: Option<bool>,
}

/// Gives a worker no new work and lets what it has finish; or says what that would mean.
#[utoipa::path(post, path = "/workers/{uuid}/drain", tag = "workers", params(WorkerPath), request_body = DrainBody,
    responses((status = 200, description = "The worker with its drain.", body = DrainedWorkerJson)))]
pub async fn drain(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<DrainedWorkerJson>, ApiError> {
    let body: DrainBody = json(&body)?;
    let request = v1::DrainWorkerRequest {
        id,
        reason: body.reason,
        deadline_s: positive("deadlineS", body.deadline_s)?,
        force: body.force,
        then: named::<v1::AfterDrain>("then", body.then.as_deref())?,
        maintenance: body.maintenance,
        dry_run: body.dry_run,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.drain_worker(request, &call).await?;
    Ok(Json(DrainedWorkerJson::from(&response)))
}

/// Takes a drain back.
#[utoipa::path(post, path = "/workers/{uuid}/undrain", tag = "workers", params(WorkerPath),
    request_body = RequestIdBody,
    responses((status = 200, description = "The worker.", body = WorkerJson)))]
pub async fn undrain(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<WorkerJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::UndrainWorkerRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.undrain_worker(request, &call).await?;
    Ok(Json(WorkerJson::from(&response.worker.unwrap_or_default())))
}

/// Gives a worker a new token, shown this once; the old one is refused from now on.
#[utoipa::path(post, path = "/workers/{uuid}/token", tag = "workers", params(WorkerPath), request_body = TokenBody,
    responses((status = 200, description = "The worker and its new token.", body = CreatedWorkerJson)))]
pub async fn token(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<CreatedWorkerJson>, ApiError> {
    let body: TokenBody = json(&body)?;
    let request = v1::RegenerateTokenRequest {
        id,
        token_ttl_s: positive("tokenTtlS", body.token_ttl_s)?,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.regenerate_token(request, &call).await?;
    Ok(Json(with_token(response.worker, response.token)))
}

/// Leaves a tombstone.
#[utoipa::path(delete, path = "/workers/{uuid}", tag = "workers", params(WorkerPath, DeleteQuery),
    responses((status = 200, description = "The tombstone.", body = WorkerJson)))]
pub async fn delete(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<DeleteQuery>,
) -> Result<Json<WorkerJson>, ApiError> {
    let request = v1::DeleteWorkerRequest {
        id,
        force: query.force.unwrap_or(false),
        request_id: request_id(&headers, None)?,
    };
    let response = api.delete_worker(request, &call).await?;
    Ok(Json(WorkerJson::from(&response.worker.unwrap_or_default())))
}

/// Deletes workers that have been OFFLINE for so long that they would be deleted anyway (24 h by default).
#[utoipa::path(post, path = "/workers/cleanup", tag = "workers", request_body = CleanupBody,
    responses((status = 200, description = "What was deleted.", body = CleanedJson)))]
pub async fn cleanup(
    State(api): State<Api>,
    Operator(call): Operator,
    Body(body): Body,
) -> Result<Json<CleanedJson>, ApiError> {
    clean(&api, &call, &body, false).await
}

/// Deletes workers that are OFFLINE.
#[utoipa::path(post, path = "/workers/cleanup-offline", tag = "workers", request_body = CleanupBody,
    responses((status = 200, description = "What was deleted.", body = CleanedJson)))]
pub async fn cleanup_offline(
    State(api): State<Api>,
    Operator(call): Operator,
    Body(body): Body,
) -> Result<Json<CleanedJson>, ApiError> {
    clean(&api, &call, &body, true).await
}

async fn clean(
    api: &Api,
    call: &Call,
    body: &bytes::Bytes,
    all_offline: bool,
) -> Result<Json<CleanedJson>, ApiError> {
    let body: CleanupBody = json(body)?;
    let request = v1::CleanupWorkersRequest {
        all_offline,
        include_session_workers: body.include_session_workers,
    };
    let deleted = api.cleanup_workers(request, call).await?.deleted;
    Ok(Json(CleanedJson { deleted }))
}
