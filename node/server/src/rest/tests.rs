//! `/tests`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::definition::DefinitionDocument;
use reeve_proto::json::{ListJson, TestJson};
use reeve_proto::{definition, v1};
use reeve_state::command::FieldViolation;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Body, Id, IdPath, Operator, ProjectQuery, Query, Reader, consistency, request_id};
use crate::api::Api;
use crate::error::ApiError;

/// Which tests, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListTestsQuery {
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

/// Which test is meant.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TestQuery {
    /// Where a name is looked for; left out: the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// Creates a test.
#[utoipa::path(post, path = "/tests", tag = "tests", params(ProjectQuery), request_body = DefinitionDocument,
    responses((status = 201, description = "The test.", body = TestJson)))]
pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<(StatusCode, Json<TestJson>), ApiError> {
    let definition = definition::from_json(&body).map_err(|violations| {
        let field = |violation: definition::FieldViolation| FieldViolation {
            field: violation.field,
            rule: violation.description,
        };
        match violations.as_slice() {
            // Without a field it is the document itself that cannot be read.
            [one] if one.field.is_empty() => ApiError::Malformed(one.description.clone()),
            _ => ApiError::Invalid(violations.into_iter().map(field).collect()),
        }
    })?;
    let request = v1::CreateTestRequest {
        definition: Some(definition),
        request_id: request_id(&headers, None)?,
        project: query.project,
    };
    let response = api.create_test(request, &call).await?;
    Ok((
        StatusCode::CREATED,
        Json(TestJson::from(&response.test.unwrap_or_default())),
    ))
}

/// Tests by name.
#[utoipa::path(get, path = "/tests", tag = "tests", params(ListTestsQuery),
    responses((status = 200, description = "A page of tests.", body = ListJson<TestJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<ListTestsQuery>,
) -> Result<Json<ListJson<TestJson>>, ApiError> {
    let request = v1::ListTestsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_tests(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.tests,
        &response.next_page_token,
        response.revision,
    )))
}

/// One test, by id or name.
#[utoipa::path(get, path = "/tests/{id}", tag = "tests", params(IdPath, TestQuery),
    responses((status = 200, description = "The test.", body = TestJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<TestQuery>,
) -> Result<Json<TestJson>, ApiError> {
    let request = v1::GetTestRequest {
        id,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.get_test(request, &call).await?;
    Ok(Json(TestJson::from(&response.test.unwrap_or_default())))
}

/// Deletes a test that no run uses.
#[utoipa::path(delete, path = "/tests/{id}", tag = "tests", params(IdPath, ProjectQuery),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteTestRequest {
        id,
        request_id: request_id(&headers, None)?,
        project: query.project,
    };
    api.delete_test(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}
