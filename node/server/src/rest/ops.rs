//! `/metrics`, `/healthz` and `/readyz`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::Api;
use crate::error::ApiError;
use crate::readiness;
use crate::telemetry;

pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::render(api.context()),
    )
}

/// The process works; it says nothing about the cluster.
pub async fn healthz() -> &'static str {
    "ok\n"
}

pub async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    readiness::check(api.context()).await.map(|()| "ok\n")
}
