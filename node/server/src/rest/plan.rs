//! `/runs/plan`, `/runs/{id}/explain` and `/runs/{id}/compare`.

use axum::Json;
use axum::extract::State;
use reeve_proto::definition::DefinitionDocument;
use reeve_proto::json::{RunComparisonJson, RunExplanationJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Body, Id, IdPath, Query, ReadQuery, Reader, consistency};
use super::tests::definition_of;
use crate::api::Api;
use crate::error::ApiError;

/// What is to be planned, if not the body.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Id or name of a test, in place of a body.
    #[serde(default)]
    #[param(required = false)]
    test: String,
    /// Whose run it would be; left out: the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// The other run.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompareQuery {
    /// Its id.
    #[serde(default)]
    with: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// What would become of a definition, were it started now. Nothing is written.
#[utoipa::path(post, path = "/runs/plan", tag = "runs", params(PlanQuery), request_body = DefinitionDocument,
    responses((status = 200, description = "What would become of it.", body = RunExplanationJson)))]
pub async fn plan(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<PlanQuery>,
    Body(body): Body,
) -> Result<Json<RunExplanationJson>, ApiError> {
    let definition = match body.is_empty() {
        true => None,
        false => Some(definition_of(&body)?),
    };
    let request = v1::PlanRunRequest {
        definition,
        test: query.test,
        project: query.project,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.plan_run(request, &call).await?;
    Ok(Json(RunExplanationJson::from(
        &response.explanation.unwrap_or_default(),
    )))
}

/// Why a run is where it is.
#[utoipa::path(get, path = "/runs/{id}/explain", tag = "runs", params(IdPath, ReadQuery),
    responses((status = 200, description = "The explanation.", body = RunExplanationJson)))]
pub async fn explain(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<RunExplanationJson>, ApiError> {
    let request = v1::ExplainRunRequest {
        id,
        consistency: query.consistency()?,
    };
    let response = api.explain_run(request, &call).await?;
    Ok(Json(RunExplanationJson::from(
        &response.explanation.unwrap_or_default(),
    )))
}

/// Two runs side by side.
#[utoipa::path(get, path = "/runs/{id}/compare", tag = "runs", params(IdPath, CompareQuery),
    responses((status = 200, description = "The two runs.", body = RunComparisonJson)))]
pub async fn compare(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<CompareQuery>,
) -> Result<Json<RunComparisonJson>, ApiError> {
    let request = v1::CompareRunsRequest {
        id,
        with: query.with,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.compare_runs(request, &call).await?;
    Ok(Json(RunComparisonJson::from(
        &response.comparison.unwrap_or_default(),
    )))
}
