//! `/keys`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{CreatedKeyJson, KeyJson, ListJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Admin, Anyone, Body, Id, IdPath, Query, consistency, json, named, request_id};
use crate::api::Api;
use crate::error::ApiError;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateKeyBody {
    /// Unique among keys in force.
    #[serde(default)]
    name: String,
    /// VIEWER, OPERATOR, ADMIN or WORKER; in any case.
    role: Option<String>,
    #[serde(default)]
    project: String,
    #[serde(default)]
    ttl_s: u64,
    request_id: Option<String>,
}

/// Which keys, and which page of them.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListKeysQuery {
    /// Revoked and expired ones too.
    #[serde(default)]
    #[param(required = false)]
    include_ended: bool,
    #[serde(default)]
    #[param(required = false)]
    page_size: u32,
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

/// The first key of a cluster.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootstrapBody {
    #[serde(default)]
    name: String,
    /// cmk_ and 32 hex digits that the caller has made up, so that the call can be repeated; left out: one is made up.
    #[serde(default)]
    secret: String,
}

/// The first admin key of a cluster that has none; needs none.
#[utoipa::path(post, path = "/keys/bootstrap", tag = "keys", request_body = BootstrapBody, security(()),
    responses((status = 201, description = "The key and its secret.", body = CreatedKeyJson)))]
pub async fn bootstrap(
    State(api): State<Api>,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedKeyJson>), ApiError> {
    let body: BootstrapBody = json(&body)?;
    let request = v1::BootstrapKeyRequest {
        name: body.name,
        secret: body.secret,
    };
    let response = api.bootstrap_key(request, None).await?;
    Ok(created(response.key, response.secret))
}

/// A new key, shown this once.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = CreateKeyBody,
    responses((status = 201, description = "The key and its secret.", body = CreatedKeyJson)))]
pub async fn create(
    State(api): State<Api>,
    Admin(call): Admin,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedKeyJson>), ApiError> {
    let body: CreateKeyBody = json(&body)?;
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

/// Keys, oldest first.
#[utoipa::path(get, path = "/keys", tag = "keys", params(ListKeysQuery),
    responses((status = 200, description = "A page of keys.", body = ListJson<KeyJson>)))]
pub async fn list(
    State(api): State<Api>,
    Admin(call): Admin,
    Query(query): Query<ListKeysQuery>,
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

/// Takes a key back.
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", params(IdPath),
    responses((status = 200, description = "The key.", body = KeyJson)))]
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

/// The caller's own key.
#[utoipa::path(get, path = "/keys/self", tag = "keys",
    responses((status = 200, description = "The key.", body = KeyJson)))]
pub async fn who_am_i(State(api): State<Api>, Anyone(call): Anyone) -> Result<Json<KeyJson>, ApiError> {
    let response = api.who_am_i(&call)?;
    Ok(Json(KeyJson::from(&response.key.unwrap_or_default())))
}
