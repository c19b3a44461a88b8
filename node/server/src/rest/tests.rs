//! `/tests`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::definition::DefinitionDocument;
use reeve_proto::json::{ListJson, TestJson};
use reeve_proto::{definition, v1};
use reeve_state::command::FieldViolation;

use super::extract::{
    Body, Id, IdPath, Operator, PageQuery, Query, ReadQuery, Reader, consistency, request_id,
};
use crate::api::Api;
use crate::error::ApiError;

/// Creates a test.
#[utoipa::path(post, path = "/tests", tag = "tests", request_body = DefinitionDocument,
    responses((status = 201, description = "The test.", body = TestJson)))]
pub async fn create(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
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
    };
    let response = api.create_test(request, &call).await?;
    Ok((
        StatusCode::CREATED,
        Json(TestJson::from(&response.test.unwrap_or_default())),
    ))
}

/// Tests by name.
#[utoipa::path(get, path = "/tests", tag = "tests", params(PageQuery),
    responses((status = 200, description = "A page of tests.", body = ListJson<TestJson>)))]
pub async fn list(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListJson<TestJson>>, ApiError> {
    let request = v1::ListTestsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_tests(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.tests,
        &response.next_page_token,
        response.revision,
    )))
}

/// One test, by id or name.
#[utoipa::path(get, path = "/tests/{id}", tag = "tests", params(IdPath, ReadQuery),
    responses((status = 200, description = "The test.", body = TestJson)))]
pub async fn get(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(id): Id,
    Query(query): Query<ReadQuery>,
) -> Result<Json<TestJson>, ApiError> {
    let request = v1::GetTestRequest {
        id,
        consistency: query.consistency()?,
    };
    let response = api.get_test(request, &call).await?;
    Ok(Json(TestJson::from(&response.test.unwrap_or_default())))
}

/// Deletes a test that no run uses.
#[utoipa::path(delete, path = "/tests/{id}", tag = "tests", params(IdPath),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteTestRequest {
        id,
        request_id: request_id(&headers, None)?,
    };
    api.delete_test(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}
