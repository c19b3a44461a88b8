//! `/projects`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{ListJson, ProjectJson};
use reeve_proto::v1;
use reeve_proto::v1::adjust_credits_request::Change;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Admin, Body, Id, PageQuery, Query, ReadQuery, Reader, consistency, json, request_id};
use crate::api::Api;
use crate::error::ApiError;

/// A project in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "described here, read by Id")]
pub struct ProjectPath {
    /// Its name.
    name: String,
}

/// A project to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateProjectBody {
    /// Unique.
    #[serde(default)]
    name: String,
    /// Limits: left out or 0 for none.
    max_concurrent_endpoints: Option<u32>,
    max_concurrent_runs: Option<u32>,
    max_run_endpoints: Option<u32>,
    /// Left out: true.
    subscription_active: Option<bool>,
    /// Endpoint-minutes; left out: they are not counted.
    credits: Option<u64>,
    request_id: Option<String>,
}

/// What is to be different about a project's plan.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateProjectBody {
    /// Limits: left out keeps what is, 0 takes the limit away.
    max_concurrent_endpoints: Option<u32>,
    max_concurrent_runs: Option<u32>,
    max_run_endpoints: Option<u32>,
    subscription_active: Option<bool>,
    request_id: Option<String>,
}

/// What is to become of a project's credits: one of add, set and unlimited.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditsBody {
    /// So many endpoint-minutes more, or fewer.
    add: Option<i64>,
    /// So many are left.
    set: Option<u64>,
    /// They are not counted any more.
    unlimited: Option<bool>,
    /// Why; required.
    #[serde(default)]
    reason: String,
    request_id: Option<String>,
}

impl CreditsBody {
    fn change(&self) -> Result<Option<Change>, ApiError> {
        let changes = [
            self.add.map(Change::Add),
            self.set.map(Change::Set),
            self.unlimited.map(Change::Unlimited),
        ];
        let mut changes = changes.into_iter().flatten();
        match (changes.next(), changes.next()) {
            (change, None) => Ok(change),
            (_, Some(_)) => Err(ApiError::invalid(
                "change",
                "name only one of add, set and unlimited",
            )),
        }
    }
}

/// A new project.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = CreateProjectBody,
    responses((status = 201, description = "The project.", body = ProjectJson)))]
pub async fn create(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<ProjectJson>), ApiError> {
    let body: CreateProjectBody = json(&body)?;
    let request = v1::CreateProjectRequest {
        name: body.name,
        max_concurrent_endpoints: body.max_concurrent_endpoints,
        max_concurrent_runs: body.max_concurrent_runs,
        max_run_endpoints: body.max_run_endpoints,
        subscription_active: body.subscription_active,
        credits: body.credits,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.create_project(request, &call).await?;
    Ok((StatusCode::CREATED, shown(response.project)))
}

fn shown(project: Option<v1::Project>) -> Json<ProjectJson> {
    Json(ProjectJson::from(&project.unwrap_or_default()))
}

/// Projects by name; of keys other than an admin's only their own.
#[utoipa::path(get, path = "/projects", tag = "projects", params(PageQuery),
    responses((status = 200, description = "A page of projects.", body = ListJson<ProjectJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListJson<ProjectJson>>, ApiError> {
    let request = v1::ListProjectsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_projects(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.projects,
        &response.next_page_token,
        response.revision,
    )))
}

/// One project, with what its runs take up.
#[utoipa::path(get, path = "/projects/{name}", tag = "projects", params(ProjectPath, ReadQuery),
    responses((status = 200, description = "The project.", body = ProjectJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(name): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<ProjectJson>, ApiError> {
    let request = v1::GetProjectRequest {
        name,
        consistency: query.consistency()?,
    };
    Ok(shown(api.get_project(request, &call).await?.project))
}

/// Changes a project's plan. Lower limits stop nothing that is queued or running.
#[utoipa::path(patch, path = "/projects/{name}", tag = "projects", params(ProjectPath),
    request_body = UpdateProjectBody,
    responses((status = 200, description = "The project.", body = ProjectJson)))]
pub async fn update(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Id(name): Id,
    Body(body): Body,
) -> Result<Json<ProjectJson>, ApiError> {
    let body: UpdateProjectBody = json(&body)?;
    let request = v1::UpdateProjectRequest {
        name,
        max_concurrent_endpoints: body.max_concurrent_endpoints,
        max_concurrent_runs: body.max_concurrent_runs,
        max_run_endpoints: body.max_run_endpoints,
        subscription_active: body.subscription_active,
        request_id: request_id(&headers, body.request_id)?,
    };
    Ok(shown(api.update_project(request, &call).await?.project))
}

/// Deletes a project that has no tests, no live runs and no keys in force.
#[utoipa::path(delete, path = "/projects/{name}", tag = "projects", params(ProjectPath),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Id(name): Id,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteProjectRequest {
        name,
        request_id: request_id(&headers, None)?,
    };
    api.delete_project(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the credits that a project has left.
#[utoipa::path(post, path = "/projects/{name}/credits", tag = "projects", params(ProjectPath),
    request_body = CreditsBody,
    responses((status = 200, description = "The project.", body = ProjectJson)))]
pub async fn credits(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Id(name): Id,
    Body(body): Body,
) -> Result<Json<ProjectJson>, ApiError> {
    let body: CreditsBody = json(&body)?;
    let request = v1::AdjustCreditsRequest {
        name,
        change: body.change()?,
        reason: body.reason,
        request_id: request_id(&headers, body.request_id)?,
    };
    Ok(shown(api.adjust_credits(request, &call).await?.project))
}
