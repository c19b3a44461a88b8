//! `/runs/{id}/metrics`, `/runs/{id}/trace` and `/runs/{id}/workers`.

use axum::Json;
use axum::extract::State;
use futures::StreamExt;
use reeve_proto::definition::parse_duration;
use reeve_proto::json::{
    EndpointEvidenceJson, ListJson, MetricsJson, RunMetricsJson, RunSeriesJson, RunWorkerJson, TraceJson,
};
use reeve_proto::{trace, v1};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Id, IdPath, Query, ReadQuery, Reader, consistency};
use crate::api::Api;
use crate::error::ApiError;

/// What is asked of a run's evidence.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    /// A metric: the answer is that over time.
    series: Option<String>,
    /// The step of the series, 1s to 1h; 1s by default.
    step: Option<String>,
    /// Only endpoints of this group.
    group: Option<String>,
    /// group/index: the answer is everything about that endpoint.
    endpoint: Option<String>,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Figures of a run, or of one `group`; with `series` one metric over time, with `endpoint` everything about one endpoint.
#[utoipa::path(get, path = "/runs/{id}/metrics", tag = "runs", params(IdPath, MetricsQuery),
    responses((status = 200, description = "Figures, a series, or one endpoint.", body = MetricsJson)))]
pub async fn metrics(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<MetricsJson>, ApiError> {
    let consistency = consistency(query.consistency.as_deref())?;
    let answer = match (query.series, query.endpoint) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "endpoint",
                "cannot be given together with series",
            ));
        }
        (Some(metric), None) => {
            let request = v1::GetRunSeriesRequest {
                id,
                metric,
                step_ms: step_ms(query.step.as_deref())?,
                group: query.group.unwrap_or_default(),
                consistency,
            };
            MetricsJson::Series(RunSeriesJson::from(&api.get_run_series(request, &call).await?))
        }
        (None, _) if query.step.is_some() => {
            return Err(ApiError::invalid("series", "is required with step"));
        }
        (None, Some(_)) if query.group.is_some() => {
            return Err(ApiError::invalid(
                "endpoint",
                "names its group: group cannot be given beside it",
            ));
        }
        (None, Some(endpoint)) => {
            let (group, index) = named_endpoint(&endpoint)?;
            let request = v1::GetEndpointEvidenceRequest {
                id,
                group,
                index,
                consistency,
            };
            let answer = api.get_endpoint_evidence(request, &call).await?;
            MetricsJson::Endpoint(EndpointEvidenceJson::from(&answer))
        }
        (None, None) => {
            let request = v1::GetRunMetricsRequest {
                id,
                consistency,
                group: query.group.unwrap_or_default(),
            };
            MetricsJson::Figures(RunMetricsJson::from(&api.get_run_metrics(request, &call).await?))
        }
    };
    Ok(Json(answer))
}

fn step_ms(text: Option<&str>) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(0) };
    let step = parse_duration(text).map_err(|rule| ApiError::invalid("step", rule))?;
    let ms = step.seconds.saturating_mul(1_000) + i64::from(step.nanos) / 1_000_000;
    u32::try_from(ms)
        .ok()
        .filter(|ms| *ms > 0)
        .ok_or_else(|| ApiError::invalid("step", "must be between 1s and 1h"))
}

/// Groups may have slashes in their names; the index has none.
fn named_endpoint(text: &str) -> Result<(String, u32), ApiError> {
    text.rsplit_once('/')
        .and_then(|(group, index)| Some((group.to_owned(), index.parse().ok()?)))
        .ok_or_else(|| ApiError::invalid("endpoint", format!("{text:?} is not group/index")))
}

/// Whose trace is asked for.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TraceQuery {
    /// group/index: the endpoint. Required.
    endpoint: Option<String>,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// The SIP messages of one endpoint, and why it ended as it did.
#[utoipa::path(get, path = "/runs/{id}/trace", tag = "runs", params(IdPath, TraceQuery),
    responses((status = 200, description = "What the endpoint sent and received.", body = TraceJson)))]
pub async fn trace(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<TraceQuery>,
) -> Result<Json<TraceJson>, ApiError> {
    let endpoint = query
        .endpoint
        .ok_or_else(|| ApiError::invalid("endpoint", "is required"))?;
    let (group, index) = named_endpoint(&endpoint)?;
    let request = v1::GetRunTraceRequest {
        id: id.clone(),
        group,
        endpoint: Some(index),
        consistency: consistency(query.consistency.as_deref())?,
    };
    let parts = api.get_run_trace(request, call).await?;
    let mut whole = v1::RunTracePart::default();
    let mut parts = std::pin::pin!(parts);
    while let Some(part) = parts.next().await {
        trace::add(&mut whole, part?);
    }
    trace::sort_by_endpoint(&mut whole);
    Ok(Json(TraceJson::new(&id, &whole)))
}

/// The workers of a run with their events while it was under way.
#[utoipa::path(get, path = "/runs/{id}/workers", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "Every worker that was given endpoints of the run.", body = ListJson<RunWorkerJson>)))]
pub async fn workers(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ListJson<RunWorkerJson>>, ApiError> {
    let request = v1::ListRunWorkersRequest {
        id,
        consistency: query.consistency()?,
    };
    let answer = api.list_run_workers(request, &call).await?;
    Ok(Json(ListJson::new(&answer.workers, "", answer.revision)))
}
