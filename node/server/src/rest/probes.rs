//! `/probes`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use reeve_proto::definition::FieldViolation as WireViolation;
use reeve_proto::json::{ListJson, ProbeJson, ProbeSlotJson};
use reeve_proto::probe::ProbeDocument;
use reeve_proto::{probe, v1};
use reeve_state::command::FieldViolation;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{
    Body, Id, IdPath, Operator, ProjectQuery, Query, Reader, RequestIdBody, consistency, json, named,
    request_id,
};
use crate::api::Api;
use crate::error::ApiError;

/// Which probes, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListProbesQuery {
    /// HEALTHY, DEGRADED, UNHEALTHY or UNKNOWN; in any case.
    status: Option<String>,
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

/// Which probe is meant.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProbeQuery {
    /// Where a name is looked for; left out: the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Which page of a probe's slots.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlotsQuery {
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

/// Creates a probe.
#[utoipa::path(post, path = "/probes", tag = "probes", params(ProjectQuery), request_body = ProbeDocument,
    responses((status = 201, description = "The probe.", body = ProbeJson)))]
pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<(StatusCode, Json<ProbeJson>), ApiError> {
    let request = v1::CreateProbeRequest {
        definition: Some(definition(&body)?),
        project: query.project,
        request_id: request_id(&headers, None)?,
    };
    let response = api.create_probe(request, &call).await?;
    Ok((StatusCode::CREATED, shown(response.probe)))
}

/// Replaces what was said of a probe, its name too.
#[utoipa::path(post, path = "/probes/{id}", tag = "probes", params(IdPath, ProjectQuery), request_body = ProbeDocument,
    responses((status = 200, description = "The probe.", body = ProbeJson)))]
pub async fn update(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<ProbeJson>, ApiError> {
    let request = v1::UpdateProbeRequest {
        id,
        definition: Some(definition(&body)?),
        project: query.project,
        request_id: request_id(&headers, None)?,
    };
    Ok(shown(api.update_probe(request, &call).await?.probe))
}

/// Probes, oldest first.
#[utoipa::path(get, path = "/probes", tag = "probes", params(ListProbesQuery),
    responses((status = 200, description = "A page of probes.", body = ListJson<ProbeJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListProbesQuery>,
) -> Result<Json<ListJson<ProbeJson>>, ApiError> {
    let request = v1::ListProbesRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        status: named::<v1::ProbeStatus>("status", query.status.as_deref())?,
        project: query.project,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_probes(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.probes,
        &response.next_page_token,
        response.revision,
    )))
}

/// One probe, by id or name, with what its last executions have in common.
#[utoipa::path(get, path = "/probes/{id}", tag = "probes", params(IdPath, ProbeQuery),
    responses((status = 200, description = "The probe.", body = ProbeJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ProbeQuery>,
) -> Result<Json<ProbeJson>, ApiError> {
    let request = v1::GetProbeRequest {
        id,
        project: query.project,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.get_probe(request, &call).await?;
    let probe = ProbeJson {
        diagnosis: response.diagnosis,
        ..ProbeJson::from(&response.probe.unwrap_or_default())
    };
    Ok(Json(probe))
}

/// Deletes a probe with its slots; its runs stay.
#[utoipa::path(delete, path = "/probes/{id}", tag = "probes", params(IdPath, ProjectQuery),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteProbeRequest {
        id,
        project: query.project,
        request_id: request_id(&headers, None)?,
    };
    api.delete_probe(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets no slot fire from now on.
#[utoipa::path(post, path = "/probes/{id}/pause", tag = "probes", params(IdPath, ProjectQuery), request_body = RequestIdBody,
    responses((status = 200, description = "The probe.", body = ProbeJson)))]
pub async fn pause(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<ProbeJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::PauseProbeRequest {
        id,
        project: query.project,
        request_id: request_id(&headers, body.request_id)?,
    };
    Ok(shown(api.pause_probe(request, &call).await?.probe))
}

/// Lets slots fire again from now on.
#[utoipa::path(post, path = "/probes/{id}/resume", tag = "probes", params(IdPath, ProjectQuery), request_body = RequestIdBody,
    responses((status = 200, description = "The probe.", body = ProbeJson)))]
pub async fn resume(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<Json<ProbeJson>, ApiError> {
    let body: RequestIdBody = json(&body)?;
    let request = v1::ResumeProbeRequest {
        id,
        project: query.project,
        request_id: request_id(&headers, body.request_id)?,
    };
    Ok(shown(api.resume_probe(request, &call).await?.probe))
}

/// The last slots of a probe, newest first.
#[utoipa::path(get, path = "/probes/{id}/slots", tag = "probes", params(IdPath, SlotsQuery),
    responses((status = 200, description = "A page of slots.", body = ListJson<ProbeSlotJson>)))]
pub async fn slots(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<SlotsQuery>,
) -> Result<Json<ListJson<ProbeSlotJson>>, ApiError> {
    let request = v1::ListProbeSlotsRequest {
        id,
        project: query.project,
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_probe_slots(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.slots,
        &response.next_page_token,
        response.revision,
    )))
}

fn shown(probe: Option<v1::Probe>) -> Json<ProbeJson> {
    Json(ProbeJson::from(&probe.unwrap_or_default()))
}

fn definition(body: &Bytes) -> Result<v1::ProbeDefinition, ApiError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    probe::from_json(text).map_err(|violations| match violations.as_slice() {
        // Without a field it is the document itself that cannot be read.
        [one] if one.field.is_empty() => ApiError::Malformed(one.description.clone()),
        _ => ApiError::Invalid(violations.into_iter().map(violation).collect()),
    })
}

fn violation(violation: WireViolation) -> FieldViolation {
    FieldViolation {
        field: violation.field,
        rule: violation.description,
    }
}
