//! Ping workers: `/workers/register`, `/workers/{uuid}/ping` and `/workers/{uuid}/unregister` (source 003).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{PingedJson, RegisteredWorkerJson, WorkerJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::error::ApiError;
use crate::rest::extract::{Body, Id, NothingBody, Pinger, WorkerPath, json, positive, request_id};

/// What a ping worker says of itself at its start.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterBody {
    /// Of the worker's program.
    #[serde(default)]
    version: String,
    /// Left out: one is made up.
    #[serde(default)]
    name: String,
    #[serde(default)]
    ip_address: String,
    /// package/name:major.minor.patch.
    #[serde(default)]
    function_blocks: Vec<String>,
    /// A free label (R77).
    #[serde(default)]
    region: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Most endpoints at once; left out: none.
    #[schema(minimum = 1)]
    capacity: Option<u32>,
    request_id: Option<String>,
}

/// What a ping worker says of itself while it lives.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PingBody {
    /// The worker's wall clock, RFC 3339; for display only.
    timestamp: Option<String>,
    #[schema(maximum = 100)]
    cpu_percent: Option<u32>,
    #[schema(maximum = 100)]
    memory_percent: Option<u32>,
    #[schema(maximum = 100)]
    disk_percent: Option<u32>,
    #[serde(default)]
    active_endpoints: u32,
}

/// A ping worker says who it is, and gets its id; one that was there before and is not ONLINE gets the same id again.
#[utoipa::path(post, path = "/workers/register", tag = "ping workers", request_body = RegisterBody,
    responses((status = 201, description = "The id under which it pings.", body = RegisteredWorkerJson)))]
pub async fn register(
    State(api): State<Api>,
    Pinger(call): Pinger,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<RegisteredWorkerJson>), ApiError> {
    let body: RegisterBody = json(&body)?;
    let request = v1::RegisterWorkerRequest {
        version: body.version,
        name: body.name,
        ip_address: body.ip_address,
        function_blocks: body.function_blocks,
        region: body.region,
        labels: body.labels,
        capacity: positive("capacity", body.capacity)?,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.register_worker(request, &call).await?;
    Ok((StatusCode::CREATED, Json(RegisteredWorkerJson::from(&response))))
}

/// A ping worker is alive. 404 after it was deleted: register again.
#[utoipa::path(post, path = "/workers/{uuid}/ping", tag = "ping workers", params(WorkerPath), request_body = PingBody,
    responses((status = 200, description = "It was heard.", body = PingedJson)))]
pub async fn ping(
    State(api): State<Api>,
    Pinger(call): Pinger,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<PingedJson>, ApiError> {
    let body: PingBody = json(&body)?;
    let request = v1::PingWorkerRequest {
        id,
        timestamp: timestamp(body.timestamp.as_deref())?,
        resources: resources(&body)?,
        active_endpoints: body.active_endpoints,
    };
    let response = api.ping_worker(request, &call).await?;
    Ok(Json(PingedJson::from(&response)))
}

/// A ping worker leaves: OFFLINE at once. What it registered stays.
#[utoipa::path(post, path = "/workers/{uuid}/unregister", tag = "ping workers", params(WorkerPath),
    request_body = NothingBody,
    responses((status = 200, description = "The worker.", body = WorkerJson)))]
pub async fn unregister(
    State(api): State<Api>,
    Pinger(call): Pinger,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<WorkerJson>, ApiError> {
    let NothingBody {} = json(&body)?;
    let request = v1::UnregisterWorkerRequest { id };
    let response = api.unregister_worker(request, &call).await?;
    Ok(Json(WorkerJson::from(&response.worker.unwrap_or_default())))
}

fn timestamp(text: Option<&str>) -> Result<Option<prost_types::Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| ApiError::invalid("timestamp", "must be a time as in RFC 3339"))?;
    Ok(Some(prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }))
}

/// Nothing said of any of them: healthy.
fn resources(body: &PingBody) -> Result<Option<v1::WorkerResources>, ApiError> {
    let figures = [
        ("cpuPercent", body.cpu_percent),
        ("memoryPercent", body.memory_percent),
        ("diskPercent", body.disk_percent),
    ];
    for (field, percent) in figures {
        if let Some(percent) = percent.filter(|percent| *percent > 100) {
            return Err(ApiError::invalid(
                field,
                format!("{percent} is not within 0 to 100"),
            ));
        }
    }
    let said = figures.iter().any(|(_, percent)| percent.is_some());
    Ok(said.then_some(v1::WorkerResources {
        cpu_percent: body.cpu_percent.unwrap_or(0),
        memory_percent: body.memory_percent.unwrap_or(0),
        disk_percent: body.disk_percent.unwrap_or(0),
    }))
}
