//! Health and metrics over HTTP, for probes and Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::error::WorkerError;

/// What `/healthz` shows. The endpoint answers 200 as long as the process works: losing the cluster is no reason to
/// restart a worker whose endpoints go on (R46).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether a session stands.
    pub connected: bool,
    /// The node of the session.
    pub node: Option<String>,
    /// Known after the first session.
    pub worker_id: Option<String>,
    /// Endpoints that began and have not closed.
    pub active_endpoints: u32,
    /// Whether nothing new is taken.
    pub draining: bool,
}

/// Written by the agent, read by the server.
pub type SharedHealth = Arc<Mutex<Health>>;

/// The running server; dropping it ends it.
#[derive(Debug)]
pub struct HttpServer(AbortHandle);

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Binds the address and serves.
pub async fn serve(
    addr: SocketAddr,
    health: SharedHealth,
    metrics: PrometheusHandle,
) -> Result<HttpServer, WorkerError> {
    let failed = |source| WorkerError::Http { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    info!(addr = %listener.local_addr().map_err(failed)?, "health and metrics");
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(health, metrics)).await {
            warn!(%error, "health and metrics are no longer served");
        }
    });
    Ok(HttpServer(server.abort_handle()))
}

fn router(health: SharedHealth, metrics: PrometheusHandle) -> Router {
    let show_health = |State(health): State<SharedHealth>| async move { Json(health.lock().clone()) };
    let show_metrics =
        || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response() };
    Router::new()
        .route("/healthz", get(show_health))
        .route("/metrics", get(show_metrics))
        .with_state(health)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use reeve_proto::v1::EndpointOutcome;
    use tower::ServiceExt as _;

    use super::*;
    use crate::telemetry::Telemetry;

    async fn body(router: Router, path: &str) -> String {
        let answer = router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert!(answer.status().is_success());
        String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn health_is_camel_case_json() {
        let health = SharedHealth::default();
        health.lock().active_endpoints = 7;
        let router = router(health, Telemetry::new(5).unwrap().handle());
        let json: serde_json::Value = serde_json::from_str(&body(router, "/healthz").await).unwrap();
        let expected = serde_json::json!({
            "connected": false, "node": null, "workerId": null, "activeEndpoints": 7, "draining": false
        });
        assert_eq!(json, expected);
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let telemetry = Telemetry::new(5).unwrap();
        telemetry.closed(EndpointOutcome::CallFailed);
        telemetry.heartbeats.increment(2);
        let text = body(router(SharedHealth::default(), telemetry.handle()), "/metrics").await;
        for line in [
            "# TYPE reeve_worker_heartbeats_total counter",
            "reeve_worker_heartbeats_total 2",
            "reeve_worker_capacity_endpoints 5",
            "reeve_worker_endpoint_outcomes_total{outcome=\"CALL_FAILED\"} 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
