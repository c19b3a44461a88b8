//! Health, readiness, metrics and reflection.

use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::get;
use crate::node::Node;

#[tokio::test]
async fn a_single_node_is_alive_ready_and_the_leader() {
    let node = Node::start().await;
    assert_eq!(get(node.http, "/healthz").await.unwrap().status, 200);
    assert_eq!(get(node.http, "/readyz").await.unwrap().status, 200);
    for service in ["", "liveness", "readiness", "reeve.v1.Leader"] {
        let mut watch = HealthClient::new(node.channel.clone())
            .watch(HealthCheckRequest {
                service: service.to_owned(),
            })
            .await
            .unwrap()
            .into_inner();
        loop {
            let HealthCheckResponse { status } = watch.message().await.unwrap().unwrap();
            if status == ServingStatus::Serving as i32 {
                break;
            }
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn metrics_count_calls_by_route_and_describe_the_state() {
    let node = Node::start().await;
    node.create_test("smoke").await;
    get(node.http, "/tests/smoke").await.unwrap();
    get(node.http, "/tests/nothing").await.unwrap();
    let text = get(node.http, "/metrics").await.unwrap().body;
    for line in [
        "# TYPE reeve_api_seconds histogram",
        "# TYPE reeve_api_requests_total counter",
        "reeve_api_requests_total{service=\"reeve.v1.Tests\",method=\"CreateTest\",code=\"OK\"}",
        "reeve_api_requests_total{service=\"rest\",method=\"GET /tests/{id}\",code=\"NOT_FOUND\"}",
        "reeve_api_seconds_bucket{service=\"rest\",method=\"GET /tests/{id}\",le=\"+Inf\"}",
        "reeve_build_info{version=",
        "reeve_runs{status=\"RUNNING\"} 0",
        "reeve_worker_sessions 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert_eq!(text.matches("# TYPE reeve_runs ").count(), 1);
    node.stop().await.unwrap();
}
