//! A small cluster in this process: nodes that speak the gateway's protocol over real connections and share one state.
//! Like the real one it applies report n only after report n − 1.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod node;
mod process;
pub mod registry;
mod state;

use std::time::{Duration, Instant};

use reeve_proto::v1::offer::Executor;
use reeve_proto::v1::{Offer, OutcomeShare, SimExecutor};
use reeve_worker::{BackoffLimits, Token, WorkerConfig, WorkerError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use node::FakeNode;
pub use process::WorkerProcess;
pub use state::{Cluster, cluster_time_ms};

/// The token that the cluster knows.
pub fn token() -> String {
    format!("cmw_{}", "0123456789abcdef".repeat(4))
}

/// The key that the cluster knows.
pub fn key() -> String {
    format!("cmk_{}", "0123456789abcdef".repeat(2))
}

/// A configuration with times that suit a test.
pub fn config(nodes: &[&FakeNode]) -> WorkerConfig {
    let nodes = nodes.iter().map(|node| node.address()).collect();
    let mut config = WorkerConfig::new(nodes, Token::parse(&token()).unwrap());
    config.capacity.configured = Some(1_000);
    config.reconnect = BackoffLimits {
        first: Duration::from_millis(20),
        max: Duration::from_millis(200),
        ..BackoffLimits::default()
    };
    config
}

/// A worker in this process.
pub struct Worker {
    pub shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    pub fn start(config: WorkerConfig) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(reeve_worker::run(config, shutdown.clone()));
        Self { shutdown, task }
    }

    pub async fn ended(self) -> Result<(), WorkerError> {
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .expect("ends in time")
            .expect("no panic")
    }

    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

/// An offer of short calls.
pub fn offer(epoch: u64, endpoints: u32, duration_ms: i64, outcomes: Vec<OutcomeShare>) -> Offer {
    let ms = |ms: i32| prost_types::Duration {
        seconds: 0,
        nanos: ms * 1_000_000,
    };
    let sim = SimExecutor {
        setup_min: Some(ms(20)),
        setup_max: Some(ms(60)),
        outcomes,
        quality: None,
    };
    Offer {
        run_id: "run-1".to_owned(),
        epoch,
        group: "callers".to_owned(),
        first_endpoint: 0,
        endpoints,
        group_endpoints: endpoints,
        buildup_ms: 200,
        duration_ms,
        executor: Some(Executor::Sim(sim)),
    }
}

/// Waits for a condition, at most 30 s: others may build on this machine meanwhile.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
