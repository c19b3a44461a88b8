//! What the registry remembers of its workers, and how they leave it.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::*;
use crate::http::asked;
use crate::process::{pass, until};

impl Cluster {
    /// The worker's history, oldest first.
    fn history(&self, name: &str) -> Vec<Value> {
        let history = self.json(&["worker", "history", name]);
        let mut events = history["items"].as_array().unwrap().clone();
        events.reverse();
        events
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect()
}

// Covers: R14, R17, R182
#[test]
fn the_history_of_a_worker_tells_when_why_and_where_and_outlives_the_leader() {
    let mut cluster = Cluster::start(3, 1);
    let first = cluster.worker("w1")["sessionNode"].clone();
    cluster.kill_worker("w1");
    cluster.until_worker("w1", "OFFLINE");
    cluster.start_worker("w1");
    cluster.until_worker("w1", "ONLINE");
    let events = cluster.history("w1");
    assert_eq!(
        kinds(&events),
        ["REGISTERED", "CONNECTED", "SUSPECT", "DISCONNECTED", "CONNECTED"],
        "{events:#?}"
    );
    let changes: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["statusBefore"].as_str().unwrap_or("-"),
                event["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("-", "OFFLINE"),
        ("OFFLINE", "ONLINE"),
        ("ONLINE", "ERROR"),
        ("ERROR", "OFFLINE"),
        ("OFFLINE", "ONLINE"),
    ];
    assert_eq!(changes, expected);
    for event in &events[1..4] {
        assert_eq!(event["node"], first, "{event:#}");
    }
    for event in &events {
        assert!(
            event["at"].is_string() && event["actor"] != "" && event["message"] != "",
            "{event:#}"
        );
    }
    cluster.kill_node(cluster.leader());
    cluster.leader();
    cluster.until_worker("w1", "ONLINE");
    let after = cluster.history("w1");
    assert_eq!(after[..events.len()], events, "the new leader remembers the same");
    let shown = cluster.reeve(&["worker", "history", "w1"]).stdout;
    assert!(shown.contains("ERROR → OFFLINE"), "{shown}");
}

// Covers: R40, R43, R63, R71, R105, R108
#[test]
fn flaps_are_counted_for_the_worker_and_for_the_node_that_saw_them() {
    let mut cluster = Cluster::start(3, 2);
    let mut at = Vec::new();
    for flaps in 1..=2 {
        at.push(cluster.worker("w1")["sessionNode"].as_str().unwrap().to_owned());
        cluster.worker_process("w1").signal(Signal::SIGSTOP);
        let error = cluster.until_worker("w1", "ERROR");
        assert_eq!(error["conditions"][0]["reason"], "HEARTBEATS_MISSED", "{error:#}");
        assert!(error["missedHeartbeats"].as_u64().unwrap() > 0, "{error:#}");
        cluster.worker_process("w1").signal(Signal::SIGCONT);
        let back = cluster.until_worker("w1", "ONLINE");
        assert_eq!(back["flaps"]["total"], flaps, "{back:#}");
        assert_eq!(back["flaps"]["lastHour"], flaps, "{back:#}");
    }
    assert_eq!(cluster.worker("w2")["flaps"]["total"], 0);
    let status = cluster.json(&["cluster", "status"]);
    let leader = status["leaderId"].as_u64().unwrap();
    let of_leader = |node: &&Value| node["member"]["nodeId"] == leader;
    let nodes = status["nodes"].as_array().unwrap();
    let leader = nodes.iter().find(of_leader).unwrap();
    for member in leader["status"]["members"].as_array().unwrap() {
        let here = at.iter().filter(|node| member["name"] == node.as_str()).count();
        assert_eq!(member["flapsLastHour"], here, "{member:#}");
        assert_eq!(member["flappingWorkers"], usize::from(here > 0), "{member:#}");
    }
    let wide = cluster.reeve(&["-o", "wide", "cluster", "status"]).stdout;
    assert!(wide.contains("FLAPPING") && wide.contains("FLAPS/H"), "{wide}");
}

// Covers: R109, R110, R368
#[test]
fn a_busy_worker_is_deleted_by_force_only_and_its_process_ends() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("long", 100, 600));
    let run = cluster.start_run("long");
    cluster.until_phase(&run, "INCALL", 100);
    let id = cluster.worker("w1")["id"].as_str().unwrap().to_owned();
    let said = cluster.refused(&["worker", "delete", "w1"]);
    assert!(said.contains("WORKER_BUSY"), "{said}");
    assert_eq!(cluster.worker("w1")["status"], "ONLINE");

    cluster.json(&["worker", "delete", "w1", "--force"]);
    let half = cluster.run(&run);
    assert_eq!(half["status"], "RUNNING", "{half:#}");
    assert_eq!(half["endpoints"]["byOutcome"]["OSERROR"], 50, "{half:#}");
    let process = cluster.worker_process("w1");
    assert_eq!(process.exit_code(SOON), 5, "no supervisor is to start it again");
    assert!(process.printed().contains("was deleted"), "{}", process.printed());
    let said = cluster.refused(&["worker", "get", "w1"]);
    assert!(said.contains("WORKER_NOT_FOUND"), "{said}");
    assert_eq!(cluster.worker(&id)["status"], "DELETED");
    // The name is free again.
    cluster.create_worker("w1");
    assert_ne!(cluster.worker("w1")["id"], id.as_str());
    cluster.json(&["run", "stop", &run]);
    let run = cluster.until_run(&run, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 100);
}

// Covers: R7, R75, R77, R78, R83-R85
#[test]
fn a_cloud_worker_has_a_token_of_the_platform_and_is_treated_alike() {
    let mut cluster = Cluster::start(3, 0);
    let body = r#"{"name":"cloud-1","region":"us-east","kind":"CLOUD"}"#;
    let created = asked(&cluster.http(1), "POST", "/workers", body, 201);
    assert_eq!(created["worker"]["kind"], "CLOUD");
    assert_eq!(created["worker"]["status"], "OFFLINE");
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("cmw_") && token.len() == 68, "its form");
    cluster.keep_token("cloud-1", token);
    cluster.create_worker("own");
    for name in ["cloud-1", "own"] {
        cluster.start_worker(name);
        cluster.until_worker(name, "ONLINE");
    }
    cluster.apply(&definition("smoke", 10, 1).replace("executor:", "region: us-east\n    executor:"));
    let run = cluster.json(&["run", "start", "smoke", "--wait"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 10, "{run:#}");
    // Both go the same way when they die.
    for name in ["cloud-1", "own"] {
        cluster.kill_worker(name);
    }
    for name in ["cloud-1", "own"] {
        cluster.until_worker(name, "OFFLINE");
        let events = cluster.history(name);
        assert_eq!(
            kinds(&events),
            ["REGISTERED", "CONNECTED", "SUSPECT", "DISCONNECTED"]
        );
    }
    cluster.assert_never_printed(&[token]);
}

// Covers: R3, R45, R72, R86, R87
#[test]
fn a_worker_that_died_stays_offline_until_its_owner_starts_it() {
    let mut cluster = Cluster::start(3, 1);
    let id = cluster.worker("w1")["id"].clone();
    let waited = cluster.reeve(&[
        "worker",
        "wait",
        "w1",
        "--for",
        "offline,error",
        "--timeout",
        "1s",
    ]);
    assert_eq!(waited.code, 4, "{}", waited.stderr);
    assert!(
        waited.stderr.contains("is not OFFLINE or ERROR: it is ONLINE"),
        "{}",
        waited.stderr
    );
    let mut waits = cluster.spawn_reeve("wait", &["worker", "wait", "w1", "--for", "offline"]);
    cluster.kill_worker("w1");
    assert_eq!(waits.exit_code(SOON), 0, "{}", waits.printed());
    let offline = cluster.worker("w1");
    assert_eq!(offline["status"], "OFFLINE");
    pass(std::time::Duration::from_secs(2));
    assert_eq!(cluster.worker("w1"), offline, "nobody touches it");
    let mut waits = cluster.spawn_reeve("wait-back", &["worker", "wait", "w1", "--for", "online"]);
    cluster.start_worker("w1");
    assert_eq!(waits.exit_code(SOON), 0, "{}", waits.printed());
    let back = cluster.worker("w1");
    assert_eq!((&back["status"], &back["id"]), (&Value::from("ONLINE"), &id));
    until("waiting for what does not exist is refused at once", SOON, || {
        let ran = cluster.reeve(&["worker", "wait", "nobody", "--for", "online"]);
        (ran.code == 1 && ran.stderr.contains("WORKER_NOT_FOUND")).then_some(())
    });
}
