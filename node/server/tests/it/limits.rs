//! Definitions and calls at, below and above their limits: what is refused, and by which field.

use serde_json::{Value, json};

use crate::http::{Answer, get, send};
use crate::node::Node;

async fn post(node: &Node, path: &str, body: &str) -> Answer {
    send(node.http, "POST", path, &[], body).await.unwrap()
}

/// A definition of one group, with one field changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = json!({
        "name": "d", "duration": "20s", "buildup": "0s", "queueTimeout": "5s", "maxExecution": "1m",
        "groups": [{"name": "g", "endpoints": 1, "sim": {"setup": "1ms..2ms"}}],
    });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() {
        &mut document
    } else {
        document.pointer_mut(parent).unwrap()
    };
    parent.as_object_mut().unwrap().insert(key.to_owned(), value);
    document
}

// Covers: R125, R126 (D9, D10)
#[tokio::test]
async fn every_field_is_refused_by_name_beyond_its_limits_and_taken_at_them() {
    let node = Node::start().await;
    let name = |length| "n".repeat(length);
    let groups = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"name": n.to_string(), "endpoints": 1}))
            .collect()
    };
    let no_worker = "0190a6e0-0000-7000-8000-000000000000";
    let nothing: &[&str] = &[];
    let table = [
        ("/name", json!(name(128)), nothing),
        ("/name", json!(name(129)), &["name"]),
        ("/name", json!(""), &["name"]),
        ("/name", json!("a\nb"), &["name"]),
        ("/duration", json!("1ms"), nothing),
        ("/duration", json!("24h"), nothing),
        ("/duration", json!("0s"), &["duration"]),
        ("/duration", json!("-1s"), &["duration"]),
        ("/duration", json!("876000h"), &["duration"]),
        ("/duration", json!("99999999999999999999h"), &["duration"]),
        ("/duration", json!(20), &["duration"]),
        ("/buildup", json!("24h"), nothing),
        ("/buildup", json!("24h1ms"), &["buildup"]),
        ("/queueTimeout", json!("0s"), nothing),
        ("/queueTimeout", json!("1h"), nothing),
        ("/queueTimeout", json!("61m"), &["queue_timeout"]),
        ("/maxExecution", json!("24h"), nothing),
        ("/maxExecution", json!("25h"), &["max_execution"]),
        ("/maxExecution", json!("0s"), &["max_execution"]),
        ("/groups", json!([]), &["groups"]),
        ("/groups", groups(1_000), nothing),
        ("/groups", groups(1_001), &["groups"]),
        ("/groups/0/endpoints", json!(10_000_000), nothing),
        ("/groups/0/endpoints", json!(0), &["groups[0].endpoints"]),
        ("/groups/0/endpoints", json!(-1), &["groups[0].endpoints"]),
        ("/groups/0/endpoints", json!(1.5), &["groups[0].endpoints"]),
        (
            "/groups/0/endpoints",
            json!(10_000_001),
            &["groups", "groups[0].endpoints"],
        ),
        (
            "/groups/0/endpoints",
            json!(2_147_483_648_u64),
            &["groups", "groups[0].endpoints"],
        ),
        (
            "/groups/0/endpoints",
            json!(4_294_967_296_u64),
            &["groups[0].endpoints"],
        ),
        // An unknown region is no error of the definition: a worker there may come (D10).
        ("/groups/0/region", json!("atlantis"), nothing),
        ("/groups/0/worker", json!("w1"), &["groups[0].worker"]),
        ("/groups/0/worker", json!(no_worker), &["groups[0].worker"]),
        ("/groups/0/labels", json!({"": "x"}), &["groups[0].labels[\"\"]"]),
        (
            "/groups/0/callee",
            json!({"group": "g"}),
            &["groups[0].callee.group"],
        ),
        (
            "/groups/0/callee",
            json!({"group": "x"}),
            &["groups[0].callee.group"],
        ),
        ("/groups/0/callee", json!({}), &["groups[0].callee.group"]),
        (
            "/groups/0/sim",
            json!({"setup": "2s..1s"}),
            &["groups[0].sim.setup"],
        ),
        ("/onWorkerLoss", json!("fail"), nothing),
        ("/onWorkerLoss", json!({"failAbove": "99.9999%"}), nothing),
        (
            "/onWorkerLoss",
            json!({"failAbove": "100%"}),
            &["on_worker_loss.fail_above"],
        ),
        (
            "/onWorkerLoss",
            json!({"failAbove": "20"}),
            &["on_worker_loss.fail_above"],
        ),
        ("/onWorkerLoss", json!("panic"), &["on_worker_loss"]),
        ("/colour", json!("red"), &["colour"]),
    ];
    for (pointer, value, fields) in table {
        let shown: String = value.to_string().chars().take(60).collect();
        let document = with(pointer, value).to_string();
        let planned = post(&node, "/runs/plan", &document).await;
        let expected = if fields.is_empty() { 200 } else { 400 };
        assert_eq!(planned.status, expected, "{pointer} {shown}: {}", planned.body);
        if !fields.is_empty() {
            assert_eq!(planned.fields(), fields, "{pointer} {shown}");
            let created = post(&node, "/tests", &document).await;
            assert_eq!(
                (created.status, created.fields()),
                (400, fields.iter().map(ToString::to_string).collect()),
                "both say the same: {pointer} {shown}"
            );
        }
    }
    let tests = get(node.http, "/tests").await.unwrap().json();
    assert_eq!(tests["items"], json!([]), "nothing was written");
    node.stop().await.unwrap();
}

// Covers: R199 (D8)
#[tokio::test]
async fn a_run_of_a_deleted_test_and_a_plan_of_nothing_are_answered_in_words() {
    let node = Node::start().await;
    let document = with("/name", json!("gone")).to_string();
    assert_eq!(post(&node, "/tests", &document).await.status, 201);
    let deleted = send(node.http, "DELETE", "/tests/gone", &[], "").await.unwrap();
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    for path in ["/tests/gone/run", "/runs/plan?test=gone"] {
        let answer = post(&node, path, "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "TEST_NOT_FOUND"),
            "{path}"
        );
    }
    let neither = post(&node, "/runs/plan", "").await;
    assert_eq!(
        (neither.status, neither.fields()),
        (400, vec!["definition".to_owned()])
    );
    let both = post(&node, "/runs/plan?test=gone", &document).await;
    assert_eq!((both.status, both.fields()), (400, vec!["test".to_owned()]));
    node.stop().await.unwrap();
}
