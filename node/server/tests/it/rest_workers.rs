//! The paths of workers over REST (source 003).

use serde_json::{Value, json};

use crate::http::{Answer, get, send};
use crate::node::Node;
use crate::session::Session;

async fn post(node: &Node, path: &str, body: &str) -> Answer {
    send(node.http, "POST", path, &[], body).await.unwrap()
}

async fn read(node: &Node, path: &str) -> Value {
    let answer = get(node.http, path).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

async fn registered(node: &Node, name: &str) -> String {
    let body =
        json!({"version": "1.0.0", "name": name, "region": "eu-west", "functionBlocks": ["web/fetch:1.0.0"]});
    let answer = post(node, "/workers/register", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["uuid"].as_str().unwrap().to_owned()
}

// Covers: R6, R77, R343, R346, R347, R348, R349, R351, R352, R361, R362, R363, R364, R368, R374
#[tokio::test]
async fn the_whole_life_of_a_ping_worker_over_rest() {
    let node = Node::start().await;
    let uuid = registered(&node, "p1").await;
    let path = format!("/workers/{uuid}");
    assert_eq!(read(&node, &path).await["status"], "OFFLINE");
    let pinged = post(&node, &format!("{path}/ping"), "").await;
    assert_eq!(pinged.status, 200, "{}", pinged.body);
    assert_eq!(
        (
            pinged.json()["status"].clone(),
            pinged.json()["pingIntervalMs"].clone()
        ),
        (json!("ONLINE"), json!(20_000))
    );
    let body = r#"{"cpuPercent":12,"memoryPercent":34,"diskPercent":56,"activeEndpoints":7}"#;
    assert_eq!(post(&node, &format!("{path}/ping"), body).await.status, 200);
    for shown in [
        read(&node, &path).await,
        read(&node, "/workers/p1").await,
        read(&node, &format!("/api/v1{path}")).await,
    ] {
        assert_eq!(shown["profile"], "PING");
        assert_eq!(shown["region"], "eu-west");
        assert_eq!(shown["functionBlocks"], json!(["web/fetch:1.0.0"]));
        assert_eq!(
            shown["resources"],
            json!({"cpuPercent": 12, "memoryPercent": 34, "diskPercent": 56})
        );
        assert_eq!(shown["activeEndpoints"], 7);
    }
    let online = read(&node, "/workers/online").await;
    assert_eq!(
        (online["count"].clone(), online["items"][0]["id"].clone()),
        (json!(1), json!(uuid))
    );
    let blocks = read(&node, &format!("{path}/function-blocks")).await;
    assert_eq!(blocks["items"], json!(["web/fetch:1.0.0"]));
    let events = read(&node, &format!("{path}/events")).await;
    assert_eq!(events["items"][0]["kind"], "CONNECTED");

    let drained = post(
        &node,
        &format!("{path}/drain"),
        r#"{"reason":"rack","then":"resume","dryRun":true}"#,
    )
    .await;
    assert_eq!(
        drained.json()["worker"]["drain"]["then"],
        "RESUME",
        "{}",
        drained.body
    );
    assert_eq!(read(&node, &path).await["status"], "ONLINE", "that was a dry run");
    let drained = post(&node, &format!("{path}/drain"), "").await.json();
    assert_eq!(drained["worker"]["status"], "DRAINING");
    let undrained = post(&node, &format!("{path}/undrain"), "").await.json();
    assert_eq!(undrained["status"], "ONLINE");

    let left = post(&node, &format!("{path}/unregister"), "").await;
    assert_eq!(left.json()["status"], "OFFLINE", "{}", left.body);
    assert_eq!(left.json()["functionBlocks"], json!(["web/fetch:1.0.0"]));
    assert_eq!(read(&node, "/workers/online").await["count"], 0);
    let deleted = send(node.http, "DELETE", &path, &[], "").await.unwrap();
    assert_eq!(
        (deleted.status, deleted.json()["status"].clone()),
        (200, json!("DELETED"))
    );
    let gone = post(&node, &format!("{path}/ping"), "").await;
    assert_eq!((gone.status, gone.reason().as_str()), (404, "WORKER_NOT_FOUND"));
    assert_eq!(read(&node, "/workers").await["items"], json!([]));
    let all = read(&node, "/workers?findDeleted=true").await;
    assert_eq!(all["items"][0]["id"], json!(uuid));
    node.stop().await.unwrap();
}

// Covers: R369, R370
#[tokio::test]
async fn cleanups_over_rest_answer_what_they_deleted() {
    let node = Node::start().await;
    let uuid = registered(&node, "p1").await;
    let none = post(&node, "/workers/cleanup", "").await;
    assert_eq!(none.json(), json!({"deleted": []}));
    let all = post(&node, "/workers/cleanup-offline", "").await;
    assert_eq!(all.json(), json!({"deleted": [uuid]}));
    node.stop().await.unwrap();
}

// Covers: R91
#[tokio::test]
async fn a_token_is_regenerated_over_rest() {
    let node = Node::start().await;
    let (_, old) = node.create_worker("w1").await;
    let answer = post(&node, "/workers/w1/token", r#"{"tokenTtlS":3600}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let new = answer.json()["token"].as_str().unwrap().to_owned();
    assert!(answer.json()["worker"]["tokenExpiresAt"].is_string());
    let mut refused = Session::hello(&node.channel, &old).await;
    assert!(refused.end().await.is_some());
    let _welcome = Session::connect(&node.channel, &new).await;
    let ping = registered(&node, "p1").await;
    let refused = post(&node, &format!("/workers/{ping}/token"), "").await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (400, "WRONG_PROFILE")
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_in_a_body_is_named_by_its_field() {
    let node = Node::start().await;
    let uuid = registered(&node, "p1").await;
    let ping = format!("/workers/{uuid}/ping");
    let drain = format!("/workers/{uuid}/drain");
    let token = format!("/workers/{uuid}/token");
    let unregister = format!("/workers/{uuid}/unregister");
    for (path, body, field) in [
        (ping.as_str(), r#"{"colour":"red"}"#, "colour"),
        (&ping, r#"{"cpuPercent":101}"#, "cpuPercent"),
        (&ping, r#"{"cpuPercent":-1}"#, "cpuPercent"),
        (&ping, r#"{"diskPercent":"full"}"#, "diskPercent"),
        (&ping, r#"{"timestamp":"yesterday"}"#, "timestamp"),
        (&ping, r#"{"timestamp":"1970-01-01T00:00:00Z"}"#, "timestamp"),
        (&drain, r#"{"deadlineS":0}"#, "deadlineS"),
        (&drain, r#"{"then":"sleep"}"#, "then"),
        (&token, r#"{"tokenTtlS":0}"#, "tokenTtlS"),
        (&unregister, r#"{"force":true}"#, "force"),
        ("/workers/register", r#"{"name":"x","capacity":0}"#, "capacity"),
        (
            "/workers/register",
            r#"{"name":"x","ipAddress":"here"}"#,
            "ip_address",
        ),
        (
            "/workers/register",
            r#"{"name":"x","labels":{"a":1}}"#,
            "labels.a",
        ),
    ] {
        let answer = post(&node, path, body).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (400, vec![field.to_owned()]),
            "{path} {body}: {}",
            answer.body
        );
    }
    node.stop().await.unwrap();
}
