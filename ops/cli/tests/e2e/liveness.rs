//! Who counts as alive while nodes die, freeze and wake: no healthy worker is declared dead, no dead one lives on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reeve_proto::v1::WorkerStatus;

use crate::cluster::*;
use crate::process::{pass, until};
use crate::witness::Witness;

const DOWN_AFTER: Duration = Duration::from_millis(DOWN_AFTER_MS);
/// Workers that lose their nodes together, in real processes.
const FLEET: usize = 200;

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
    assert_eq!(code, 5, "no supervisor is to start it again: {printed}");
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
