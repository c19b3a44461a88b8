//! `GET /events`.

use reeve_proto::v1;
use serde_json::Value;

use crate::http::{get, send};
use crate::moving::Moving;
use crate::node::Node;
use crate::sse::Events;

fn status(run: &Value) -> &str {
    run["status"].as_str().unwrap()
}

// Covers: R144, R199
#[tokio::test]
async fn a_stream_shows_every_status_of_a_run_and_goes_on_at_another_node() {
    let nodes = Node::start_three(reeve_node::NodeArgs::default()).await;
    let test = nodes[0].create_test("smoke").await;
    let mut events = Events::open(nodes[0].http, "/events?kind=run", None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.name, "bookmark");
    assert_eq!(first.id, first.data["revision"].as_u64());
    let mut moving = Moving::start(&nodes[1], "smoke", "w1").await;
    let pending = events.next_named("run").await;
    assert_eq!(pending.data["id"], moving.run.id.as_str());
    assert_eq!(
        (status(&pending.data), pending.data["testId"].as_str()),
        ("PENDING", Some(test.id.as_str()))
    );
    let seen = pending.id.expect("nothing else happened at that revision");
    drop(events);

    moving.finish(200).await;
    moving.settled().await;
    for node in [&nodes[2], &nodes[1], &nodes[0]] {
        let path = format!("/events?run={}", moving.run.id);
        let mut resumed = Events::open(node.http, &path, Some(seen)).await;
        let (mut statuses, mut revision) = (Vec::new(), seen);
        while statuses.last().map(String::as_str) != Some("COMPLETED") {
            let run = resumed.next_named("run").await;
            assert!(run.data["revision"].as_u64() > Some(revision), "each change once");
            revision = run.data["revision"].as_u64().unwrap();
            statuses.push(status(&run.data).to_owned());
        }
        statuses.dedup();
        assert_eq!(statuses, ["QUEUED", "RUNNING", "COMPLETED"]);
    }
    for node in nodes {
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_there_comes_first_if_asked_for_and_not_again_on_a_stream_that_resumes() {
    let node = Node::start().await;
    let (one, two) = (node.create_test("one").await, node.create_test("two").await);
    let path = "/events?kind=test&initial=true";
    let mut events = Events::open(node.http, path, None).await;
    for test in [&one, &two] {
        let event = events.next().await.unwrap();
        assert_eq!((event.name.as_str(), event.id), ("test", None), "{event:?}");
        assert_eq!(event.data["id"], test.id.as_str());
    }
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark.name, "bookmark");
    assert!(bookmark.id >= Some(two.revision));
    let deleted = send(node.http, "DELETE", "/tests/one", &[], "").await.unwrap();
    assert_eq!(deleted.status, 204);
    let event = events.next().await.unwrap();
    assert_eq!(event.name, "deleted");
    assert_eq!(
        (event.data["kind"].as_str(), event.data["id"].as_str()),
        (Some("TEST"), Some(one.id.as_str()))
    );
    assert_eq!(event.data["revision"].as_u64(), event.id);
    let mut resumed = Events::open(node.http, path, bookmark.id).await;
    assert_eq!(resumed.next().await.unwrap().name, "bookmark");
    assert_eq!(resumed.next().await.unwrap(), event);
    drop((events, resumed));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_ends_the_stream_and_says_so() {
    let node = Node::start().await;
    let (key, secret) = node.create_key("watcher", v1::Role::Viewer, 0).await;
    let mut events = Events::open_as(node.http, "/events", None, &secret).await;
    assert_eq!(events.next().await.unwrap().name, "bookmark");
    let request = v1::RevokeKeyRequest {
        id: key.id,
        request_id: String::new(),
    };
    node.keys().revoke_key(request).await.unwrap();
    let end = events.next_named("end").await;
    assert_eq!(
        (end.id, end.data["error"]["reason"].as_str()),
        (None, Some("KEY_REJECTED"))
    );
    assert_eq!(events.next().await, None);
    let refused = send(node.http, "GET", "/events", &[("authorization", "")], "")
        .await
        .unwrap();
    assert_eq!((refused.status, refused.reason().as_str()), (401, "KEY_MISSING"));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_says_so_to_its_streams() {
    let node = Node::start().await;
    let mut events = Events::open(node.http, "/events", None).await;
    assert_eq!(events.next().await.unwrap().name, "bookmark");
    node.begin_stop();
    let end = events.next_named("end").await;
    assert_eq!(end.data["error"]["reason"], "SHUTTING_DOWN");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_asks_for_changes_that_are_gone_is_told_and_goes_on() {
    let node = Node::start().await;
    let first = node.create_test("smoke").await;
    crate::watch::forget_changes(&node).await;
    let path = "/events?kind=test";
    let mut events = Events::open(node.http, path, Some(first.revision)).await;
    let reset = events.next().await.unwrap();
    assert_eq!(
        (reset.name.as_str(), reset.data["reason"].as_str()),
        ("reset", Some("REVISION_COMPACTED"))
    );
    assert!(reset.id > Some(first.revision));
    let created = node.create_test("after").await;
    let event = events.next_named("test").await;
    assert_eq!(event.data["id"], created.id.as_str());

    let mut listing = Events::open(
        node.http,
        "/events?kind=test&test=smoke&initial=true",
        Some(first.revision),
    )
    .await;
    assert_eq!(listing.next().await.unwrap().name, "reset");
    assert_eq!(
        listing.next().await.unwrap().data["id"],
        first.id.as_str(),
        "listed again"
    );
    drop((events, listing));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_400_and_names_its_part() {
    let node = Node::start().await;
    for (path, field) in [
        ("/events?kind=robots", "kind"),
        ("/events?status=sleeping", "statuses"),
        ("/events?run=x", "run"),
        ("/events?colour=red", "query"),
        ("/events?from=yesterday", "query"),
        ("/events?initial=true&consistency=maybe", "consistency"),
    ] {
        let answer = get(node.http, path).await.unwrap();
        assert_eq!(
            (answer.status, answer.fields()),
            (400, vec![field.to_owned()]),
            "{path}"
        );
    }
    let header = [("last-event-id", "first")];
    let answer = send(node.http, "GET", "/events", &header, "").await.unwrap();
    assert_eq!(
        (answer.status, answer.fields()),
        (400, vec!["Last-Event-ID".to_owned()])
    );
    let unknown = get(node.http, "/events?test=nowhere").await.unwrap();
    assert_eq!(
        (unknown.status, unknown.reason().as_str()),
        (404, "TEST_NOT_FOUND")
    );
    node.stop().await.unwrap();
}
