//! REST: the same handlers, JSON in camelCase, at the root and under `/api/v1`.

mod extract;
mod keys;
mod ops;
mod runs;
mod tests;
mod workers;

use axum::Router;
use axum::extract::Request;
use axum::routing::{delete, get, post};

use crate::api::Api;
use crate::error::ApiError;
use crate::telemetry;

/// All paths of a node's HTTP address.
pub fn router(api: Api) -> Router {
    let resources = resources();
    Router::new()
        .merge(resources.clone())
        .nest("/api/v1", resources)
        .route("/metrics", get(ops::metrics))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn(telemetry::rest))
        .with_state(api)
}

fn resources() -> Router<Api> {
    Router::new()
        .route("/tests", get(tests::list).post(tests::create))
        .route("/tests/{id}", get(tests::get).delete(tests::delete))
        .route("/tests/{id}/run", post(runs::start))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::get))
        .route("/runs/{id}/timeline", get(runs::timeline))
        .route("/runs/{id}/assignments", get(runs::assignments))
        .route("/runs/{id}/endpoints", get(runs::endpoints))
        .route("/runs/{id}/explain", get(runs::explain))
        .route("/runs/{id}/stop", post(runs::stop))
        .route("/workers", get(workers::list).post(workers::create))
        .route("/workers/{id}", get(workers::get))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/bootstrap", post(keys::bootstrap))
        .route("/keys/self", get(keys::who_am_i))
        .route("/keys/{id}", delete(keys::revoke))
}

async fn no_such_path(request: Request) -> ApiError {
    ApiError::NoSuchPath(request.uri().path().to_owned())
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::MethodNotAllowed {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    }
}
