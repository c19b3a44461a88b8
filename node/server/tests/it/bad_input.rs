//! Input that no client should send: refused with the rule, quickly, and the node is as before.

use std::time::Duration;

use reeve_proto::v1;
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::http::{Answer, get, send};
use crate::node::{Node, definition};

/// A generous bound for an answer that is to come at once.
const QUICKLY: Duration = Duration::from_secs(10);
/// More than a node needs for a body that it refuses: what it read of it, several times over.
const MEMORY_BYTES: u64 = 128 << 20;

fn fields(status: &Status) -> Vec<(String, String)> {
    let bad = status.get_details_bad_request();
    let violations = bad.into_iter().flat_map(|bad| bad.field_violations);
    violations
        .map(|violation| (violation.field, violation.description))
        .collect()
}

fn create(definition: v1::TestDefinition) -> v1::CreateTestRequest {
    v1::CreateTestRequest {
        definition: Some(definition),
        ..Default::default()
    }
}

async fn post(node: &Node, path: &str, body: &str) -> Answer {
    send(node.http, "POST", path, &[], body).await.unwrap()
}

/// Resident memory of this process, in which the node runs, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

async fn unharmed(node: &Node) {
    let listed = get(node.http, "/tests").await.unwrap();
    assert_eq!((listed.status, listed.json()["items"].clone()), (200, json!([])));
}

#[tokio::test]
async fn a_body_of_50_mb_is_refused_without_being_kept() {
    let node = Node::start().await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(50 << 20));
    let before = resident();
    for path in [
        "/tests",
        "/api/v1/tests",
        "/workers",
        "/tests/x/run",
        "/keys",
        "/workers/register",
    ] {
        let began = Instant::now();
        let answer = post(&node, path, &body).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (413, "BODY_TOO_LARGE"),
            "{path}"
        );
        assert_eq!(
            answer.json()["error"]["details"]["limitBytes"],
            "4194304",
            "{path}"
        );
        assert!(began.elapsed() < QUICKLY, "{path}");
    }
    let mut large = definition("large");
    large.groups[0].name = "x".repeat(50 << 20);
    let status = node.tests().create_test(create(large)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(
        status.message().contains("message length too large"),
        "{status:?}"
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < MEMORY_BYTES + 2 * body.len() as u64, "{grown} bytes");
    unharmed(&node).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_hundred_thousand_groups_are_refused_with_the_rule() {
    let node = Node::start().await;
    let rule = "at most 1000 groups, found 100000";
    let group = |index: usize| json!({"name": format!("g{index}"), "endpoints": 1});
    let groups: Vec<Value> = (0..100_000).map(group).collect();
    let body = json!({"name": "many", "duration": "1s", "groups": groups}).to_string();
    let began = Instant::now();
    let answer = post(&node, "/tests", &body).await;
    assert_eq!((answer.status, answer.fields()), (400, vec!["groups".to_owned()]));
    assert!(answer.body.contains(rule), "{}", answer.body);
    assert!(began.elapsed() < QUICKLY);
    let mut many = definition("many");
    many.groups = (0..100_000)
        .map(|index| v1::Group {
            name: format!("g{index}"),
            executor: None,
            ..many.groups[0].clone()
        })
        .collect();
    let began = Instant::now();
    let status = node.tests().create_test(create(many)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        fields(&status).contains(&("groups".to_owned(), rule.to_owned())),
        "{:?}",
        fields(&status)
    );
    assert!(began.elapsed() < QUICKLY);
    let nothing = vec![json!({}); 100_000];
    let body = json!({"name": "many", "duration": "1s", "groups": nothing}).to_string();
    let answer = post(&node, "/tests", &body).await;
    assert_eq!(answer.status, 400);
    let size = answer.body.len();
    assert!(size < 1 << 20, "the answer is bounded too: {size}");
    assert!(
        answer.body.contains(" more\"") || answer.body.contains(rule),
        "and says so"
    );
    // What a caller sent comes back cut, or the answer could not be sent at all.
    let request = v1::GetTestRequest {
        id: "x".repeat(3 << 20),
        ..Default::default()
    };
    let status = node.tests().get_test(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{}", status.message().len());
    unharmed(&node).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn durations_and_sizes_out_of_bounds_are_refused_by_field() {
    let node = Node::start().await;
    let rows: [(&str, &str, Value); 12] = [
        ("duration", "duration", json!("0s")),
        ("duration", "duration", json!("-1s")),
        ("duration", "duration", json!("876000h")),
        ("duration", "duration", json!("99999999999999999999h")),
        ("buildup", "buildup", json!("876000h")),
        ("queueTimeout", "queue_timeout", json!("2h")),
        ("queueTimeout", "queue_timeout", json!("-5s")),
        ("maxExecution", "max_execution", json!("25h")),
        ("endpoints", "groups[0].endpoints", json!(0)),
        ("endpoints", "groups[0].endpoints", json!(2_147_483_648_u64)),
        ("endpoints", "groups[0].endpoints", json!(4_294_967_296_u64)),
        ("endpoints", "groups[0].endpoints", json!(-1)),
    ];
    for (name, field, value) in rows {
        let mut group = json!({"name": "g", "endpoints": 1});
        let mut body = json!({"name": "t", "duration": "20s"});
        let place = if name == "endpoints" {
            &mut group
        } else {
            &mut body
        };
        place[name] = value.clone();
        body["groups"] = json!([group]);
        let answer = post(&node, "/tests", &body.to_string()).await;
        assert_eq!(answer.status, 400, "{name} {value}: {}", answer.body);
        let same = |named: &String| {
            named
                .replace("queueTimeout", "queue_timeout")
                .replace("maxExecution", "max_execution")
        };
        let named: Vec<String> = answer.fields().iter().map(same).collect();
        assert!(
            named.iter().any(|named| named == field),
            "{name} {value}: {}",
            answer.body
        );
    }
    unharmed(&node).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn durations_that_only_grpc_can_say_are_refused_by_field() {
    let node = Node::start().await;
    let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    for duration in [
        None,
        span(0, 0),
        span(-1, 0),
        span(0, -1),
        span(1, -1),
        span(i64::MAX, 999_999_999),
        span(i64::MIN, -999_999_999),
        span(1, i32::MAX),
        span(100 * 365 * 24 * 3_600, 0),
    ] {
        let wrong = v1::TestDefinition {
            duration,
            ..definition("wrong")
        };
        let status = node.tests().create_test(create(wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{duration:?}");
        assert!(
            fields(&status).iter().any(|(field, _)| field == "duration"),
            "{duration:?}: {status:?}"
        );
    }
    for endpoints in [0, 1 << 31, u32::MAX] {
        let mut wrong = definition("wrong");
        wrong.groups[0].endpoints = endpoints;
        let status = node.tests().create_test(create(wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{endpoints}");
        let named = fields(&status);
        assert!(
            named.iter().any(|(field, _)| field == "groups[0].endpoints"),
            "{endpoints}: {named:?}"
        );
    }
    unharmed(&node).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_run_is_stopped_once_and_a_deleted_test_cannot_be_run() {
    let node = Node::start().await;
    node.create_test("smoke").await;
    let run = post(&node, "/tests/smoke/run", "").await.json();
    let path = format!("/runs/{}", run["id"].as_str().unwrap());
    let stop = |request_id: &'static str| {
        let body = json!({ "requestId": request_id }).to_string();
        let (node, path) = (&node, format!("{path}/stop"));
        async move { post(node, &path, &body).await }
    };
    let (first, second) = (stop("a").await, stop("b").await);
    // Nobody was there to run it, so that it may have ended before either of them.
    let ended = |answer: &Answer| answer.status == 400 && answer.reason() == "RUN_CANNOT_RUN_FOR_NOW";
    assert!(first.status == 200 || ended(&first), "{}", first.body);
    assert!(second.status == 200 || ended(&second), "{}", second.body);
    let again = stop("a").await;
    assert_eq!(again.status, first.status, "the same request, the same answer");
    let ended = async {
        while get(node.http, &path).await.unwrap().json()["status"] != "CANNOT_RUN_FOR_NOW" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the run ends");
    let deleted = send(node.http, "DELETE", "/tests/smoke", &[], "").await.unwrap();
    assert_eq!(deleted.status, 204);
    let twice = send(node.http, "DELETE", "/tests/smoke", &[], "").await.unwrap();
    assert_eq!((twice.status, twice.reason().as_str()), (404, "TEST_NOT_FOUND"));
    for test in ["smoke", run["testId"].as_str().unwrap()] {
        let refused = post(&node, &format!("/tests/{test}/run"), "").await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (404, "TEST_NOT_FOUND")
        );
    }
    unharmed(&node).await;
    node.stop().await.unwrap();
}
