//! A wrong token. A binary of its own, because it captures everything that the process logs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_worker::Token;
use support::{Cluster, FakeNode, Worker, config, until};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// Covers: R52, R83, R102
#[tokio::test]
async fn a_rejected_token_is_told_once_retried_slowly_and_never_logged() {
    let captured = Captured::default();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false);
    log.with_writer(captured.clone()).init();

    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let secret = "5ec2e7ab".repeat(8);
    let mut config = config(&[&node]);
    config.token = Token::parse(&format!("cmw_{secret}")).unwrap();
    config.reconnect.refused_min = Duration::from_millis(300);
    config.reconnect.refused_max = Duration::from_millis(600);
    let worker = Worker::start(config);
    until("three attempts", || cluster.state().rejected.len() >= 3).await;
    let waits: Vec<_> = cluster
        .state()
        .rejected
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_millis(300)),
        "{waits:?}"
    );
    assert!(worker.is_running(), "it keeps trying");

    let text = String::from_utf8(captured.0.lock().clone()).unwrap();
    let told = text
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains("authentication failed"));
    assert_eq!(told.count(), 1, "one line for one cause");
    assert!(text.contains("TRACE"), "everything was captured");
    assert!(!text.contains(&secret), "the token is in the log");
}
