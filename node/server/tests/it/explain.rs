//! Explain, plan and compare over both APIs, on a node without planners' help.

use serde_json::{Value, json};

use crate::http::{Answer, get, send};
use crate::node::Node;

async fn post(node: &Node, path: &str, body: &str) -> Answer {
    send(node.http, "POST", path, &[], body).await.unwrap()
}

fn document(name: &str, endpoints: u32, queue_timeout: &str) -> String {
    json!({
        "name": name, "duration": "20s", "queueTimeout": queue_timeout,
        "groups": [{"name": "callers", "endpoints": endpoints, "region": "eu-west"}],
    })
    .to_string()
}

/// A run that has ended.
async fn ended(node: &Node, test: &str) -> Value {
    let run = post(node, &format!("/tests/{test}/run"), "").await.json();
    let path = format!("/runs/{}", run["id"].as_str().unwrap());
    let wait = async {
        loop {
            let run = get(node.http, &path).await.unwrap().json();
            if run["status"] == "CANNOT_RUN_FOR_NOW" {
                return run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .expect("the run ends")
}

// Covers: R185, R188, R193, R198
#[tokio::test]
async fn a_plan_says_what_a_run_would_and_writes_nothing() {
    let node = Node::start().await;
    let (_, _) = node.create_worker("w1").await;
    let wish = document("smoke", 40, "5s");
    let before = get(node.http, "/runs").await.unwrap().json()["revision"].clone();
    let plan = post(&node, "/runs/plan", &wish).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let plan = plan.json();
    assert_eq!(plan["verdict"], "CANNOT_START");
    assert_eq!(plan["reason"]["code"], "NO_ONLINE_WORKERS");
    assert_eq!(plan["groups"][0]["workers"][0]["workerName"], "w1");
    assert_eq!(plan["groups"][0]["workers"][0]["filter"], "NOT_ONLINE");
    assert_eq!(plan["groups"][0]["workers"][0]["status"], "OFFLINE");
    let change = &plan["changes"][0];
    assert_eq!(
        (&change["kind"], &change["endpoints"], &change["place"]["region"]),
        (&json!("ADD_WORKER"), &json!(40), &json!("eu-west"))
    );
    assert!(
        plan.get("runId").is_none() && plan.get("status").is_none(),
        "{plan:#}"
    );
    let after = get(node.http, "/runs").await.unwrap().json();
    assert_eq!((&after["revision"], &after["items"]), (&before, &json!([])));

    assert_eq!(post(&node, "/tests", &wish).await.status, 201);
    let by_name = post(&node, "/runs/plan?test=smoke", "").await.json();
    assert_eq!(by_name["changes"], plan["changes"]);
    let run = ended(&node, "smoke").await;
    let explained = get(
        node.http,
        &format!("/runs/{}/explain", run["id"].as_str().unwrap()),
    )
    .await
    .unwrap()
    .json();
    for same in ["verdict", "reason", "message", "suggestion", "changes"] {
        assert_eq!(explained[same], plan[same], "{same}");
    }
    assert_eq!(explained["status"], "CANNOT_RUN_FOR_NOW");
    assert_eq!(
        explained["groups"], run["explanation"]["groups"],
        "as it was then"
    );
    node.stop().await.unwrap();
}

// Covers: R183
#[tokio::test]
async fn two_runs_are_compared() {
    let node = Node::start().await;
    assert_eq!(
        post(&node, "/tests", &document("one", 40, "5s")).await.status,
        201
    );
    assert_eq!(
        post(&node, "/tests", &document("two", 50, "5s")).await.status,
        201
    );
    let (a, b) = (ended(&node, "one").await, ended(&node, "two").await);
    let (a, b) = (a["id"].as_str().unwrap(), b["id"].as_str().unwrap());
    let compared = get(node.http, &format!("/runs/{a}/compare?with={b}"))
        .await
        .unwrap();
    assert_eq!(compared.status, 200, "{}", compared.body);
    let compared = compared.json();
    assert_eq!(compared["sameDefinition"], false);
    assert_eq!(
        (&compared["a"]["runId"], &compared["b"]["runId"]),
        (&json!(a), &json!(b))
    );
    assert_eq!(compared["a"]["durations"][0]["status"], "PENDING");
    assert_eq!(compared["a"]["endpoints"]["total"], 40);
    let again = get(node.http, &format!("/runs/{a}/compare?with={a}"))
        .await
        .unwrap()
        .json();
    assert_eq!(again["sameDefinition"], true);
    for (path, status) in [
        (format!("/runs/{a}/compare"), 400),
        (format!("/runs/{a}/compare?with=x"), 400),
        (
            format!("/runs/{a}/compare?with=0190a6e0-0000-7000-8000-000000000000"),
            404,
        ),
    ] {
        assert_eq!(get(node.http, &path).await.unwrap().status, status, "{path}");
    }
    node.stop().await.unwrap();
}
