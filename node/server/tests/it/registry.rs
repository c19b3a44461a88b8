//! Tokens, deletion, cleanup, and limits of sessions on a real node.

use reeve_node::NodeArgs;
use reeve_proto::v1;
use reeve_proto::v1::WorkerStatus;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::node::Node;
use crate::session::Session;

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

fn rejected() -> Option<(Code, String)> {
    Some((Code::Unauthenticated, "TOKEN_REJECTED".to_owned()))
}

async fn regenerate(
    node: &Node,
    id: &str,
    token_ttl_s: u64,
    request_id: &str,
) -> v1::RegenerateTokenResponse {
    let request = v1::RegenerateTokenRequest {
        id: id.to_owned(),
        token_ttl_s,
        request_id: request_id.to_owned(),
    };
    let regenerated = node.workers().regenerate_token(request).await;
    regenerated.unwrap().into_inner()
}

async fn names(node: &Node, request: v1::ListWorkersRequest) -> Vec<String> {
    let listed = node.workers().list_workers(request).await.unwrap();
    let workers = listed.into_inner().workers;
    workers.into_iter().map(|worker| worker.name).collect()
}

// Covers: R42, R91, R92
#[tokio::test]
async fn a_new_token_ends_the_session_of_the_old_one_and_only_the_new_one_is_good() {
    let node = Node::start().await;
    let (id, old) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &old).await;
    node.until(&id, WorkerStatus::Online).await;
    let regenerated = regenerate(&node, "w1", 0, "r1").await;
    let new = regenerated.token;
    assert_ne!(new, old);
    // From the answer on, before anything else is waited for.
    let mut late = Session::hello(&node.channel, &old).await;
    assert_eq!(late.end().await, rejected());
    assert_eq!(session.end().await, rejected());
    let worker = regenerated.worker.unwrap();
    assert_eq!(
        worker.status(),
        WorkerStatus::Error,
        "it still runs with the old one"
    );
    assert_eq!(worker.conditions[0].r#type, "Credential");
    assert_eq!(worker.conditions[0].actor, "bootstrap", "who regenerated it");
    let again = regenerate(&node, "w1", 0, "r1").await;
    assert_eq!(again.token, "", "secrets are never replayed");
    let _session = Session::connect(&node.channel, &new).await;
    node.until(&id, WorkerStatus::Online).await;
    node.stop().await.unwrap();
}

// Covers: R42
#[tokio::test]
async fn a_token_has_the_time_that_was_asked_for() {
    let node = Node::start().await;
    let (id, _) = node.create_worker("w1").await;
    let token = regenerate(&node, &id, 1, "").await.token;
    assert!(node.worker(&id).await.token_expires_at.is_some());
    let over = async {
        loop {
            let mut session = Session::hello(&node.channel, &token).await;
            match session.first().await {
                Err(status) => return status,
                Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    let status = tokio::time::timeout(std::time::Duration::from_secs(30), over)
        .await
        .expect("it runs out");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "TOKEN_EXPIRED")
    );
    node.stop().await.unwrap();
}

// Covers: R361, R362, R368
#[tokio::test]
async fn a_deleted_worker_is_a_tombstone_and_its_name_is_free() {
    let node = Node::start().await;
    let (id, token) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &token).await;
    let delete = |id: &str| v1::DeleteWorkerRequest {
        id: id.to_owned(),
        ..v1::DeleteWorkerRequest::default()
    };
    let deleted = node.workers().delete_worker(delete("w1")).await.unwrap();
    let deleted = deleted.into_inner().worker.unwrap();
    assert_eq!(
        (deleted.id.as_str(), deleted.status()),
        (id.as_str(), WorkerStatus::Deleted)
    );
    assert!(deleted.deleted_at.is_some());
    assert_eq!(deleted.conditions[0].actor, "bootstrap");
    assert_eq!(
        session.end().await.map(|(code, _)| code),
        Some(Code::FailedPrecondition)
    );
    assert!(names(&node, v1::ListWorkersRequest::default()).await.is_empty());
    let all = v1::ListWorkersRequest {
        find_deleted: true,
        ..v1::ListWorkersRequest::default()
    };
    assert_eq!(names(&node, all.clone()).await, ["w1"]);
    for gone in ["w1", id.as_str()] {
        let status = node.workers().delete_worker(delete(gone)).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::NotFound, "WORKER_NOT_FOUND"),
            "{gone}"
        );
    }
    let (next, _) = node.create_worker("w1").await;
    assert_ne!(next, id);
    assert_eq!(names(&node, all).await, ["w1", "w1"]);
    node.stop().await.unwrap();
}

// Covers: R369, R370
#[tokio::test]
async fn cleanup_deletes_what_is_offline_for_long_or_at_all() {
    let node = Node::start().await;
    let (offline, online) = (node.register("offline").await, node.register("online").await);
    node.ping(&online).await;
    node.create_worker("never-connected").await;
    let cleanup = async |all_offline, include_session_workers| {
        let request = v1::CleanupWorkersRequest {
            all_offline,
            include_session_workers,
        };
        let cleaned = node.workers().cleanup_workers(request).await.unwrap();
        cleaned.into_inner().deleted
    };
    assert!(
        cleanup(false, true).await.is_empty(),
        "nobody is OFFLINE for 24 h"
    );
    assert_eq!(cleanup(true, false).await, [offline]);
    let left = names(&node, v1::ListWorkersRequest::default()).await;
    assert_eq!(left, ["never-connected", "online"]);
    assert_eq!(cleanup(true, true).await.len(), 1);
    assert_eq!(names(&node, v1::ListWorkersRequest::default()).await, ["online"]);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn more_sessions_than_allowed_are_sent_away_and_the_others_go_on() {
    let node = Node::start_with(NodeArgs {
        max_sessions: Some(1),
        ..NodeArgs::default()
    })
    .await;
    let (id, token) = node.create_worker("w1").await;
    let (other, other_token) = node.create_worker("w2").await;
    let mut session = Session::connect(&node.channel, &token).await;
    let mut refused = Session::hello(&node.channel, &other_token).await;
    assert_eq!(
        refused.end().await,
        Some((Code::ResourceExhausted, "TOO_MANY_SESSIONS".to_owned()))
    );
    assert_eq!(
        node.worker(&other).await.session_epoch,
        0,
        "who is sent away has lost nothing"
    );
    session.beat(v1::Heartbeat::default()).await;
    session.hear_ack().await;
    let _again = Session::connect(&node.channel, &token).await;
    assert_eq!(session.end().await, None, "its own place is free to it");
    assert_eq!(node.worker(&id).await.session_epoch, 2);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn connections_that_stay_silent_are_bounded_and_closed() {
    let node = Node::start_with(NodeArgs {
        max_unidentified_connections: Some(1),
        hello_timeout_ms: Some(1_500),
        ..NodeArgs::default()
    })
    .await;
    let (_, token) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &token).await;
    let mut silent = Session::dial(&node.channel).await;
    let mut more = Session::dial(&node.channel).await;
    let ends = [silent.end().await, more.end().await].map(|end| end.unwrap().1);
    assert!(ends.contains(&"HELLO_TIMEOUT".to_owned()), "{ends:?}");
    assert!(ends.contains(&"TOO_MANY_CONNECTIONS".to_owned()), "{ends:?}");
    session.beat(v1::Heartbeat::default()).await;
    session.hear_ack().await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_floods_is_ended_and_the_others_go_on() {
    let node = Node::start_with(NodeArgs {
        max_heartbeats_per_s: Some(5),
        ..NodeArgs::default()
    })
    .await;
    let (_, token) = node.create_worker("w1").await;
    let (_, other_token) = node.create_worker("w2").await;
    let mut other = Session::connect(&node.channel, &other_token).await;
    let mut session = Session::connect(&node.channel, &token).await;
    for seq in 1..=1_000 {
        session
            .beat(v1::Heartbeat {
                seq,
                ..v1::Heartbeat::default()
            })
            .await;
    }
    assert_eq!(
        session.end().await,
        Some((Code::ResourceExhausted, "FLOOD".to_owned()))
    );
    other.beat(v1::Heartbeat::default()).await;
    other.hear_ack().await;
    node.stop().await.unwrap();
}

// Covers: R58, R62, R63
#[tokio::test]
async fn heartbeats_with_any_clock_or_number_are_answered_and_leave_the_log_alone() {
    let node = Node::start().await;
    let (id, token) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &token).await;
    let before = node.last_log_index().await;
    let rows = [
        (1, 0),
        (2, i64::MIN),
        (3, i64::MAX),
        (3, 1),
        (1, 1_000),
        (9, 86_400_000),
    ];
    for (seq, wall_ms) in rows {
        session
            .beat(v1::Heartbeat {
                seq,
                sent_ms: 5,
                wall_ms,
                health: Some(v1::HealthReport::default()),
                active_endpoints: 2,
            })
            .await;
        let ack = session.hear_ack().await;
        assert_eq!((ack.seq, ack.sent_ms), (seq, 5));
        if wall_ms != 0 {
            assert_eq!(ack.clock_skew_ms, wall_ms.saturating_sub(ack.cluster_time_ms));
        }
    }
    let worker = node.worker(&id).await;
    assert_eq!(worker.status(), WorkerStatus::Online);
    assert!(worker.clock_skew_ms.unwrap() < 0 && worker.active_endpoints == 2);
    assert_eq!(node.last_log_index().await, before);
    node.stop().await.unwrap();
}
