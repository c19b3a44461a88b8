//! Three nodes in this process: what one of them answered holds on all.

use std::time::Duration;

use reeve_node::NodeArgs;
use reeve_proto::v1;
use reeve_proto::v1::{WorkerEventKind, WorkerStatus};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::node::Node;
use crate::session::Session;

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

// Covers: R91, R92
#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_is_refused_on_every_node_from_the_answer_on() {
    let nodes = Node::start_three(NodeArgs::default()).await;
    let (id, mut token) = nodes[0].create_worker("w1").await;
    for round in 0..6 {
        let mut session = Session::connect(&nodes[(round + 1) % 3].channel, &token).await;
        let request = v1::RegenerateTokenRequest {
            id: id.clone(),
            ..v1::RegenerateTokenRequest::default()
        };
        let answer = nodes[round % 3].workers().regenerate_token(request).await;
        for node in &nodes {
            let mut late = Session::hello(&node.channel, &token).await;
            assert_eq!(
                late.end().await,
                Some((Code::Unauthenticated, "TOKEN_REJECTED".to_owned())),
                "round {round}"
            );
        }
        assert_eq!(
            session.end().await,
            Some((Code::Unauthenticated, "TOKEN_REJECTED".to_owned())),
            "the old session, on another node than the one that answered"
        );
        token = answer.unwrap().into_inner().token;
    }
    for node in nodes {
        node.stop().await.unwrap();
    }
}

// Covers: R346, R347, R373
#[tokio::test(flavor = "multi_thread")]
async fn pings_that_go_to_the_nodes_in_turn_keep_a_worker_online_and_the_log_still() {
    let nodes = Node::start_three(NodeArgs {
        ping_interval_ms: Some(100),
        worker_unreachable_threshold_ms: Some(1_500),
        worker_offline_threshold_ms: Some(3_000),
        exchange_interval_ms: Some(50),
        ..NodeArgs::default()
    })
    .await;
    let id = nodes[0].register("p1").await;
    nodes[0].ping(&id).await;
    for node in &nodes {
        node.until(&id, WorkerStatus::Online).await;
    }
    let before = nodes[0].last_log_index().await;
    // Each node alone hears it every 2.1 s, which is too seldom.
    let mut pings = tokio::time::interval(Duration::from_millis(700));
    for turn in 0..9 {
        pings.tick().await;
        let answer = nodes[turn % 3].ping(&id).await;
        assert_eq!(answer.status(), WorkerStatus::Online, "ping {turn}");
    }
    assert_eq!(nodes[0].last_log_index().await, before);
    let request = v1::ListWorkerEventsRequest {
        id: id.clone(),
        consistency: 0,
    };
    let events = nodes[2].workers().list_worker_events(request).await.unwrap();
    let kinds: Vec<_> = events
        .into_inner()
        .events
        .iter()
        .map(v1::WorkerEvent::kind)
        .collect();
    assert_eq!(kinds, [WorkerEventKind::Connected, WorkerEventKind::Registered]);
    for node in nodes {
        node.stop().await.unwrap();
    }
}

// Covers: R348
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_sends_ping_workers_away_and_never_says_that_they_do_not_exist() {
    let nodes = Node::start_three(NodeArgs {
        exchange_interval_ms: Some(50),
        shed_after_ms: Some(1_500),
        ..NodeArgs::default()
    })
    .await;
    let id = nodes[0].register("p1").await;
    for node in &nodes {
        node.ping(&id).await;
    }
    let [left, second, third] = nodes;
    second.stop().await.unwrap();
    third.stop().await.unwrap();
    let ping = |id: &str| v1::PingWorkerRequest {
        id: id.to_owned(),
        ..v1::PingWorkerRequest::default()
    };
    let sent_away = async {
        loop {
            match left.workers().ping_worker(ping(&id)).await {
                Ok(_) => {}
                Err(status) if reason(&status) == "SHEDDING" => return status,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), sent_away)
        .await
        .expect("the node notices that it is cut off");
    assert_eq!(status.code(), Code::Unavailable);
    let unknown = "0190a6e0-0000-7000-8000-000000000000";
    let status = left.workers().ping_worker(ping(unknown)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    left.stop().await.unwrap();
}
