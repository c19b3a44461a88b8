//! What a worker that cannot connect says about it: a real process, real sockets, one line for each cause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::net::TcpListener;

use reeve_proto::v1::EndpointPhase as Phase;
use support::{Cluster, FakeNode, WorkerProcess, cluster_time_ms, offer, token, until};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Status;

const ATTEMPT: &str = "not connected to ";

fn start(node: &str) -> WorkerProcess {
    WorkerProcess::start(&["--node", node], &[("REEVE_WORKER_TOKEN", &token())])
}

/// Waits for so many failed attempts, and checks that the log has one line that says all: where, what, and what to do next.
async fn says_once(worker: &mut WorkerProcess, node: &str, what: &str, advice: &str, attempts: usize) {
    until("failed attempts", || worker.log(ATTEMPT).len() >= attempts).await;
    let told: Vec<String> = worker
        .log(ATTEMPT)
        .into_iter()
        .filter(|line| line.contains(" WARN "))
        .collect();
    assert_eq!(told.len(), 1, "one line for one cause: {told:?}");
    let expected = format!("{ATTEMPT}{node}: {what}; ");
    assert!(told[0].contains(&expected), "{expected} is not in {}", told[0]);
    assert!(told[0].contains(advice), "{advice} is not in {}", told[0]);
    assert!(worker.is_running(), "it keeps trying");
    let problem = worker.status().await["problem"].clone();
    assert_eq!(problem["node"], node, "the status page says the same: {problem}");
    assert!(
        problem["message"].as_str().unwrap().starts_with(what),
        "{problem}"
    );
}

// Covers: R103
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve() {
    let node = "nodes.reeve.invalid:50052";
    let mut worker = start(node);
    says_once(&mut worker, node, "the name does not resolve", "DNS", 3).await;
}

// Covers: R103
#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_does_not_answer_is_no_firewall() {
    // It takes questions and keeps its answers.
    let Ok(_server) = std::net::UdpSocket::bind("127.53.0.1:53") else {
        return eprintln!("skipped: needs root, to pose as a name server");
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"nameserver 127.53.0.1\n").unwrap();
    let node = "nodes.reeve.example:50052";
    let mut worker = WorkerProcess::start_with_resolver(
        file.path(),
        &["--node", node],
        &[("REEVE_WORKER_TOKEN", &token())],
    );
    says_once(&mut worker, node, "the name does not resolve", "DNS", 1).await;
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(
        worker.ended().await.code(),
        Some(0),
        "a question that hangs does not hold up the end"
    );
}

// Covers: R104
#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nothing_listens() {
    let node = "127.0.0.1:1";
    let mut worker = start(node);
    says_once(
        &mut worker,
        node,
        "nothing listens at this address",
        "check that a node runs there",
        3,
    )
    .await;
}

// Covers: R101, R104
#[tokio::test(flavor = "multi_thread")]
async fn a_firewall_that_swallows_connections() {
    // A queue that is full: the kernel drops what else comes, as a firewall would.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let node = listener.local_addr().unwrap().to_string();
    let _filling = [
        TcpStream::connect(&node).await.unwrap(),
        TcpStream::connect(&node).await.unwrap(),
    ];
    let port = node.rsplit_once(':').unwrap().1;
    let mut worker = start(&node);
    let advice = format!("outbound TCP {port} is open");
    says_once(&mut worker, &node, "no answer in time", &advice, 2).await;
    assert!(worker.log("no Welcome").is_empty(), "no connection stood");
}

// Covers: R101
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_takes_connections_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = listener.local_addr().unwrap().to_string();
    let mut worker = start(&node);
    says_once(
        &mut worker,
        &node,
        "no answer in time",
        "that a node answers there",
        1,
    )
    .await;
    assert_eq!(worker.log("no Welcome").len(), worker.log(ATTEMPT).len());
}

// Covers: R102
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rejected_or_has_expired() {
    for (reason, what) in [
        (
            "TOKEN_REJECTED",
            "authentication failed: the token is not that of a worker",
        ),
        ("TOKEN_EXPIRED", "authentication failed: the token has expired"),
    ] {
        let cluster = Cluster::new();
        cluster.state().rejects_with = Some(reason);
        let node = FakeNode::start(&cluster).await;
        let other = format!("cmw_{}", "5ec2e7ab".repeat(8));
        let mut worker =
            WorkerProcess::start(&["--node", &node.address()], &[("REEVE_WORKER_TOKEN", &other)]);
        says_once(&mut worker, &node.address(), what, "regenerate it", 1).await;
        assert!(worker.log(&other).is_empty(), "the token is in the log");
    }
}

// Covers: R92, R102, D5b
#[tokio::test(flavor = "multi_thread")]
async fn a_regenerated_token_in_the_file_needs_no_restart_and_keeps_the_calls() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |token: &str| std::fs::write(file.path(), format!("token = \"{token}\"")).unwrap();
    write(&token());
    let path = file.path().to_str().unwrap();
    let worker = WorkerProcess::start(&["--node", &node.address(), "--config", path], &[]);
    worker.logs("session stands").await;
    cluster.offer(offer(1, 20, 60_000, Vec::new()));
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms());
    let calls = || cluster.of(1, |assignment| assignment.in_phase(Phase::Incall) == 20);
    until("calls", calls).await;

    let new = format!("cmw_{}", "5ec2e7ab".repeat(8));
    cluster.state().token = Some(new.clone());
    node.cut(Status::unauthenticated("TOKEN_REJECTED"));
    worker.logs("authentication failed").await;
    write(&new);
    until("the next session", || cluster.state().hellos.len() == 2).await;
    {
        let state = cluster.state();
        let (before, after) = (&state.hellos[0].2, &state.hellos[1].2);
        assert_eq!(before.incarnation, after.incarnation, "the same process");
        assert_eq!(after.held.len(), 1, "with what it held");
    }
    assert!(worker.log(&new).is_empty(), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_leader() {
    let cluster = Cluster::new();
    cluster.state().no_leader = true;
    let node = FakeNode::start(&cluster).await;
    let mut worker = start(&node.address());
    let advice = "a majority of the nodes runs";
    says_once(&mut worker, &node.address(), "the node has no leader", advice, 3).await;
    // It comes back by itself, and then any cause is news again.
    cluster.state().no_leader = false;
    worker.logs("session stands").await;
    cluster.state().no_leader = true;
    node.cut(Status::unavailable("NO_LEADER"));
    until("told again", || {
        worker
            .log(ATTEMPT)
            .iter()
            .filter(|line| line.contains(" WARN "))
            .count()
            == 2
    })
    .await;
}

// Covers: D7
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_worker_ends_with_the_code_that_says_not_to_start_it_again() {
    let cluster = Cluster::new();
    cluster.state().deleted = true;
    let node = FakeNode::start(&cluster).await;
    let mut worker = start(&node.address());
    assert_eq!(worker.ended().await.code(), Some(5));
    worker
        .logs("ERROR reeve_worker: deleted: the worker was deleted")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_process_ends_with_the_same_code() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let mut worker = start(&node.address());
    worker.logs("session stands").await;
    node.cut(Status::aborted("SESSION_SUPERSEDED"));
    assert_eq!(worker.ended().await.code(), Some(5));
}

// Covers: R83, R90
#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_end_the_process_with_1_and_show_no_secret() {
    let secret = "5ec2e7ab".repeat(8);
    let mut worker = WorkerProcess::start(&[], &[("REEVE_WORKER_TOKEN", &format!("cmx_{secret}"))]);
    assert_eq!(worker.ended().await.code(), Some(1));
    let line = worker.logs("token: must be cmw_").await;
    assert!(!line.contains(&secret), "{line}");
}
