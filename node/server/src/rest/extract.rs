//! What handlers take from a request, with errors of our own form.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_state::record::Access;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::{IntoParams, ToSchema};

use crate::api::{Api, Call};
use crate::error::ApiError;

/// Names a request, so that repeating it changes nothing (D15).
const REQUEST_ID: &str = "x-request-id";

/// The largest body, bytes: as large as a gRPC message.
pub const MAX_BODY: usize = 4 << 20;

/// The id in the path.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|error| ApiError::invalid("id", error.body_text()))
    }
}

macro_rules! admitted {
    ($($(#[$doc:meta])* $name:ident $access:ident),+ $(,)?) => {
        $($(#[$doc])*
        pub struct $name(pub Call);

        impl FromRequestParts<Api> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
                api.admit(authorization(parts), Access::$access, None).await.map(Self)
            }
        })+
    };
}

admitted! {
    /// A call of a caller who may see.
    Reader Read,
    /// A call of a caller who may change tests, runs and workers.
    Operator Operate,
    /// A call of a caller who may change keys.
    Admin Administer,
    /// A call of a caller who may speak as a ping worker.
    Pinger Ping,
}

/// A call of anyone whose key is in force.
pub struct Anyone(pub Call);

impl FromRequestParts<Api> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        api.identify(authorization(parts), None).await.map(Self)
    }
}

fn authorization(parts: &Parts) -> Option<&str> {
    parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
}

/// The query, whose every name has to be known.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|query| Self(query.0))
            .map_err(|error| ApiError::invalid("query", error.body_text()))
    }
}

/// The body as bytes.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await;
        bytes.map(Self).map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { limit: MAX_BODY },
            _ => ApiError::Malformed(error.body_text()),
        })
    }
}

/// Reads a JSON object; no body at all is an empty object. A value that is wrong is named by its field.
pub fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (field, error) = (error.path().to_string(), error.into_inner());
        match (error.classify(), field.as_str()) {
            (Category::Data, field) if field != "." => ApiError::invalid(field, error.to_string()),
            _ => ApiError::Malformed(error.to_string()),
        }
    })?;
    reader
        .end()
        .map_err(|error| ApiError::Malformed(error.to_string()))?;
    Ok(value)
}

/// A count that is left out, or at least 1: on the wire 0 is what is left out.
pub fn positive<T: Default + PartialEq>(field: &str, given: Option<T>) -> Result<T, ApiError> {
    if given == Some(T::default()) {
        return Err(ApiError::invalid(field, "must be at least 1, or be left out"));
    }
    Ok(given.unwrap_or_default())
}

/// A body that only names the request, if it is there.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestIdBody {
    /// Repeating a request under the same id changes nothing.
    pub request_id: Option<String>,
}

/// An empty object, if it is there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingBody {}

/// A worker in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "described here, read by Id")]
pub struct WorkerPath {
    /// Id or name of the worker.
    uuid: String,
}

/// An object in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "described here, read by Id")]
pub struct IdPath {
    /// Its id, or its name where it has one.
    id: String,
}

/// The request id of the header, unless the body has one.
pub fn request_id(headers: &HeaderMap, body: Option<String>) -> Result<String, ApiError> {
    let header = match headers.get(REQUEST_ID).map(|value| value.to_str()) {
        None => None,
        Some(Ok(value)) => Some(value.to_owned()),
        Some(Err(_)) => return Err(ApiError::invalid("X-Request-Id", "must be printable ASCII")),
    };
    match (header, body) {
        (Some(header), Some(body)) if header != body => Err(ApiError::invalid(
            "requestId",
            "differs from the header X-Request-Id",
        )),
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Ok(String::new()),
    }
}

/// A name of an enum in any case; nothing is 0, which is unspecified.
pub fn named<E: Named + Into<i32>>(field: &str, name: Option<&str>) -> Result<i32, ApiError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(0);
    };
    match E::from_name(name) {
        Some(value) => Ok(value.into()),
        None => Err(ApiError::invalid(
            field,
            format!("{name:?} is not one of {}", E::expected()),
        )),
    }
}

/// `?consistency=`, on every read.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadQuery {
    /// linearizable, the default, or local.
    consistency: Option<String>,
}

impl ReadQuery {
    pub fn consistency(&self) -> Result<i32, ApiError> {
        consistency(self.consistency.as_deref())
    }
}

/// `linearizable` or `local`, in any case.
pub fn consistency(name: Option<&str>) -> Result<i32, ApiError> {
    let value = match name.map(str::to_ascii_uppercase).as_deref() {
        None | Some("") => v1::Consistency::Unspecified,
        Some("LINEARIZABLE") => v1::Consistency::Linearizable,
        Some("LOCAL") => v1::Consistency::Local,
        Some(other) => {
            let rule = format!("{other:?} is not one of LINEARIZABLE, LOCAL");
            return Err(ApiError::invalid("consistency", rule));
        }
    };
    Ok(value.into())
}

/// The query of a list without filters.
#[derive(Deserialize, Default, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    #[serde(default)]
    #[param(required = false)]
    pub page_size: u32,
    #[serde(default)]
    #[param(required = false)]
    pub page_token: String,
    /// linearizable, the default, or local.
    pub consistency: Option<String>,
}

/// `?project=`, where a call may name one.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProjectQuery {
    /// Left out: the project of the caller's key. Only ADMIN keys may name another.
    #[serde(default)]
    #[param(required = false)]
    pub project: String,
}
