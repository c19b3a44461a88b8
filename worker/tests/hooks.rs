//! What a program around the agent sees of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_proto::v1::EndpointPhase as Phase;
use reeve_worker::{AssignmentKey, Hooks, Observer};
use support::{Cluster, FakeNode, cluster_time_ms, config, offer, until};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn has(&self, what: &str) -> bool {
        self.0.lock().unwrap().iter().any(|seen| seen == what)
    }

    fn position(&self, what: &str) -> Option<usize> {
        self.0.lock().unwrap().iter().position(|seen| seen == what)
    }
}

impl Observer for Seen {
    fn session(&self, node: &str) {
        self.note(format!("session {node}"));
    }

    fn beat(&self, _: &str, seq: u64) {
        self.note(format!("beat {seq}"));
    }

    fn acked(&self, _: &str, seq: u64) {
        self.note(format!("acked {seq}"));
    }

    fn ended(&self, node: &str, reason: &str) {
        self.note(format!("ended {node} {reason}"));
    }

    fn refused(&self, node: &str, reason: &str) {
        self.note(format!("refused {node} {reason}"));
    }

    fn offered(&self, _: &str, key: &AssignmentKey, endpoints: u32) {
        self.note(format!("offered {key} {endpoints}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_sessions_heartbeats_and_offers_from_the_first_to_the_farewell() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let seen = Arc::new(Seen::default());
    let shutdown = CancellationToken::new();
    let hooks = Hooks {
        observer: Arc::clone(&seen) as Arc<dyn Observer>,
        ..Hooks::default()
    };
    let mut config = config(&[&node]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    config.nodes.push(nowhere.clone());
    let agent = tokio::spawn(reeve_worker::run_with(config, hooks, shutdown.clone()));
    let address = node.address();
    until("a heartbeat is acknowledged", || seen.has("acked 1")).await;
    assert!(seen.position(&format!("session {address}")) < seen.position("beat 1"));
    assert!(seen.position("beat 1") < seen.position("acked 1"));

    cluster.offer(offer(1, 5, 100, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    assert!(seen.has("offered run-1#1 5"));
    cluster.start(1, cluster_time_ms());
    until("its endpoints have closed", || {
        cluster.of(1, |assignment| assignment.in_phase(Phase::Closed) == 5)
    })
    .await;

    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), agent).await;
    ended.unwrap().unwrap().unwrap();
    assert!(seen.has(&format!("ended {address} left")));
    let refusals = seen.0.lock().unwrap().clone();
    let refusals: Vec<_> = refusals
        .iter()
        .filter(|seen| seen.starts_with("refused"))
        .collect();
    assert!(
        refusals
            .iter()
            .all(|seen| **seen == format!("refused {nowhere} refused")),
        "{refusals:?}"
    );
}
