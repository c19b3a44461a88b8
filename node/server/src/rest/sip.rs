//! `/registrars`, `/account-pools` and `/media`: what SIP endpoints need.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reeve_proto::json::{AccountPoolJson, ListJson, MediaFileJson, RegistrarJson, SipAccountJson};
use reeve_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{
    Body, Id, Operator, ProjectQuery, Query, Reader, consistency, json, named, positive, request_id,
};
use crate::api::Api;
use crate::error::ApiError;

/// Something that is known by its name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "described here, read by Id")]
pub struct NamePath {
    /// Its name in the project.
    name: String,
}

/// The query of a list.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NamedQuery {
    #[serde(default)]
    #[param(required = false)]
    page_size: u32,
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
    /// linearizable, the default, or local.
    consistency: Option<String>,
    /// Only of this project; left out: all that the caller may see, or, where something is named, the project of the caller's key.
    #[serde(default)]
    #[param(required = false)]
    project: String,
}

/// Which accounts go.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteAccountsQuery {
    /// Only this one; left out: all of the pool.
    username: Option<String>,
    /// Left out: the project of the caller's key. Only ADMIN keys may name another.
    #[serde(default)]
    #[param(required = false)]
    project: String,
}

/// A registrar to be created, or to be what it says here.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrarBody {
    /// Unique in the project.
    #[serde(default)]
    name: String,
    /// Left out: the project of the caller's key. Only ADMIN keys may name another.
    #[serde(default)]
    project: String,
    /// Realm of the addresses of record.
    #[serde(default)]
    domain: String,
    /// Where requests go; left out: to the domain.
    host: Option<String>,
    /// Left out: 5060, or 5061 for TLS.
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<u32>,
    /// UDP, the default, TCP or TLS.
    transport: Option<String>,
    /// A SIP URI that all requests pass first.
    outbound_proxy: Option<String>,
    request_id: Option<String>,
}

/// Accounts to be created, or to be what they say here; others of the pool stay.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountsBody {
    /// Left out: the project of the caller's key. Only ADMIN keys may name another.
    #[serde(default)]
    project: String,
    /// 1 to 1,000.
    #[serde(default)]
    accounts: Vec<AccountBody>,
    request_id: Option<String>,
}

/// An account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountBody {
    /// The user part of the address of record.
    username: String,
    /// Left out: an account that exists keeps its secret, a new one has none. Never shown again.
    secret: Option<String>,
    /// Answers only this realm's challenges.
    realm: Option<String>,
}

fn status(created: bool) -> StatusCode {
    if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    }
}

/// Creates a registrar, or replaces the one of this name.
#[utoipa::path(post, path = "/registrars", tag = "sip", request_body = RegistrarBody,
    responses((status = 200, description = "It was replaced.", body = RegistrarJson),
        (status = 201, description = "It is new.", body = RegistrarJson)))]
pub async fn apply_registrar(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<RegistrarJson>), ApiError> {
    let body: RegistrarBody = json(&body)?;
    let request = v1::ApplyRegistrarRequest {
        name: body.name,
        project: body.project,
        domain: body.domain,
        host: body.host.unwrap_or_default(),
        port: positive("port", body.port)?,
        transport: named::<v1::SipTransport>("transport", body.transport.as_deref())?,
        outbound_proxy: body.outbound_proxy.unwrap_or_default(),
        request_id: request_id(&headers, body.request_id)?,
    };
    let response = api.apply_registrar(request, &call).await?;
    let registrar = response.registrar.unwrap_or_default();
    Ok((status(response.created), Json(RegistrarJson::from(&registrar))))
}

/// Registrars by project and name.
#[utoipa::path(get, path = "/registrars", tag = "sip", params(NamedQuery),
    responses((status = 200, description = "A page of registrars.", body = ListJson<RegistrarJson>)))]
pub async fn list_registrars(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<NamedQuery>,
) -> Result<Json<ListJson<RegistrarJson>>, ApiError> {
    let request = v1::ListRegistrarsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_registrars(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.registrars,
        &response.next_page_token,
        response.revision,
    )))
}

/// One registrar.
#[utoipa::path(get, path = "/registrars/{name}", tag = "sip", params(NamePath, ProjectQuery),
    responses((status = 200, description = "The registrar.", body = RegistrarJson)))]
pub async fn get_registrar(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(name): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<Json<RegistrarJson>, ApiError> {
    let request = v1::GetRegistrarRequest {
        name,
        project: query.project,
        consistency: 0,
    };
    let registrar = api.get_registrar(request, &call).await?.registrar;
    Ok(Json(RegistrarJson::from(&registrar.unwrap_or_default())))
}

/// Deletes a registrar that no queued or running run uses.
#[utoipa::path(delete, path = "/registrars/{name}", tag = "sip", params(NamePath, ProjectQuery),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete_registrar(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(name): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteRegistrarRequest {
        name,
        project: query.project,
        request_id: request_id(&headers, None)?,
    };
    api.delete_registrar(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pools of accounts by project and name.
#[utoipa::path(get, path = "/account-pools", tag = "sip", params(NamedQuery),
    responses((status = 200, description = "A page of pools.", body = ListJson<AccountPoolJson>)))]
pub async fn list_pools(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<NamedQuery>,
) -> Result<Json<ListJson<AccountPoolJson>>, ApiError> {
    let request = v1::ListAccountPoolsRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_account_pools(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.pools,
        &response.next_page_token,
        response.revision,
    )))
}

/// The accounts of a pool by user name, and which runs use them. Secrets are never shown.
#[utoipa::path(get, path = "/account-pools/{name}", tag = "sip", params(NamePath, NamedQuery),
    responses((status = 200, description = "A page of accounts.", body = ListJson<SipAccountJson>)))]
pub async fn list_accounts(
    State(api): State<Api>,
    Reader(call): Reader,
    Id(pool): Id,
    Query(query): Query<NamedQuery>,
) -> Result<Json<ListJson<SipAccountJson>>, ApiError> {
    let request = v1::ListAccountsRequest {
        pool,
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_accounts(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.accounts,
        &response.next_page_token,
        response.revision,
    )))
}

/// Creates accounts of a pool, or replaces those of the same names; others stay.
#[utoipa::path(post, path = "/account-pools/{name}", tag = "sip", params(NamePath), request_body = AccountsBody,
    responses((status = 200, description = "The pool.", body = AccountPoolJson)))]
pub async fn apply_accounts(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(pool): Id,
    Body(body): Body,
) -> Result<Json<AccountPoolJson>, ApiError> {
    let body: AccountsBody = json(&body)?;
    let account = |account: AccountBody| v1::NewSipAccount {
        username: account.username,
        secret: account.secret,
        realm: account.realm.unwrap_or_default(),
    };
    let request = v1::ApplyAccountsRequest {
        pool,
        project: body.project,
        accounts: body.accounts.into_iter().map(account).collect(),
        request_id: request_id(&headers, body.request_id)?,
    };
    let pool = api.apply_accounts(request, &call).await?.pool;
    Ok(Json(AccountPoolJson::from(&pool.unwrap_or_default())))
}

/// Deletes accounts that no queued or running run uses.
#[utoipa::path(delete, path = "/account-pools/{name}", tag = "sip", params(NamePath, DeleteAccountsQuery),
    responses((status = 204, description = "They are gone.")))]
pub async fn delete_accounts(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(pool): Id,
    Query(query): Query<DeleteAccountsQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteAccountsRequest {
        pool,
        project: query.project,
        all: query.username.is_none(),
        usernames: query.username.into_iter().collect(),
        request_id: request_id(&headers, None)?,
    };
    api.delete_accounts(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Media files by project and name.
#[utoipa::path(get, path = "/media", tag = "sip", params(NamedQuery),
    responses((status = 200, description = "A page of media files.", body = ListJson<MediaFileJson>)))]
pub async fn list_media(
    State(api): State<Api>,
    Reader(call): Reader,
    Query(query): Query<NamedQuery>,
) -> Result<Json<ListJson<MediaFileJson>>, ApiError> {
    let request = v1::ListMediaRequest {
        page_size: query.page_size,
        page_token: query.page_token,
        consistency: consistency(query.consistency.as_deref())?,
        project: query.project,
    };
    let response = api.list_media(request, &call).await?;
    Ok(Json(ListJson::new(
        &response.media,
        &response.next_page_token,
        response.revision,
    )))
}

/// Stores a media file, or replaces the one of this name: WAV of at most 1 MiB, 8,000 Hz, one channel, 16 bit PCM, PCMU or PCMA.
#[utoipa::path(post, path = "/media/{name}", tag = "sip", params(NamePath, ProjectQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "It was replaced.", body = MediaFileJson),
        (status = 201, description = "It is new.", body = MediaFileJson)))]
pub async fn put_media(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(name): Id,
    Query(query): Query<ProjectQuery>,
    Body(body): Body,
) -> Result<(StatusCode, Json<MediaFileJson>), ApiError> {
    let request = v1::PutMediaRequest {
        name,
        project: query.project,
        content: body.to_vec(),
        request_id: request_id(&headers, None)?,
    };
    let response = api.put_media(request, &call).await?;
    let media = response.media.unwrap_or_default();
    Ok((status(response.created), Json(MediaFileJson::from(&media))))
}

/// Deletes a media file that no queued or running run sends.
#[utoipa::path(delete, path = "/media/{name}", tag = "sip", params(NamePath, ProjectQuery),
    responses((status = 204, description = "It is gone.")))]
pub async fn delete_media(
    State(api): State<Api>,
    Operator(call): Operator,
    headers: HeaderMap,
    Id(name): Id,
    Query(query): Query<ProjectQuery>,
) -> Result<StatusCode, ApiError> {
    let request = v1::DeleteMediaRequest {
        name,
        project: query.project,
        request_id: request_id(&headers, None)?,
    };
    api.delete_media(request, &call).await?;
    Ok(StatusCode::NO_CONTENT)
}
