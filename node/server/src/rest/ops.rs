//! `/metrics`, `/healthz` and `/readyz`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::Api;
use crate::error::ApiError;
use crate::readiness;
use crate::telemetry;

/// Metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")))]
pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::render(api.context()),
    )
}

/// The process works; it says nothing about the cluster.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "It works.", body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether calls are of use: this node knows a leader and keeps up.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, description = "It is ready.", body = String, content_type = "text/plain")))]
pub async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    readiness::check(api.context()).await.map(|()| "ok\n")
}
