//! `/workers`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedWorkerJson, ListJson, WorkerJson};
use reeve_proto::v1;
use serde::Deserialize;

use super::extract::{Body, Id, Operator, Query, ReadQuery, Reader, consistency, json, named, request_id};
use crate::api::Api;
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateBody {
    #[serde(default)]
    name: String,
    #[serde(default)]
    region: String,
    kind: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    capacity: Option<u32>,
    request_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    page_size: u32,
    #[serde(default)]
    page_token: String,
    consistency: Option<String>,
}

pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedWorkerJson>), ApiError> {
    let body: CreateBody = json(&body)?;
    if body.capacity == Some(0) {
        return Err(ApiError::invalid(
            "capacity",
            "must be at least 1, or be left out",
        ));
    }
    let request = v1::CreateWorkerRequest {
        name: body.name,
        region: body.region,
        kind: named::<v1::WorkerKind>("kind", body.kind.as_deref())?,
        labels: body.labels,
        capacity: body.capacity.unwrap_or(0),
        token_ttl_s: 0,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.create_worker(request, &call).await?;
    let created = CreatedWorkerJson {
        worker: WorkerJson::from(&response.worker.unwrap_or_default()),
        token: response.token,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListJson<WorkerJson>>, ApiError> {
    let request = v1::ListWorkersRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        status: named::<v1::WorkerStatus>("status", query.status.as_deref())?,
        region: query.region,
        find_deleted: false,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_workers(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.workers,
        &response.next_page_token,
        response.revision,
    )))
}

pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<WorkerJson>, ApiError> {
    let request = v1::GetWorkerRequest {
        id,
        consistency: query.consistency()?,
    };
    let response = api.get_worker(request, &call).await?;
    Ok(Json(WorkerJson::from(&response.worker.unwrap_or_default())))
}
