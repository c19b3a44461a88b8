//! The session of a worker, against nodes that speak the gateway's protocol in this process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase, OutcomeShare};
use reeve_worker::WorkerError;
use support::{Cluster, FakeNode, Worker, cluster_time_ms, config, offer, until};
use tonic::Status;

fn share(outcome: Outcome, share_ppm: u32) -> OutcomeShare {
    OutcomeShare {
        outcome: outcome.into(),
        share_ppm,
    }
}

// Covers: R2, R11, R49, R51, R53, R55, R56, R61, R134, R135, R139, R142, R145
#[tokio::test]
async fn a_run_is_executed_and_every_endpoint_accounted_for_once() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let began = Instant::now();
    let worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    assert!(began.elapsed() < Duration::from_secs(2), "connected in under 2 s");
    until("heartbeats", || cluster.state().heartbeats > 2).await;
    {
        let state = cluster.state();
        let hello = &state.hellos[0].2;
        assert_eq!(
            (hello.capacity, hello.draining, hello.incarnation.len()),
            (1_000, false, 36)
        );
        assert!(hello.health.is_some_and(|health| health.memory_percent > 0));
    }
    cluster.offer(offer(
        1,
        300,
        300,
        vec![
            share(Outcome::Success, 900_000),
            share(Outcome::CallFailed, 100_000),
        ],
    ));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    let start_at_ms = cluster_time_ms() + 300;
    cluster.start(1, start_at_ms);
    until("the first endpoint", || {
        cluster.of(1, |assignment| !assignment.endpoints.is_empty())
    })
    .await;
    assert!(cluster_time_ms() >= start_at_ms, "not before the common instant");
    until("a heartbeat with active endpoints", || cluster.state().active > 0).await;
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    // Buildup 200 ms, set-up at most 60, call 300, teardown 100.
    assert!(cluster_time_ms() - start_at_ms >= 500, "in real elapsed time");
    cluster.of(1, |assignment| {
        assert_eq!(assignment.closed_endpoints, 300);
        assert_eq!(assignment.in_phase(Phase::Closed), 300);
        assert_eq!((assignment.violations, assignment.repeated), (0, 0));
        let outcomes = assignment.outcomes();
        assert_eq!(outcomes.values().sum::<u32>(), 300);
        assert_eq!(
            outcomes.keys().copied().collect::<Vec<_>>(),
            [Outcome::Success as u8, Outcome::CallFailed as u8]
        );
        let failed = outcomes[&(Outcome::CallFailed as u8)];
        assert!(
            (10..60).contains(&failed),
            "{failed} of 300 failed, 10 % were asked for"
        );
    });
    assert!(worker.is_running());
}

// Covers: R93, R139
#[tokio::test]
async fn one_worker_holds_100_000_endpoints() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut config = config(&[&node]);
    config.capacity.configured = Some(100_000);
    config.capacity.endpoints_per_core = 100_000;
    let _worker = Worker::start(config);
    until("session", || !cluster.state().hellos.is_empty()).await;
    for epoch in [1, 2] {
        cluster.offer(offer(epoch, 50_000, 2_000, Vec::new()));
        until("ready", || cluster.of(epoch, |assignment| assignment.ready)).await;
    }
    let start_at_ms = cluster_time_ms() + 100;
    for epoch in [1, 2] {
        cluster.start(epoch, start_at_ms);
    }
    until("all are active at once", || cluster.state().active == 100_000).await;
    for epoch in [1, 2] {
        until("closed", || cluster.of(epoch, |assignment| assignment.closed)).await;
        cluster.of(epoch, |assignment| {
            assert_eq!((assignment.closed_endpoints, assignment.violations), (50_000, 0));
        });
    }
}

// Covers: R46, R47
#[tokio::test]
async fn after_a_cut_with_lost_answers_every_endpoint_is_reported_exactly_once() {
    let cluster = Cluster::new();
    let (first, second) = (FakeNode::start(&cluster).await, FakeNode::start(&cluster).await);
    let _worker = Worker::start(config(&[&first, &second]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 400, 1_000, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    for round in 1..=4 {
        let seq = cluster.of(1, |assignment| assignment.last_seq);
        cluster.state().drop_acks = true;
        until("a report that is applied and not answered", || {
            cluster.of(1, |assignment| assignment.closed || assignment.last_seq > seq)
        })
        .await;
        first.cut(Status::unavailable("SHUTTING_DOWN"));
        second.cut(Status::unavailable("SHUTTING_DOWN"));
        cluster.state().drop_acks = false;
        until("the next session", || cluster.state().hellos.len() > round).await;
    }
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    cluster.of(1, |assignment| {
        assert_eq!(assignment.closed_endpoints, 400);
        assert_eq!(assignment.violations, 0, "nothing was told twice");
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            [(Outcome::Success as u8, 400)]
        );
    });
    let state = cluster.state();
    let incarnations: Vec<_> = state
        .hellos
        .iter()
        .map(|(_, _, hello)| &hello.incarnation)
        .collect();
    assert!(
        incarnations.windows(2).all(|pair| pair[0] == pair[1]),
        "one process, one incarnation"
    );
    let nodes: Vec<_> = state.hellos.iter().map(|(node, _, _)| node).collect();
    assert!(
        nodes.windows(2).all(|pair| pair[0] != pair[1]),
        "each retry goes to the other node: {nodes:?}"
    );
}

// Covers: R46
#[tokio::test]
async fn endpoints_go_on_without_a_leader_and_are_reported_when_one_is_back() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let _worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 50, 200, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    let start_at_ms = cluster_time_ms() + 300;
    cluster.start(1, start_at_ms);
    let heartbeats = cluster.state().heartbeats;
    // What was sent before the next heartbeat has arrived with it.
    until("a heartbeat", || cluster.state().heartbeats > heartbeats).await;
    cluster.state().no_leader = true;
    node.cut(Status::unavailable("NO_LEADER"));
    until("the end of all calls", || cluster_time_ms() > start_at_ms + 1_000).await;
    assert!(cluster.of(1, |assignment| !assignment.closed));
    cluster.state().no_leader = false;
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    cluster.of(1, |assignment| {
        assert_eq!((assignment.closed_endpoints, assignment.violations), (50, 0));
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            [(Outcome::Success as u8, 50)]
        );
    });
}

#[tokio::test]
async fn an_abandoned_assignment_reports_closed_at_once_and_nothing_else() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let _worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 100, 60_000, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    until("calls", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) > 0)
    })
    .await;
    cluster.stop(1, true);
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    cluster.of(1, |assignment| assert_eq!(assignment.closed_endpoints, 0));
    until("nothing is active", || cluster.state().active == 0).await;
    // Its capacity is free again.
    cluster.offer(offer(2, 1_000, 0, Vec::new()));
    until("ready again", || cluster.of(2, |assignment| assignment.ready)).await;
}

#[tokio::test]
async fn a_stop_hangs_up_and_everything_is_reported_to_the_end() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let _worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 100, 60_000, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    until("calls", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) == 100)
    })
    .await;
    cluster.stop(1, false);
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    cluster.of(1, |assignment| {
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            [(Outcome::Success as u8, 100)]
        );
        assert_eq!(assignment.violations, 0);
    });
}

// Covers: R20, R26, R27, R28, R31, R36, R65, R66, R68
#[tokio::test]
async fn told_to_end_it_takes_nothing_new_finishes_what_it_has_and_says_goodbye() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 50, 700, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    until("calls", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) > 0)
    })
    .await;
    worker.shutdown.cancel();
    until("drain", || cluster.state().drains == 1).await;
    cluster.offer(offer(2, 5, 0, Vec::new()));
    until("refused", || {
        cluster.of(2, |assignment| {
            assignment.not_ready.as_deref() == Some("draining")
        })
    })
    .await;
    worker.ended().await.unwrap();
    assert_eq!(cluster.state().goodbyes, 1);
    cluster.of(1, |assignment| {
        assert!(assignment.closed);
        let all = [(Outcome::Success as u8, 50)];
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            all,
            "calls were not cut short"
        );
    });
}

#[tokio::test]
async fn what_runs_past_the_drain_deadline_ends_with_oserror() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut config = config(&[&node]);
    config.drain_deadline = Duration::from_millis(300);
    let worker = Worker::start(config);
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(offer(1, 20, 60_000, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    until("calls", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) == 20)
    })
    .await;
    worker.shutdown.cancel();
    worker.ended().await.unwrap();
    cluster.of(1, |assignment| {
        assert_eq!(
            assignment.outcomes().into_iter().collect::<Vec<_>>(),
            [(Outcome::Oserror as u8, 20)]
        );
        assert!(assignment.closed);
    });
}

// Covers: R105
#[tokio::test]
async fn a_node_that_goes_silent_is_left_for_another() {
    let cluster = Cluster::new();
    let nodes = [FakeNode::start(&cluster).await, FakeNode::start(&cluster).await];
    let _worker = Worker::start(config(&[&nodes[0], &nodes[1]]));
    until("heartbeats", || cluster.state().heartbeats > 1).await;
    let first = cluster.state().hellos[0].0.clone();
    for node in nodes.iter().filter(|node| node.address() == first) {
        node.go_silent();
    }
    until("the next session", || cluster.state().hellos.len() > 1).await;
    assert_ne!(cluster.state().hellos[1].0, first);
}

#[tokio::test]
async fn a_process_that_was_superseded_ends() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    node.cut(Status::aborted("SESSION_SUPERSEDED"));
    assert!(matches!(worker.ended().await, Err(WorkerError::Superseded)));
    assert_eq!(cluster.state().hellos.len(), 1, "it did not come back");
}
