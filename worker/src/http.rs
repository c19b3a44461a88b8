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
use reeve_proto::v1::HealthReport;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::capacity::Capacity;
use crate::cause::CauseKind;
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
    /// Why, if the worker drains.
    pub drain_reason: Option<String>,
    /// What keeps it from a session, as of the last attempt; null while one stands.
    pub problem: Option<Problem>,
    /// How many endpoints it takes and why; null for a ping worker.
    pub capacity: Option<ShownCapacity>,
    /// The last look at the host or container.
    pub resources: Resources,
}

/// The last failed attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where.
    pub node: String,
    /// The label of the cause, as in `/metrics`.
    pub cause: &'static str,
    /// What happened and what to do next.
    pub message: String,
}

impl Problem {
    /// In the words of the log.
    pub fn new(node: &str, kind: CauseKind) -> Self {
        Self {
            node: node.to_owned(),
            cause: kind.label(),
            message: format!("{}; {}", kind.explanation(), kind.advice(node)),
        }
    }
}

/// The capacity and its bounds, in endpoints (R93, R112).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownCapacity {
    /// In force.
    pub endpoints: u32,
    /// The bound that decided.
    pub bound_by: &'static str,
    /// What the processors would allow.
    pub by_cpu: u32,
    /// What the memory would allow.
    pub by_memory: u32,
    /// What was configured.
    pub configured: Option<u32>,
    /// Of the endpoints at most so many of SIP; none: any.
    pub sip: Option<u32>,
}

impl From<&Capacity> for ShownCapacity {
    fn from(capacity: &Capacity) -> Self {
        Self {
            endpoints: capacity.endpoints,
            bound_by: capacity.bound.name(),
            by_cpu: capacity.by_cpu,
            by_memory: capacity.by_memory,
            configured: capacity.configured(),
            sip: capacity.sip_endpoints(),
        }
    }
}

/// Per cent of the container's limits, or of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// A mean.
    pub cpu_percent: u32,
    /// Memory.
    pub memory_percent: u32,
    /// The disk of `--disk-path`.
    pub disk_percent: u32,
}

impl From<HealthReport> for Resources {
    fn from(report: HealthReport) -> Self {
        Self {
            cpu_percent: report.cpu_percent,
            memory_percent: report.memory_percent,
            disk_percent: report.disk_percent,
        }
    }
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
    use crate::capacity::{CapacityRules, SipRule};
    use crate::health::Allowance;
    use crate::telemetry::Telemetry;

    async fn body(router: Router, path: &str) -> String {
        let answer = router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert!(answer.status().is_success());
        String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    fn capacity() -> Capacity {
        let rules = CapacityRules {
            configured: Some(5),
            sip: SipRule::Given(3),
            ..CapacityRules::default()
        };
        rules.derive(Allowance {
            cores: 2.0,
            memory_bytes: 1 << 30,
        })
    }

    // Covers: R93, R100, R112
    #[tokio::test]
    async fn health_is_camel_case_json() {
        let health = SharedHealth::default();
        {
            let mut health = health.lock();
            health.active_endpoints = 7;
            health.capacity = Some((&capacity()).into());
            health.problem = Some(Problem::new("n1:50052", CauseKind::Refused));
            health.resources.memory_percent = 12;
        }
        let router = router(health, Telemetry::new().unwrap().handle());
        let json: serde_json::Value = serde_json::from_str(&body(router, "/healthz").await).unwrap();
        let expected = serde_json::json!({
            "connected": false, "node": null, "workerId": null, "activeEndpoints": 7, "draining": false,
            "drainReason": null,
            "problem": {
                "node": "n1:50052",
                "cause": "refused",
                "message": "nothing listens at this address; check that a node runs there and that 50052 is its gRPC \
                            port, and REEVE_NODES (--node)",
            },
            "capacity": {
                "endpoints": 5, "boundBy": "CONFIGURED", "byCpu": 100_000, "byMemory": 65_536, "configured": 5,
                "sip": 3
            },
            "resources": {"cpuPercent": 0, "memoryPercent": 12, "diskPercent": 0},
        });
        assert_eq!(json, expected);
    }

    // Covers: R59, R60, R93, R112
    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let telemetry = Telemetry::of_session(&capacity()).unwrap();
        telemetry.closed(EndpointOutcome::CallFailed);
        telemetry.heartbeats.increment(2);
        telemetry.resources(&HealthReport {
            cpu_percent: 50,
            memory_percent: 25,
            disk_percent: 0,
        });
        let text = body(router(SharedHealth::default(), telemetry.handle()), "/metrics").await;
        for line in [
            "# TYPE reeve_worker_heartbeats_total counter",
            "reeve_worker_heartbeats_total 2",
            "reeve_worker_capacity_endpoints 5",
            "reeve_worker_sip_capacity_endpoints 3",
            "reeve_worker_capacity_bound_endpoints{bound=\"MEMORY\"} 65536",
            "reeve_worker_resource_used_ratio{resource=\"CPU\"} 0.5",
            "reeve_worker_endpoint_outcomes_total{outcome=\"CALL_FAILED\"} 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
