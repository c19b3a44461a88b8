//! `/runs`, and `/tests/{id}/run`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{
    AssignmentJson, EndpointJson, ExplanationJson, ListJson, RunJson, TimelineEntryJson,
};
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1;
use reeve_state::command::{ObjectKind, Refusal};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{
    Body, Id, IdPath, Operator, PageQuery, ProjectQuery, Query, ReadQuery, Reader, RequestIdBody,
    consistency, json, named, request_id,
};
use crate::api::{Api, Call};
use crate::error::ApiError;

/// Which runs, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListRunsQuery {
    /// A status in any case.
    status: Option<String>,
    /// Id or name of a test.
    #[serde(default)]
    #[param(required = false)]
    test: String,
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

/// Starts a run of a test.
#[utoipa::path(post, path = "/tests/{id}/run", tag = "runs", params(IdPath, ProjectQuery), request_body = RequestIdBody,
    responses((status = 201, description = "The run, PENDING.", body = RunJson)))]
pub async fn start(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(test): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<(StatusCode, Json<RunJson>), ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::StartRunRequest {
        test,
        request_id: request_id(&headers, body.request_id)?,
        project: query.project,
    };
    let response = api.start_run(request, &call).await?;
    Ok((
        StatusCode::CREATED,
        Json(RunJson::from(&response.run.unwrap_or_default())),
    ))
}

/// Asks for the end of a run.
#[utoipa::path(post, path = "/runs/{id}/stop", tag = "runs", params(IdPath), request_body = RequestIdBody,
    responses((status = 200, description = "The run.", body = RunJson)))]
pub async fn stop(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<RunJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::StopRunRequest {
        id,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.stop_run(request, &call).await?;
    Ok(Json(RunJson::from(&response.run.unwrap_or_default())))
}

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(ListRunsQuery),
    responses((status = 200, description = "A page of runs.", body = ListJson<RunJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListRunsQuery>,
) -> Result<Json<ListJson<RunJson>>, ApiError> {
    let request = v1::ListRunsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        status: named::<v1::RunStatus>("status", query.status.as_deref())?,
        test: query.test,
        project: query.project,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_runs(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.runs,
        &response.next_page_token,
        response.revision,
    )))
}

/// One run.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "The run.", body = RunJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<RunJson>, ApiError> {
    Ok(Json(RunJson::from(&find(&api, &call, id, &query).await?)))
}

/// The statuses of a run, oldest first.
#[utoipa::path(get, path = "/runs/{id}/timeline", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "Every status so far.", body = ListJson<TimelineEntryJson>)))]
pub async fn timeline(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ListJson<TimelineEntryJson>>, ApiError> {
    let run = find(&api, &call, id, &query).await?;
    Ok(Json(ListJson::new(&run.timeline, "", run.revision)))
}

/// What each worker holds or held of a run.
#[utoipa::path(get, path = "/runs/{id}/assignments", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "Every assignment.", body = ListJson<AssignmentJson>)))]
pub async fn assignments(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ListJson<AssignmentJson>>, ApiError> {
    let run = find(&api, &call, id, &query).await?;
    Ok(Json(ListJson::new(&run.assignments, "", run.revision)))
}

/// A run that was not refused has nothing to explain.
#[utoipa::path(get, path = "/runs/{id}/explain", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "The explanation.", body = ExplanationJson)))]
pub async fn explain(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ExplanationJson>, ApiError> {
    let run = find(&api, &call, id, &query).await?;
    let Some(explanation) = &run.explanation else {
        let refusal = Refusal::WrongStatus {
            kind: ObjectKind::Run,
            id: run.id,
            status: name_of::<v1::RunStatus>(run.status).to_owned(),
            allowed: vec![format!(
                "{} with an explanation",
                v1::RunStatus::CannotRunForNow.name()
            )],
        };
        return Err(refusal.into());
    };
    Ok(Json(ExplanationJson::from(explanation)))
}

/// The endpoints of a run.
#[utoipa::path(get, path = "/runs/{id}/endpoints", tag = "runs", params(IdPath, PageQuery),
    responses((status = 200, description = "A page of endpoints.", body = ListJson<EndpointJson>)))]
pub async fn endpoints(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(run_id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListJson<EndpointJson>>, ApiError> {
    let request = v1::ListRunEndpointsRequest {
        run_id,
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_run_endpoints(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.endpoints,
        &response.next_page_token,
        response.revision,
    )))
}

async fn find(api: &Api, call: &Call, id: String, query: &ReadQuery) -> Result<v1::Run, ApiError> {
    let request = v1::GetRunRequest {
        id,
        consistency: query.consistency()?,
    };
    Ok(api.get_run(request, call).await?.run.unwrap_or_default())
}
