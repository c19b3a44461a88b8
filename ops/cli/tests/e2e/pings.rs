//! Ping workers: they register, ping and unregister, and their statuses follow from that alone.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reeve_proto::v1::WorkerStatus;
use serde_json::{Value, json};

use crate::cluster::*;
use crate::http::{asked, http, http_as};
use crate::process::{pass, until};
use crate::witness::Witness;

const UNREACHABLE_AFTER: Duration = Duration::from_millis(2_000);
const OFFLINE_AFTER: Duration = Duration::from_millis(5_000);
/// Nodes tell each other once a second whom they heard, and the leader decides a moment later.
const DECIDED_WITHIN: Duration = Duration::from_secs(3);

/// The sources' names for the sources' thresholds, in small.
const QUICK: [(&str, &str); 3] = [
    ("--ping-interval-ms", "500"),
    ("WORKER_UNREACHABLE_THRESHOLD_MS", "2000"),
    ("WORKER_OFFLINE_THRESHOLD_MS", "5000"),
];

impl Cluster {
    /// A new key for ping workers.
    fn worker_key(&self, name: &str) -> String {
        let created = self.json(&["key", "create", "--name", name, "--role", "worker"]);
        created["secret"].as_str().unwrap().to_owned()
    }

    fn start_ping_worker(&mut self, name: &str, key: &str) {
        let env = [
            ("REEVE_NODES", self.addresses()),
            ("REEVE_API_KEY", key.to_owned()),
        ];
        let args = ["--ping", "--name", name, "--function-block", "lab/probe:1.0.0"];
        let process = self.spawn_worker_with(name, &args, &env);
        self.adopt_worker(name, process);
    }

    /// Sends the signal, after which the worker must end in order.
    fn end_worker(&mut self, name: &str, signal: Signal) {
        let process = self.worker_process(name);
        process.signal(signal);
        assert_eq!(process.exit_code(SOON), 0, "{}", process.printed());
    }

    fn online(&mut self, name: &str, key: &str) -> String {
        self.start_ping_worker(name, key);
        let worker = self.until_worker_named(name, "ONLINE");
        worker["id"].as_str().unwrap().to_owned()
    }

    /// As `until_worker`, of one that may not have registered yet.
    fn until_worker_named(&self, name: &str, status: &str) -> Value {
        until(&format!("worker {name} is {status}"), SOON, || {
            let workers = self.json(&["worker", "list"]);
            let named = |worker: &&Value| worker["name"] == name && worker["status"] == status;
            workers["items"].as_array().unwrap().iter().find(named).cloned()
        })
    }

    fn names(&self, args: &[&str]) -> Vec<String> {
        let list = self.json(args);
        let names = list["items"].as_array().unwrap().iter();
        names
            .map(|worker| worker["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

// Covers: R323, R325, R329, R343, R344, R350-R353
#[test]
fn a_ping_worker_is_online_until_it_is_told_to_end_and_comes_back_as_the_same() {
    let mut cluster = Cluster::start_with(3, 0, &QUICK);
    let key = cluster.worker_key("pings");
    let id = cluster.online("p1", &key);
    assert_eq!(cluster.worker("p1")["profile"], "PING");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        cluster.end_worker("p1", signal);
        let left = cluster.worker("p1");
        assert_eq!(left["status"], "OFFLINE", "at once: {left:#}");
        assert_eq!(left["functionBlocks"], json!(["lab/probe:1.0.0"]));
        assert_eq!(cluster.online("p1", &key), id, "the same worker");
    }
    cluster.assert_never_printed(&[&key]);
}

// Covers: R326-R329, R332, R333, R335, R338, R353, R358, R376
#[test]
fn a_ping_worker_that_goes_silent_is_unreachable_and_then_offline_by_the_thresholds() {
    let mut cluster = Cluster::start_with(3, 0, &QUICK);
    let key = cluster.worker_key("pings");
    let id = cluster.online("p1", &key);
    cluster.online("healthy", &key);
    cluster.worker_process("p1").signal(Signal::SIGSTOP);
    cluster.until_worker("p1", "UNREACHABLE");
    cluster.worker_process("p1").signal(Signal::SIGCONT);
    cluster.until_worker("p1", "ONLINE");
    let history = cluster.json(&["worker", "history", "p1"]);
    assert_eq!(cluster.worker("p1")["flaps"]["total"], 1, "{history:#}");

    let witness = Witness::at(&cluster, cluster.follower());
    let died = Instant::now();
    cluster.kill_worker("p1");
    let unreachable = witness.until("p1", WorkerStatus::Unreachable) - died;
    let offline = witness.until("p1", WorkerStatus::Offline) - died;
    // It pinged at most an interval before it died.
    let within = |after: Duration, threshold: Duration| {
        let earliest = threshold - Duration::from_millis(600);
        assert!(
            after >= earliest && after <= threshold + DECIDED_WITHIN,
            "{after:?} for {threshold:?}"
        );
    };
    within(unreachable, UNREACHABLE_AFTER);
    within(offline, OFFLINE_AFTER);
    let statuses = witness.statuses();
    let of_p1 = &statuses["p1"];
    let position = |status| of_p1.iter().position(|seen| *seen == status);
    assert!(
        position(WorkerStatus::Unreachable) < position(WorkerStatus::Offline),
        "{of_p1:?}"
    );
    assert!(!statuses.contains_key("healthy"), "{statuses:?}");
    assert_eq!(
        cluster.online("p1", &key),
        id,
        "it registers again and is the same"
    );
}

// Covers: R332, R359
#[test]
fn a_ping_worker_whose_node_is_killed_never_leaves_online() {
    killed_node(|cluster| cluster.follower());
}

// Covers: R332, R359
#[test]
fn a_ping_worker_never_leaves_online_when_the_leader_is_killed() {
    killed_node(|cluster| cluster.leader());
}

fn killed_node(choose: impl Fn(&Cluster) -> usize) {
    // Half the threshold is enough to find another node, however busy the machine is.
    let patient = [
        ("--ping-interval-ms", "500"),
        ("WORKER_UNREACHABLE_THRESHOLD_MS", "4000"),
        ("WORKER_OFFLINE_THRESHOLD_MS", "5000"),
    ];
    let mut cluster = Cluster::start_with(3, 0, &patient);
    let key = cluster.worker_key("pings");
    let killed = choose(&cluster);
    let name = format!("n{}", killed + 1);
    // Each pings a node of its own choice: one at least has to ping that one.
    let mut started = 0;
    until("a worker pings that node, and one does not", SOON, || {
        started += 1;
        cluster.online(&format!("p{started}"), &key);
        let list = cluster.json(&["worker", "list"]);
        let here = |worker: &Value| worker["sessionNode"] == name.as_str();
        let workers = list["items"].as_array().unwrap();
        (workers.iter().any(here) && !workers.iter().all(here)).then_some(())
    });
    let other = (0..3).find(|node| *node != killed).unwrap();
    let witness = Witness::at(&cluster, other);
    cluster.kill_node(killed);
    // Whoever was to be declared silent would be so by now.
    pass(OFFLINE_AFTER + DECIDED_WITHIN);
    for worker in cluster.json(&["worker", "list"])["items"].as_array().unwrap() {
        assert_eq!(worker["status"], "ONLINE", "{worker:#}");
        assert_eq!(worker["flaps"]["total"], 0, "{worker:#}");
    }
    witness.assert_never(WorkerStatus::Unreachable);
    witness.assert_never(WorkerStatus::Offline);
}

#[test]
fn a_ping_worker_that_is_drained_unregisters_and_ends() {
    let mut cluster = Cluster::start_with(3, 0, &QUICK);
    let key = cluster.worker_key("pings");
    let id = cluster.online("p1", &key);
    let drained = cluster.json(&["worker", "drain", "p1"]);
    assert_eq!(drained["status"], "OFFLINE", "{drained:#}");
    let process = cluster.worker_process("p1");
    assert_eq!(process.exit_code(SOON), 0, "{}", process.printed());
    assert_eq!(cluster.online("p1", &key), id);
}

// Covers: R102, R353
#[test]
fn a_ping_worker_whose_key_is_revoked_says_so_and_comes_back_as_the_same_with_another() {
    let mut cluster = Cluster::start_with(3, 0, &QUICK);
    let [old, new] = ["old", "new"].map(|name| cluster.worker_key(name));
    let id = cluster.online("p1", &old);
    cluster.json(&["key", "revoke", "old"]);
    let worker = cluster.until_worker("p1", "UNREACHABLE");
    assert_eq!(worker["id"], id.as_str());
    let process = cluster.worker_process("p1");
    let printed = process.printed();
    assert!(
        printed.contains("authentication failed: the API key"),
        "{printed}"
    );
    cluster.kill_worker("p1");
    assert_eq!(cluster.online("p1", &new), id, "the same worker");
    cluster.assert_never_printed(&[&old, &new]);
}

// Covers: R348, R353, R368
#[test]
fn a_ping_worker_that_was_deleted_registers_again_by_itself() {
    let mut cluster = Cluster::start_with(3, 0, &QUICK);
    let key = cluster.worker_key("pings");
    let id = cluster.online("p1", &key);
    cluster.json(&["worker", "delete", "p1"]);
    let again = cluster.until_worker_named("p1", "ONLINE");
    assert_ne!(again["id"], id.as_str(), "a new one");
    let old = cluster.worker(&id);
    assert_eq!(old["status"], "DELETED", "{old:#}");
    let printed = cluster.worker_process("p1").printed();
    assert!(printed.contains("registering again"), "{printed}");
}

// Covers: R369, R370
#[test]
fn a_cleanup_deletes_what_is_offline_and_nothing_else() {
    let mut cluster = Cluster::start_with(3, 1, &QUICK);
    let key = cluster.worker_key("pings");
    cluster.online("stays", &key);
    let id = cluster.online("leaves", &key);
    cluster.end_worker("leaves", Signal::SIGTERM);
    cluster.create_worker("never");
    let ids = |args: &[&str]| cluster.json(args)["deleted"].clone();
    assert_eq!(ids(&["worker", "cleanup"]), json!([]), "not OFFLINE for long");
    assert_eq!(ids(&["worker", "cleanup", "--all-offline"]), json!([id]));
    assert_eq!(cluster.names(&["worker", "list"]), ["never", "stays", "w1"]);
    let all = ["worker", "cleanup", "--all-offline", "--include-session-workers"];
    assert_eq!(ids(&all).as_array().unwrap().len(), 1);
    assert_eq!(cluster.names(&["worker", "list"]), ["stays", "w1"]);
    assert_eq!(ids(&all), json!([]));
}

// Covers: R330, R331, R337, R342, R362
#[test]
fn a_ping_worker_that_is_offline_for_long_is_deleted_and_a_session_worker_is_not() {
    let delete_soon = [
        QUICK.as_slice(),
        &[("WORKER_OFFLINE_DELETE_THRESHOLD_MS", "2000")],
    ]
    .concat();
    let mut cluster = Cluster::start_with(3, 0, &delete_soon);
    cluster.create_worker("never");
    let key = cluster.worker_key("pings");
    let id = cluster.online("p1", &key);
    cluster.end_worker("p1", Signal::SIGTERM);
    until("p1 is deleted", SOON, || {
        let names = cluster.names(&["worker", "list"]);
        (names == ["never"]).then_some(())
    });
    let deleted = cluster.worker(&id);
    assert_eq!(deleted["status"], "DELETED", "{deleted:#}");
    assert!(
        cluster
            .names(&["worker", "list", "--deleted"])
            .contains(&"p1".to_owned())
    );
    let said = cluster.refused(&["worker", "undrain", &id]);
    assert!(said.contains("DELETED"), "{said}");
    assert_ne!(
        cluster.online("p1", &key),
        id,
        "DELETED is final: this is another"
    );
}

// Covers: R343, R346, R348, R349, R351, R352, R361-R364, R368, R373, R374
#[test]
fn whoever_speaks_http_can_be_a_ping_worker_of_any_node() {
    let cluster = Cluster::start(3, 1);
    let at = |node: usize| cluster.http(node);
    let register = r#"{"name":"script","version":"7","region":"lab","functionBlocks":["lab/probe:1.0.0"]}"#;
    let registered = asked(&at(0), "POST", "/workers/register", register, 201);
    let id = registered["uuid"].as_str().unwrap().to_owned();
    let path = |call: &str| format!("/workers/{id}{call}");
    assert_eq!(registered["pingIntervalMs"], 20_000, "{registered:#}");
    let pinged = asked(&at(1), "POST", &path("/ping"), r#"{"cpuPercent":7}"#, 200);
    assert_eq!(pinged["status"], "ONLINE", "{pinged:#}");
    let online = asked(&at(2), "GET", "/workers/online", "", 200);
    assert_eq!(online["count"], 2, "{online:#}");
    let taken = http(&at(2), "POST", "/workers/register", register);
    assert_eq!(taken.0, 409, "{}", taken.1);

    let bad = http(&at(1), "POST", &path("/ping"), r#"{"cpuPercent":101}"#);
    assert!(bad.0 == 400 && bad.1.contains("cpuPercent"), "{bad:?}");
    let bad = http(&at(1), "POST", &path("/ping"), r#"{"cpu":1}"#);
    assert!(bad.0 == 400 && bad.1.contains("cpu"), "{bad:?}");
    let key = cluster.worker_key("another");
    let others = http_as(Some(&key), &at(1), "POST", &path("/ping"), "{}");
    assert!(
        others.0 == 403 && others.1.contains("WORKER_OF_ANOTHER_KEY"),
        "{others:?}"
    );
    let session = cluster.worker("w1")["id"].as_str().unwrap().to_owned();
    let wrong = http(&at(1), "POST", &format!("/workers/{session}/ping"), "{}");
    assert!(wrong.0 == 400 && wrong.1.contains("PROFILE"), "{wrong:?}");

    let left = asked(&at(2), "POST", &path("/unregister"), "", 200);
    assert_eq!(left["status"], "OFFLINE", "{left:#}");
    assert_eq!(asked(&at(0), "GET", "/workers/online", "", 200)["count"], 1);
    let blocks = asked(&at(0), "GET", &path("/function-blocks"), "", 200);
    assert_eq!(blocks["items"], json!(["lab/probe:1.0.0"]));
    let again = asked(&at(1), "POST", "/workers/register", register, 201);
    assert_eq!(again["uuid"], id.as_str());
    asked(&at(0), "POST", &path("/ping"), "", 200);

    asked(&at(0), "DELETE", &path(""), "", 200);
    // A node takes pings by what it knows itself, and it may know of the deletion a moment later.
    let gone = until("the ping is answered with 404", SOON, || {
        let (code, answer) = http(&at(1), "POST", &path("/ping"), "");
        (code == 404).then_some(answer)
    });
    assert!(gone.contains("WORKER_NOT_FOUND"), "{gone}");
    let listed = |query: &str| asked(&at(2), "GET", &format!("/workers{query}"), "", 200)["items"].clone();
    assert_eq!(listed("").as_array().unwrap().len(), 1);
    assert_eq!(listed("?findDeleted=true").as_array().unwrap().len(), 2);
}
