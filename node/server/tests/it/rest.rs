//! The REST API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, get, send};
use crate::node::Node;

fn smoke(name: &str) -> String {
    let group = json!({"name": "callers", "endpoints": 200, "sim": {"setup": "200ms..800ms"}});
    json!({"name": name, "duration": "20s", "groups": [group]}).to_string()
}

async fn post(node: &Node, path: &str, body: &str) -> Answer {
    send(node.http, "POST", path, &[], body).await.unwrap()
}

#[tokio::test]
async fn tests_and_runs_over_rest() {
    let node = Node::start().await;
    let created = post(&node, "/tests", &smoke("smoke")).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let test = created.json();
    assert_eq!(test["definition"]["queueTimeout"], "5s", "defaults are shown");
    let id = test["id"].as_str().unwrap();
    for path in [
        format!("/tests/{id}"),
        "/tests/smoke".to_owned(),
        format!("/api/v1/tests/{id}"),
    ] {
        assert_eq!(get(node.http, &path).await.unwrap().json(), test, "{path}");
    }
    let started = post(&node, &format!("/tests/{id}/run"), r#"{"requestId":"r1"}"#).await;
    assert_eq!(started.status, 201, "{}", started.body);
    let run = started.json();
    assert_eq!(run["timeline"][0]["status"], "PENDING");
    let run_id = run["id"].as_str().unwrap();
    let again = send(
        node.http,
        "POST",
        &format!("/tests/{id}/run"),
        &[("X-Request-Id", "r1")],
        "",
    )
    .await
    .unwrap();
    assert_eq!(again.json()["id"], run_id, "the header is a request id too");

    let listed = get(node.http, "/runs?test=smoke&pageSize=10")
        .await
        .unwrap()
        .json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["nextPageToken"], "");
    assert!(listed["revision"].as_u64() >= run["revision"].as_u64());
    for part in ["timeline", "assignments", "endpoints"] {
        let answer = get(node.http, &format!("/runs/{run_id}/{part}")).await.unwrap();
        assert_eq!(answer.status, 200, "{part}: {}", answer.body);
        assert!(answer.json()["items"].is_array());
    }
    node.stop().await.unwrap();
}

// Covers: R185, R188
#[tokio::test]
async fn a_run_without_workers_ends_with_its_explanation_and_then_its_test_can_be_deleted() {
    let node = Node::start().await;
    let created = post(&node, "/tests", &smoke("smoke").replace("20s", "21s")).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let run = post(&node, "/tests/smoke/run", "").await.json();
    let path = format!("/runs/{}", run["id"].as_str().unwrap());
    let ended = async {
        loop {
            let run = get(node.http, &path).await.unwrap().json();
            if run["status"] == "CANNOT_RUN_FOR_NOW" {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let run = tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the run ends");
    assert_eq!(run["reason"]["code"], "NO_ONLINE_WORKERS");
    let explained = get(node.http, &format!("{path}/explain")).await.unwrap();
    let (status, explained) = (explained.status, explained.json());
    assert_eq!((status, &explained["reason"]), (200, &run["reason"]));
    assert_eq!(explained["groups"], run["explanation"]["groups"]);
    let stopped = post(&node, &format!("{path}/stop"), "").await;
    assert_eq!(
        (stopped.status, stopped.reason().as_str()),
        (400, "RUN_CANNOT_RUN_FOR_NOW")
    );
    let deleted = send(node.http, "DELETE", "/tests/smoke", &[], "").await.unwrap();
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(get(node.http, "/tests/smoke").await.unwrap().status, 404);
    assert_eq!(get(node.http, &path).await.unwrap().status, 200, "runs stay");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_404_with_its_reason() {
    let node = Node::start().await;
    let id = "0190a6e0-0000-7000-8000-000000000000";
    for (path, reason) in [
        (format!("/tests/{id}"), "TEST_NOT_FOUND"),
        (format!("/runs/{id}"), "RUN_NOT_FOUND"),
        (format!("/workers/{id}"), "WORKER_NOT_FOUND"),
        ("/nothing".to_owned(), "NO_SUCH_PATH"),
        ("/api/v1/nothing".to_owned(), "NO_SUCH_PATH"),
        ("/api/v2/tests".to_owned(), "NO_SUCH_PATH"),
    ] {
        let answer = get(node.http, &path).await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (404, reason), "{path}");
        assert_eq!(answer.json()["error"]["code"], "NOT_FOUND");
    }
    for (path, test) in [
        (format!("/tests/{id}/run"), "TEST_NOT_FOUND"),
        (format!("/runs/{id}/stop"), "RUN_NOT_FOUND"),
    ] {
        let answer = post(&node, &path, "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, test),
            "{path}: {}",
            answer.body
        );
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn bad_requests_are_400_and_name_the_field() {
    let node = Node::start().await;
    for (path, field) in [
        ("/runs?status=sleeping", "status"),
        ("/runs?pageToken=zz", "page_token"),
        ("/runs?consistency=maybe", "consistency"),
        ("/runs?colour=red", "query"),
        ("/runs/not-a-uuid", "id"),
        ("/workers?status=sleeping", "status"),
    ] {
        let answer = get(node.http, path).await.unwrap();
        assert_eq!(
            (answer.status, answer.fields()),
            (400, vec![field.to_owned()]),
            "{path}: {}",
            answer.body
        );
    }
    for (path, body, reason) in [
        ("/tests", "{", "MALFORMED_BODY"),
        ("/tests/x/run", "[]", "MALFORMED_BODY"),
        ("/workers", r#"{"name":"w","colour":"red"}"#, "INVALID_FIELDS"),
        (
            "/workers",
            r#"{"name":"w","region":"eu","capacity":0}"#,
            "INVALID_FIELDS",
        ),
        (
            "/workers",
            r#"{"name":"w","region":"eu","kind":"robot"}"#,
            "INVALID_FIELDS",
        ),
    ] {
        let answer = post(&node, path, body).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (400, reason),
            "{path} {body}: {}",
            answer.body
        );
    }
    let bad = r#"{"name":"","duration":"fast","groups":[{"name":"g","endpoints":0}]}"#;
    assert!(
        post(&node, "/tests", bad)
            .await
            .fields()
            .contains(&"duration".to_owned())
    );
    let both = send(
        node.http,
        "POST",
        "/tests/x/run",
        &[("X-Request-Id", "a")],
        r#"{"requestId":"b"}"#,
    )
    .await
    .unwrap();
    assert_eq!((both.status, both.fields()), (400, vec!["requestId".to_owned()]));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405() {
    let node = Node::start().await;
    for path in ["/tests", "/api/v1/tests", "/metrics"] {
        let answer = send(node.http, "PUT", path, &[], "").await.unwrap();
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (405, "METHOD_NOT_ALLOWED"),
            "{path}"
        );
    }
    node.stop().await.unwrap();
}

// Covers: R83, R84
#[tokio::test]
async fn a_worker_is_registered_with_enums_in_any_case() {
    let node = Node::start().await;
    let body = r#"{"name":"w1","region":"eu-west","kind":"user_owned","labels":{"rack":"1"},"capacity":50}"#;
    let created = post(&node, "/workers", body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let created = created.json();
    assert_eq!(created["token"].as_str().map(str::len), Some(68));
    assert_eq!(created["worker"]["kind"], "USER_OWNED");
    let offline = get(node.http, "/workers?status=offline").await.unwrap().json();
    assert_eq!(offline["items"], Value::Array(vec![created["worker"].clone()]));
    let taken = post(&node, "/workers", body).await;
    assert_eq!((taken.status, taken.reason().as_str()), (409, "NAME_TAKEN"));
    node.stop().await.unwrap();
}
