//! Who counts as alive while nodes die, freeze and wake: no healthy worker is declared dead, no dead one lives on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{ResourceKind, WatchRequest, Worker, WorkerStatus};
use tokio_util::sync::CancellationToken;

use crate::cluster::*;
use crate::process::{connect, until};

const DOWN_AFTER: Duration = Duration::from_millis(DOWN_AFTER_MS);
/// Workers that lose their nodes together, in real processes.
const FLEET: usize = 200;

/// A worker as a node's change feed told it.
#[derive(Clone, Debug)]
struct Seen {
    at: Instant,
    worker: Worker,
}

/// Writes down every change of every worker that a node's change feed tells.
struct Witness {
    seen: Arc<Mutex<Vec<Seen>>>,
    broken: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    fn at(cluster: &Cluster, node: usize) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let broken: Arc<Mutex<Option<String>>> = Arc::default();
        let stop = CancellationToken::new();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let task = watch(cluster.grpc(node), Arc::clone(&seen), ready);
        let (stopped, why) = (stop.clone(), Arc::clone(&broken));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            if let Some(Err(status)) = runtime.block_on(stopped.run_until_cancelled(task)) {
                *why.lock().unwrap() = Some(status);
            }
        });
        is_ready.recv_timeout(SOON).expect("the node takes the watch");
        Self {
            seen,
            broken,
            stop,
            thread: Some(thread),
        }
    }

    /// Everything so far. The feed must have no gap.
    fn seen(&self) -> Vec<Seen> {
        let broken = self.broken.lock().unwrap().clone();
        assert_eq!(broken, None, "the watch broke");
        self.seen.lock().unwrap().clone()
    }

    fn statuses(&self) -> BTreeMap<String, Vec<WorkerStatus>> {
        let mut statuses: BTreeMap<String, Vec<WorkerStatus>> = BTreeMap::new();
        for seen in self.seen() {
            statuses
                .entry(seen.worker.name.clone())
                .or_default()
                .push(seen.worker.status());
        }
        statuses
    }

    /// When this worker was seen in the status, once it is.
    fn until(&self, name: &str, status: WorkerStatus) -> Instant {
        until(&format!("{name} is seen {status:?}"), SOON, || {
            self.seen()
                .into_iter()
                .find(|seen| seen.worker.name == name && seen.worker.status() == status)
                .map(|seen| seen.at)
        })
    }

    fn assert_never(&self, status: WorkerStatus) {
        let bad: Vec<_> = self
            .seen()
            .into_iter()
            .filter(|seen| seen.worker.status() == status)
            .map(|seen| (seen.worker.name, seen.worker.conditions))
            .collect();
        assert!(bad.is_empty(), "{status:?}: {bad:#?}");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    ready: std::sync::mpsc::Sender<()>,
) -> Result<(), String> {
    let node = connect(&address).await.ok_or("the node does not answer")?;
    let mut client = WatchClient::new(node);
    let request = WatchRequest {
        kinds: vec![ResourceKind::Worker.into()],
        ..WatchRequest::default()
    };
    let mut stream = client
        .watch(request)
        .await
        .map_err(|status| status.to_string())?
        .into_inner();
    loop {
        let response = stream.message().await.map_err(|status| status.to_string())?;
        match response.ok_or("the stream ended")?.event {
            Some(Event::Put(resource)) => {
                if let Some(Resource::Worker(worker)) = resource.resource {
                    let at = Instant::now();
                    seen.lock().unwrap().push(Seen { at, worker });
                }
            }
            // The first says that the stream stands.
            Some(Event::Bookmark(_)) => {
                let _ = ready.send(());
            }
            Some(Event::Deleted(_)) | None => {}
            Some(Event::Reset(_)) => return Err("the feed was reset".to_owned()),
        }
    }
}

impl Cluster {
    /// Workers `w1` to `wN`, ONLINE.
    fn start_fleet(&mut self, size: usize) -> BTreeSet<String> {
        let names: BTreeSet<String> = (1..=size).map(|n| format!("w{n}")).collect();
        for name in &names {
            self.create_worker(name);
            self.start_worker(name);
        }
        self.until_fleet("all workers are ONLINE", |worker| worker["status"] == "ONLINE");
        names
    }

    fn until_fleet(&self, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
        until(what, SOON, || {
            let list = self.json(&["worker", "list"]);
            list["items"].as_array().unwrap().iter().all(&is_so).then_some(())
        });
    }

    /// Every worker has its session on another node than this one, and is ONLINE.
    fn until_moved_off(&self, node: usize) {
        let name = format!("n{}", node + 1);
        self.until_fleet(&format!("all workers have left {name}"), |worker| {
            worker["sessionNode"] != name.as_str() && worker["status"] == "ONLINE"
        });
    }

    fn other_than(&self, node: usize) -> usize {
        (0..3).find(|other| *other != node).unwrap()
    }
}

/// Lets real time pass: here silence itself is what is tested.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    until("time passes", time + SOON, || {
        (Instant::now() >= end).then_some(())
    });
}

// Covers: R46
#[test]
fn no_worker_leaves_online_when_the_leader_is_killed() {
    let mut cluster = Cluster::start(3, 0);
    let names = cluster.start_fleet(FLEET);
    let leader = cluster.leader();
    let witness = Witness::at(&cluster, cluster.other_than(leader));
    cluster.kill_node(leader);
    cluster.until_moved_off(leader);
    // Whoever was to be declared dead would be so by now.
    pass(DOWN_AFTER + Duration::from_secs(4));
    cluster.until_fleet("all workers are ONLINE", |worker| worker["status"] == "ONLINE");
    for (name, statuses) in witness.statuses() {
        assert!(
            statuses.iter().all(|status| *status == WorkerStatus::Online),
            "{name}: {statuses:?}"
        );
        assert!(names.contains(&name));
    }
    for name in &names {
        let printed = cluster.worker_process(name).printed();
        let sessions = printed.matches("session stands").count();
        assert!(sessions <= 4, "{name} had {sessions} sessions:\n{printed}");
    }
}

// Covers: R14, R18
#[test]
fn a_worker_that_died_just_before_the_leader_is_offline_at_its_own_deadline() {
    let mut cluster = Cluster::start(3, 1);
    let leader = cluster.leader();
    let other = cluster.other_than(leader);
    for (name, node) in [("with-leader", leader), ("elsewhere", other)] {
        cluster.create_worker(name);
        let address = cluster.grpc(node);
        cluster.start_worker_at(name, &address);
        cluster.until_worker(name, "ONLINE");
    }
    let witness = Witness::at(&cluster, other);
    let died = Instant::now();
    cluster.kill_worker("with-leader");
    cluster.kill_worker("elsewhere");
    pass(Duration::from_secs(1));
    cluster.kill_node(leader);
    for name in ["with-leader", "elsewhere"] {
        let after = witness.until(name, WorkerStatus::Offline) - died;
        // It was heard at most a heartbeat before it died.
        assert!(after > DOWN_AFTER - Duration::from_secs(2), "{name}: {after:?}");
        assert!(after <= DOWN_AFTER + Duration::from_secs(2), "{name}: {after:?}");
    }
    let statuses = witness.statuses().remove("w1").unwrap_or_default();
    assert!(
        !statuses.contains(&WorkerStatus::Offline),
        "the healthy one: {statuses:?}"
    );
}

#[test]
fn the_workers_of_a_frozen_leader_move_and_when_it_wakes_it_declares_nobody_dead() {
    frozen_node(|cluster| cluster.leader());
}

#[test]
fn the_workers_of_a_frozen_follower_move_and_when_it_wakes_it_declares_nobody_dead() {
    frozen_node(|cluster| cluster.follower());
}

fn frozen_node(choose: impl Fn(&Cluster) -> usize) {
    let mut cluster = Cluster::start(3, 0);
    cluster.start_fleet(9);
    cluster.apply(&definition("smoke", 90, 15));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 90);
    let frozen = choose(&cluster);
    let witness = Witness::at(&cluster, cluster.other_than(frozen));
    cluster.node(frozen).signal(Signal::SIGSTOP);
    let others: Vec<String> = (0..3)
        .filter(|node| *node != frozen)
        .map(|node| cluster.grpc(node))
        .collect();
    pass(DOWN_AFTER + Duration::from_secs(3));
    let list = cluster.json_at(&others.join(","), &["worker", "list"]);
    for worker in list["items"].as_array().unwrap() {
        assert_eq!(worker["status"], "ONLINE", "{worker:#}");
        assert_ne!(worker["sessionNode"], format!("n{}", frozen + 1), "{worker:#}");
    }
    cluster.node(frozen).signal(Signal::SIGCONT);
    let after = Witness::at(&cluster, cluster.other_than(frozen));
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 90, "{run:#}");
    pass(DOWN_AFTER);
    witness.assert_never(WorkerStatus::Offline);
    after.assert_never(WorkerStatus::Offline);
    after.assert_never(WorkerStatus::Error);
    cluster.until_all_agree();
}

#[test]
fn a_cluster_that_was_frozen_as_a_whole_declares_nobody_dead_when_it_wakes() {
    for nodes in [1, 3] {
        let mut cluster = Cluster::start(nodes, 3);
        let witness = Witness::at(&cluster, 0);
        for node in 0..nodes {
            cluster.node(node).signal(Signal::SIGSTOP);
        }
        pass(DOWN_AFTER * 2);
        for node in 0..nodes {
            cluster.node(node).signal(Signal::SIGCONT);
        }
        pass(DOWN_AFTER);
        cluster.until_fleet("all workers are ONLINE", |worker| worker["status"] == "ONLINE");
        witness.assert_never(WorkerStatus::Offline);
    }
}

// Covers: R44, R45
#[test]
fn of_two_processes_with_one_token_the_newest_wins_and_the_older_says_so_and_ends() {
    let mut cluster = Cluster::start(3, 1);
    let token = cluster.token("w1").to_owned();
    let first = cluster.worker("w1")["sessionEpoch"].as_u64().unwrap();
    let mut newer = cluster.spawn_worker("newer", &token);
    let code = cluster.worker_process("w1").exit_code(SOON);
    let printed = cluster.worker_process("w1").printed();
    assert_eq!(code, 5, "{printed}");
    assert!(
        printed.contains("a newer process holds the session of this worker"),
        "{printed}"
    );
    let worker = cluster.until_worker("w1", "ONLINE");
    assert_eq!(
        worker["sessionEpoch"],
        first + 1,
        "one session, and no fight over it"
    );
    cluster.apply(&definition("smoke", 10, 1));
    let id = cluster.start_run("smoke");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED", "CANNOT_RUN_FOR_NOW"]);
    assert_eq!(
        run["endpoints"]["byOutcome"]["SUCCESS"], 10,
        "the newest works: {run:#}"
    );
    newer.signal(Signal::SIGTERM);
    assert_eq!(newer.exit_code(SOON), 0, "{}", newer.printed());
    for log in [printed, newer.printed()]
        .into_iter()
        .chain((0..3).map(|node| cluster.node(node).printed()))
    {
        assert!(!log.contains(&token), "a token in a log:\n{log}");
    }
}
