//! A worker needs nothing but a way out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Cluster, FakeNode, WorkerProcess, token, until};

/// 127.0.0.1, as the kernel writes it.
const LOOPBACK: &str = "0100007F:";

// Covers: R82, R89
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_session_listens_on_nothing_but_its_status_page_on_loopback() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let worker = WorkerProcess::start(&["--node", &node.address()], &[("REEVE_WORKER_TOKEN", &token())]);
    until("heartbeats", || cluster.state().heartbeats > 2).await;
    assert_eq!(worker.status().await["connected"], true);
    let listens_on = worker.listens_on();
    assert!(
        matches!(listens_on.as_slice(), [one] if one.starts_with(LOOPBACK)),
        "{listens_on:?}"
    );
}
