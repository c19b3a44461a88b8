//! `/workers`: registration of session workers, and reads.

pub mod change;
pub mod ping;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedWorkerJson, ListJson, OnlineWorkersJson, WorkerEventJson, WorkerJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{
    Body, Id, Operator, Query, ReadQuery, Reader, consistency, json, named, positive, request_id,
};
use crate::api::{Api, Call};
use crate::error::ApiError;

/// A session worker to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateWorkerBody {
    /// Unique among the workers that exist.
    #[serde(default)]
    name: String,
    /// A free label (R77).
    #[serde(default)]
    region: String,
    /// USER_OWNED, the default, or CLOUD; in any case.
    kind: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Most endpoints at once; left out: what the worker itself reports.
    #[schema(minimum = 1)]
    capacity: Option<u32>,
    /// The token is refused so many seconds from now on; left out: never.
    #[schema(minimum = 1)]
    token_ttl_s: Option<u64>,
    request_id: Option<String>,
}

/// Which workers, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListWorkersQuery {
    /// A status in any case; left out: all but DELETED.
    status: Option<String>,
    region: Option<String>,
    /// DELETED ones too (R362).
    find_deleted: Option<bool>,
    page_size: Option<u32>,
    page_token: Option<String>,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

impl ListWorkersQuery {
    fn request(self) -> Result<v1::ListWorkersRequest, ApiError> {
        Ok(v1::ListWorkersRequest {
            page_size: self.page_size.unwrap_or(0),
            page_token: self.page_token.unwrap_or_default(),
            status: named::<v1::WorkerStatus>("status", self.status.as_deref())?,
            region: self.region.unwrap_or_default(),
            find_deleted: self.find_deleted.unwrap_or(false),
            consistency: consistency(self.consistency.as_deref())?,
        })
    }
}

/// Which page of the workers that take work.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OnlineWorkersQuery {
    region: Option<String>,
    page_size: Option<u32>,
    page_token: Option<String>,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Registers a session worker; its token is shown this once.
#[utoipa::path(post, path = "/workers", tag = "workers", request_body = CreateWorkerBody,
    responses((status = 201, description = "The worker and its token.", body = CreatedWorkerJson)))]
pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedWorkerJson>), ApiError> {
    let body: CreateWorkerBody = json(&body)?;
    let request = v1::CreateWorkerRequest {
        name: body.name,
        region: body.region,
        kind: named::<v1::WorkerKind>("kind", body.kind.as_deref())?,
        labels: body.labels,
        capacity: positive("capacity", body.capacity)?,
        token_ttl_s: positive("tokenTtlS", body.token_ttl_s)?,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.create_worker(request, &call).await?;
    Ok((
        StatusCode::CREATED,
        Json(with_token(response.worker, response.token)),
    ))
}

fn with_token(worker: Option<v1::Worker>, token: String) -> CreatedWorkerJson {
    CreatedWorkerJson {
        worker: WorkerJson::from(&worker.unwrap_or_default()),
        token,
    }
}

/// Workers by name; with deleted ones, by id.
#[utoipa::path(get, path = "/workers", tag = "workers", params(ListWorkersQuery),
    responses((status = 200, description = "A page of workers.", body = ListJson<WorkerJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListWorkersQuery>,
) -> Result<Json<ListJson<WorkerJson>>, ApiError> {
    let response = api.list_workers(query.request()?, &call).await?;
    Ok(Json(ListJson::new(
        &response.workers,
        &response.next_page_token,
        response.revision,
    )))
}

/// Workers that take work, and how many there are.
#[utoipa::path(get, path = "/workers/online", tag = "workers", params(OnlineWorkersQuery),
    responses((status = 200, description = "A page of workers that are ONLINE.", body = OnlineWorkersJson)))]
pub async fn online(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<OnlineWorkersQuery>,
) -> Result<Json<OnlineWorkersJson>, ApiError> {
    let query = ListWorkersQuery {
        region: query.region,
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: query.consistency,
        ..ListWorkersQuery::default()
    };
    let (response, count) = api.online_workers(query.request()?, &call).await?;
    Ok(Json(OnlineWorkersJson {
        items: response.workers.iter().map(WorkerJson::from).collect(),
        count,
        next_page_token: response.next_page_token,
        revision: response.revision,
    }))
}

/// One worker, by id or name; deleted ones by id.
#[utoipa::path(get, path = "/workers/{uuid}", tag = "workers", params(super::extract::WorkerPath, ReadQuery),
    responses((status = 200, description = "The worker.", body = WorkerJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<WorkerJson>, ApiError> {
    let worker = find(&api, &call, id, &query).await?;
    Ok(Json(WorkerJson::from(&worker)))
}

/// What a worker executes.
#[utoipa::path(get, path = "/workers/{uuid}/function-blocks", tag = "workers",
    params(super::extract::WorkerPath, ReadQuery),
    responses((status = 200, description = "package/name:major.minor.patch, sorted.", body = ListJson<String>)))]
pub async fn function_blocks(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ListJson<String>>, ApiError> {
    let worker = find(&api, &call, id, &query).await?;
    Ok(Json(ListJson {
        items: worker.function_blocks,
        next_page_token: String::new(),
        revision: worker.revision,
    }))
}

/// What happened to a worker's connection and status, newest first.
#[utoipa::path(get, path = "/workers/{uuid}/events", tag = "workers",
    params(super::extract::WorkerPath, ReadQuery),
    responses((status = 200, description = "The last 100 events.", body = ListJson<WorkerEventJson>)))]
pub async fn events(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ListJson<WorkerEventJson>>, ApiError> {
    let request = v1::ListWorkerEventsRequest {
        id,
        consistency: query.consistency()?,
    };
    let response = api.list_worker_events(request, &call).await?;
    Ok(Json(ListJson::new(&response.events, "", response.revision)))
}

async fn find(api: &Api, call: &Call, id: String, query: &ReadQuery) -> Result<v1::Worker, ApiError> {
    let request = v1::GetWorkerRequest {
        id,
        consistency: query.consistency()?,
    };
    Ok(api.get_worker(request, call).await?.worker.unwrap_or_default())
}
