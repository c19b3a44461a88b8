//! Drains that the cluster asks for, seen by a real worker process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use reeve_proto::v1::session_response::Message;
use reeve_proto::v1::{
    DrainNotice, EndpointOutcome as Outcome, EndpointPhase as Phase, Leave, UndrainNotice,
};
use support::{Cluster, FakeNode, WorkerProcess, cluster_time_ms, offer, token, until};

const SOON: Duration = Duration::from_secs(15);

async fn connected(node: &FakeNode, cluster: &Cluster) -> WorkerProcess {
    let worker = WorkerProcess::start(&["--node", &node.address()], &[("REEVE_WORKER_TOKEN", &token())]);
    until("session", || !cluster.state().hellos.is_empty()).await;
    worker
}

fn notice(leave: bool) -> Message {
    Message::DrainNotice(DrainNotice {
        reason: "new version".to_owned(),
        remaining_ms: 60_000,
        leave,
    })
}

fn leave() -> Message {
    Message::Leave(Leave {
        reason: "drained".to_owned(),
    })
}

/// Fifty calls of this length.
async fn calls(cluster: &Cluster, duration_ms: i64) {
    cluster.offer(offer(1, 50, duration_ms, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    until("calls", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) > 0)
    })
    .await;
}

// Covers: R20, R26, R27, R28, R65, R66, R67, R68
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_its_calls_says_goodbye_and_ends_well() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut worker = connected(&node, &cluster).await;
    calls(&cluster, 1_500).await;
    for _ in 0..3 {
        let _ = cluster.push.send(notice(true));
    }
    let status = worker
        .shows("draining", SOON, |status| status["draining"] == true)
        .await;
    assert_eq!(status["drainReason"], "new version");
    // Too early, since it still holds something: finish that first.
    let _ = cluster.push.send(leave());
    worker.logs("told to leave").await;
    let closed = cluster.of(1, |assignment| assignment.closed);
    assert!(!closed && worker.is_running(), "the calls go on");

    assert_eq!(worker.ended().await.code(), Some(0));
    cluster.of(1, |assignment| {
        assert!(assignment.closed);
        let all = [(Outcome::Success as u8, 50)];
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            all,
            "no call was cut short"
        );
    });
    let state = cluster.state();
    assert_eq!((state.goodbyes, state.drains), (1, 0));
    assert_eq!(state.goodbye_reason, "drained");
    assert_eq!(worker.log("the cluster drains this worker").len(), 1);
}

// Covers: R13
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_resume_stays_connected_and_takes_work_again() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut worker = connected(&node, &cluster).await;
    calls(&cluster, 300).await;
    let _ = cluster.push.send(notice(false));
    worker
        .shows("draining", SOON, |status| status["draining"] == true)
        .await;
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    let _ = cluster.push.send(Message::UndrainNotice(UndrainNotice {}));
    let status = worker
        .shows("back to normal", SOON, |status| status["draining"] == false)
        .await;
    assert!(status["drainReason"].is_null(), "{status}");
    cluster.offer(offer(2, 5, 0, Vec::new()));
    until("ready", || cluster.of(2, |assignment| assignment.ready)).await;
    assert!(worker.is_running());
    assert_eq!(cluster.state().hellos.len(), 1, "the same session");
}

// Covers: R67
#[tokio::test(flavor = "multi_thread")]
async fn at_the_deadline_the_node_says_stop_and_the_worker_obeys() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut worker = connected(&node, &cluster).await;
    calls(&cluster, 60_000).await;
    let _ = cluster.push.send(notice(true));
    cluster.stop(1, false);
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    let _ = cluster.push.send(leave());
    assert_eq!(worker.ended().await.code(), Some(0));
}

// Covers: R20, R65
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_of_a_drain_ends_the_worker_as_always() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut worker = connected(&node, &cluster).await;
    calls(&cluster, 500).await;
    let _ = cluster.push.send(notice(true));
    worker.logs("the cluster drains this worker").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.ended().await.code(), Some(0));
    let state = cluster.state();
    assert_eq!((state.goodbyes, state.drains), (1, 1));
}

// Covers: R58
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told_once() {
    let cluster = Cluster::new();
    cluster.state().clock_skew_ms = -7_000;
    let node = FakeNode::start(&cluster).await;
    let mut worker = connected(&node, &cluster).await;
    let line = worker.logs("clock is off").await;
    assert!(line.contains("skew_ms=-7000"), "{line}");
    let heartbeats = cluster.state().heartbeats;
    until("more heartbeats", || cluster.state().heartbeats > heartbeats + 3).await;
    assert_eq!(worker.log("clock is off").len(), 1);
    cluster.state().clock_skew_ms = 3;
    worker.logs("clock is right again").await;
    assert!(worker.is_running());
}
