//! `/keys`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedKeyJson, KeyJson, ListJson};
use reeve_proto::v1;
use serde::Deserialize;

use super::extract::{Admin, Anyone, Body, Id, Query, consistency, json, named, request_id};
use crate::api::Api;
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateBody {
    #[serde(default)]
    name: String,
    role: Option<String>,
    #[serde(default)]
    project: String,
    #[serde(default)]
    ttl_s: u64,
    request_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default)]
    include_ended: bool,
    #[serde(default)]
    page_size: u32,
    #[serde(default)]
    page_token: String,
    consistency: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BootstrapBody {
    #[serde(default)]
    name: String,
}

pub async fn bootstrap(
    State(api): State<Api>,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedKeyJson>), ApiError> {
    let body: BootstrapBody = json(&body)?;
    let request = v1::BootstrapKeyRequest { name: body.name };
    let response = api.bootstrap_key(request, None).await?;
    Ok(created(response.key, response.secret))
}

pub async fn create(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedKeyJson>), ApiError> {
    let body: CreateBody = json(&body)?;
    let request = v1::CreateKeyRequest {
        name: body.name,
        role: named::<v1::Role>("role", body.role.as_deref())?,
        project: body.project,
        ttl_s: body.ttl_s,
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.create_key(request, &call).await?;
    Ok(created(response.key, response.secret))
}

fn created(key: Option<v1::Key>, secret: String) -> (StatusCode, Json<CreatedKeyJson>) {
    let key = KeyJson::from(&key.unwrap_or_default());
    (StatusCode::CREATED, Json(CreatedKeyJson { key, secret }))
}

pub async fn list(
    State(api): State<Api>,
    Admin(call): Admin,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListJson<KeyJson>>, ApiError> {
    let request = v1::ListKeysRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        include_ended: query.include_ended,
        consistency: consistency(query.consistency.as_deref())?,
    };
    let response = api.list_keys(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.keys,
        &response.next_page_token,
        response.revision,
    )))
}

pub async fn revoke(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Id(id): Id,
) -> Result<Json<KeyJson>, ApiError> {
    let request = v1::RevokeKeyRequest {
        id,
        request_id: request_id(&headers, None)?,
    };
    let response = api.revoke_key(request, &call).await?;
    Ok(Json(KeyJson::from(&response.key.unwrap_or_default())))
}

pub async fn who_am_i(State(api): State<Api>, Anyone(call): Anyone) -> Result<Json<KeyJson>, ApiError> {
    let response = api.who_am_i(&call)?;
    Ok(Json(KeyJson::from(&response.key.unwrap_or_default())))
}
