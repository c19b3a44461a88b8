//! A worker without a session, against nodes that serve the registry's calls in this process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use reeve_worker::{ApiKey, BackoffLimits, PingConfig, WorkerError, run_ping};
use support::registry::Registry;
use support::{Cluster, FakeNode, WorkerProcess, key, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn config(nodes: &[&FakeNode]) -> PingConfig {
    let nodes = nodes.iter().map(|node| node.address()).collect();
    let mut config = PingConfig::new(nodes, ApiKey::parse(&key()).unwrap());
    config.name = "p1".to_owned();
    config.region = "eu".to_owned();
    config.function_blocks = vec!["media/transcode:1.2.3".to_owned()];
    config.reconnect = BackoffLimits {
        first: Duration::from_millis(20),
        max: Duration::from_millis(200),
        welcome_timeout: Duration::from_millis(500),
        ..BackoffLimits::default()
    };
    config.name_taken_retry = Duration::from_millis(100);
    config
}

/// A ping worker in this process.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    fn start(config: PingConfig) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run_ping(config, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn ended(self) -> Result<(), WorkerError> {
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .expect("ends in time")
            .expect("no panic")
    }
}

async fn cluster(interval_ms: u32) -> (Cluster, FakeNode) {
    let cluster = Cluster::new();
    cluster.state().registry.ping_interval_ms = interval_ms;
    let node = FakeNode::start(&cluster).await;
    (cluster, node)
}

fn registry<T>(cluster: &Cluster, ask: impl FnOnce(&mut Registry) -> T) -> T {
    ask(&mut cluster.state().registry)
}

async fn until_pinged(cluster: &Cluster, times: usize) {
    let target = registry(cluster, |registry| registry.pings.len()) + times;
    until("pings", || {
        registry(cluster, |registry| registry.pings.len() >= target)
    })
    .await;
}

// Covers: R343, R344, R346, R347
#[tokio::test]
async fn it_registers_and_pings_early_with_the_figures_of_its_host() {
    let (cluster, node) = cluster(300).await;
    let _worker = Running::start(config(&[&node]));
    until_pinged(&cluster, 8).await;
    let state = cluster.state();
    let registry = &state.registry;
    assert_eq!(registry.registered.len(), 1);
    let request = &registry.registered[0];
    assert_eq!((request.name.as_str(), request.region.as_str()), ("p1", "eu"));
    assert_eq!(request.function_blocks, ["media/transcode:1.2.3"]);
    assert_eq!(request.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(registry.strangers, 0, "each call had the key");
    let (_, _, ping) = &registry.pings[0];
    assert_eq!(ping.id, "id-1");
    assert!(ping.timestamp.is_some());
    assert!(ping.resources.as_ref().unwrap().memory_percent > 0);
    let waits: Vec<Duration> = registry
        .pings
        .windows(2)
        .map(|pair| pair[1].1 - pair[0].1)
        .collect();
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_millis(150)),
        "not in a loop: {waits:?}"
    );
    let mean = waits.iter().sum::<Duration>() / u32::try_from(waits.len()).unwrap();
    assert!(mean < Duration::from_millis(300), "early: {waits:?}");
    let shortest = waits.iter().min().unwrap();
    let longest = waits.iter().max().unwrap();
    assert!(
        *longest - *shortest > Duration::from_millis(5),
        "jittered: {waits:?}"
    );
}

// Covers: R348, R353
#[tokio::test]
async fn after_it_was_deleted_it_registers_again() {
    let (cluster, node) = cluster(100).await;
    let _worker = Running::start(config(&[&node]));
    until_pinged(&cluster, 1).await;
    registry(&cluster, |registry| registry.id = None);
    until("registered again", || {
        registry(&cluster, |registry| registry.registered.len() == 2)
    })
    .await;
    until_pinged(&cluster, 2).await;
    registry(&cluster, |registry| {
        assert_eq!(registry.pings.last().unwrap().2.id, "id-2");
        assert_ne!(
            registry.registered[0].request_id, registry.registered[1].request_id,
            "a repeated request would give the old answer"
        );
    });
}

#[tokio::test]
async fn a_name_that_the_cluster_made_up_is_kept() {
    let (cluster, node) = cluster(100).await;
    let mut config = config(&[&node]);
    config.name = String::new();
    let _worker = Running::start(config);
    until_pinged(&cluster, 1).await;
    registry(&cluster, |registry| registry.id = None);
    until("registered again", || {
        registry(&cluster, |registry| registry.registered.len() == 2)
    })
    .await;
    registry(&cluster, |registry| {
        assert_eq!(registry.registered[0].name, "");
        assert_eq!(registry.registered[1].name, "made-up");
    });
}

// Covers: R353, D4a
#[tokio::test]
async fn while_its_name_is_taken_it_waits_and_then_takes_over() {
    let (cluster, node) = cluster(100).await;
    registry(&cluster, |registry| registry.name_taken = true);
    let _worker = Running::start(config(&[&node]));
    until("three attempts", || {
        registry(&cluster, |registry| registry.refused >= 3)
    })
    .await;
    registry(&cluster, |registry| registry.name_taken = false);
    until_pinged(&cluster, 1).await;
}

#[tokio::test]
async fn it_moves_on_from_a_node_that_refuses_is_silent_or_is_not_there() {
    let (cluster, first) = cluster(100).await;
    let nodes = [
        first,
        FakeNode::start(&cluster).await,
        FakeNode::start(&cluster).await,
    ];
    let mut config = config(&nodes.iter().collect::<Vec<_>>());
    config.nodes.push("127.0.0.1:1".to_owned());
    let _worker = Running::start(config);
    until_pinged(&cluster, 1).await;
    for (what, fault) in [
        ("refuses", FakeNode::refuse_calls as fn(&FakeNode)),
        ("is silent", FakeNode::go_silent),
    ] {
        let at = registry(&cluster, |registry| registry.pings.last().unwrap().0.clone());
        fault(nodes.iter().find(|node| node.address() == at).unwrap());
        until(what, || {
            registry(&cluster, |registry| registry.pings.last().unwrap().0 != at)
        })
        .await;
    }
    until_pinged(&cluster, 2).await;
    let registered = registry(&cluster, |registry| registry.registered.len());
    assert_eq!(registered, 1, "it stayed registered");
}

// Covers: R349
#[tokio::test]
async fn told_to_leave_it_unregisters_and_ends() {
    let (cluster, node) = cluster(100).await;
    let worker = Running::start(config(&[&node]));
    until_pinged(&cluster, 1).await;
    registry(&cluster, |registry| registry.leave = true);
    worker.ended().await.unwrap();
    registry(&cluster, |registry| {
        assert_eq!(registry.unregistered, ["id-1"]);
    });
}

#[tokio::test]
async fn what_the_cluster_will_never_take_ends_the_process() {
    let (_cluster, node) = cluster(100).await;
    let mut config = config(&[&node]);
    config.name = "bad name ".to_owned();
    let ended = Running::start(config).ended().await;
    let error = ended.unwrap_err().to_string();
    assert_eq!(error, "registration refused: name: no spaces at the ends");
}

#[tokio::test]
async fn a_worker_that_no_node_hears_says_that_it_could_not_unregister() {
    let (cluster, node) = cluster(100).await;
    let worker = Running::start(config(&[&node]));
    until_pinged(&cluster, 1).await;
    node.refuse_calls();
    worker.shutdown.cancel();
    assert!(matches!(worker.ended().await, Err(WorkerError::NotUnregistered)));
}

// Covers: R349, R350
#[tokio::test(flavor = "multi_thread")]
async fn the_program_unregisters_on_both_signals_and_never_shows_its_key() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (cluster, node) = cluster(100).await;
        let address = node.address();
        let arguments = ["--ping", "--name", "p1", "--node", &address, "--log", "trace"];
        let mut worker = WorkerProcess::start(&arguments, &[("REEVE_API_KEY", &key())]);
        until_pinged(&cluster, 2).await;
        let status = worker
            .shows("connected", Duration::from_secs(10), |status| {
                status["connected"] == true
            })
            .await;
        assert_eq!(status["workerId"], "id-1");
        assert!(status["capacity"].is_null(), "it takes no endpoints: {status}");
        worker.signal(signal);
        assert_eq!(worker.ended().await.code(), Some(0));
        worker.logs("unregistered: leaving").await;
        registry(&cluster, |registry| assert_eq!(registry.unregistered, ["id-1"]));
        assert!(!worker.log("TRACE").is_empty(), "everything was logged");
        let secret = key().replace("cmk_", "");
        assert!(worker.log(&secret).is_empty(), "the key is in the log");
    }
}

// Covers: R102, D4a, D27a
#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_in_one_line_that_the_name_is_taken_or_the_key_rejected() {
    let (cluster, node) = cluster(100).await;
    let address = node.address();
    let other = format!("cmk_{}", "5ec2e7ab".repeat(4));
    let arguments = ["--ping", "--name", "p1", "--node", &address];
    let stranger = WorkerProcess::start(&arguments, &[("REEVE_API_KEY", &other)]);
    let line = stranger.logs("authentication failed: the API key").await;
    assert!(line.contains("role WORKER") && line.contains(&address), "{line}");
    assert!(stranger.log(&other).is_empty(), "the key is in the log");

    registry(&cluster, |registry| registry.name_taken = true);
    let worker = WorkerProcess::start(&arguments, &[("REEVE_API_KEY", &key())]);
    let line = worker
        .logs("not registered: a worker of this name is ONLINE")
        .await;
    assert!(line.contains("takes over by itself"), "{line}");
}
