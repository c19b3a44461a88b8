//! `reeve worker drain`: what a worker has goes on to its end, nothing new comes, and then it leaves by itself.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::*;
use crate::process::until;

/// `endpoints` that begin over `buildup_s` seconds and stay `duration_s` seconds in their calls.
fn gradual(name: &str, endpoints: u32, buildup_s: u32, duration_s: u32) -> String {
    definition(name, endpoints, duration_s).replace("buildup: 1s", &format!("buildup: {buildup_s}s"))
}

impl Cluster {
    /// A run of this definition that is on its way: so many of its endpoints are in their calls.
    fn begin_run(&self, yaml: &str, name: &str, in_call: u64) -> String {
        self.apply(yaml);
        let run = self.start_run(name);
        self.until_phase(&run, "INCALL", in_call);
        run
    }

    fn condition(&self, worker: &str, kind: &str) -> Option<Value> {
        let worker = self.worker(worker);
        let conditions = worker["conditions"].as_array().unwrap();
        conditions
            .iter()
            .find(|condition| condition["type"] == kind)
            .cloned()
    }
}

/// Of a worker's drain: the endpoints of its first run that are still open.
fn open_endpoints(worker: &Value) -> u64 {
    worker["drain"]["waitsFor"][0]["openEndpoints"]
        .as_u64()
        .unwrap_or(0)
}

// Covers: R20, R26-R30, R34-R36, R65-R69
#[test]
fn a_drained_worker_finishes_what_it_has_gets_nothing_new_and_leaves_by_itself() {
    let mut cluster = Cluster::start(3, 2);
    let run = cluster.begin_run(&gradual("long", 100, 3, 8), "long", 10);
    let mut drain = cluster.spawn_reeve("drain", &["worker", "drain", "w1", "--reason", "new kernel"]);
    let draining = cluster.until_worker("w1", "DRAINING");
    assert_eq!(draining["drain"]["reason"], "new kernel");
    assert_eq!(draining["drain"]["waitsFor"][0]["runId"], run, "{draining:#}");
    assert_eq!(draining["drain"]["waitsFor"][0]["endsInTime"], true);
    // The command shows what it waits for.
    until("the command names the run", SOON, || {
        drain.printed().contains(&run).then_some(())
    });

    // So many that both would get half.
    cluster.apply(&definition("other", 100, 1));
    let other = cluster.json(&["run", "start", "other", "--wait"]);
    assert_eq!(other["status"], "COMPLETED", "{other:#}");
    let w1 = draining["id"].as_str().unwrap();
    let assignments = other["assignments"].as_array().unwrap();
    assert!(
        assignments.iter().all(|one| one["workerId"] != w1),
        "{assignments:?}"
    );

    // Progress and figures still come: its endpoints are seen to end one after another.
    until("some of its endpoints have ended, others not", SOON, || {
        let worker = cluster.worker("w1");
        assert_eq!(worker["status"], "DRAINING", "{worker:#}");
        let reported = worker["resources"].is_object() && worker["missedHeartbeats"] == 0;
        ((1..50).contains(&open_endpoints(&worker)) && reported).then_some(())
    });
    assert_eq!(drain.exit_code(SOON), 0, "{}", drain.printed());
    assert!(
        drain.printed().contains("worker w1 is drained: OFFLINE"),
        "{}",
        drain.printed()
    );
    assert_eq!(cluster.worker("w1")["status"], "OFFLINE");
    assert_eq!(cluster.worker_process("w1").exit_code(SOON), 0);
    let run = cluster.until_run(&run, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 100);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100, "{run:#}");

    // The drain is over with it: whoever starts it again gets a worker that takes work.
    cluster.start_worker("w1");
    let back = cluster.until_worker("w1", "ONLINE");
    assert_eq!(back["drain"], Value::Null);
}

// Covers: R13, R32
#[test]
fn a_worker_that_is_drained_for_maintenance_and_stays_takes_work_again() {
    let mut cluster = Cluster::start(3, 1);
    let run = cluster.begin_run(&gradual("long", 10, 1, 3), "long", 10);
    let before = cluster.worker("w1");
    let drain = ["worker", "drain", "w1", "--maintenance", "--then", "resume"];
    let mut drain = cluster.spawn_reeve("drain", &drain);
    let draining = cluster.until_worker("w1", "DRAINING");
    assert_eq!(draining["conditions"][0]["type"], "Drain", "{draining:#}");
    assert_eq!(draining["conditions"][0]["reason"], "MAINTENANCE");
    assert_eq!(draining["drain"]["actor"], "platform");
    assert_eq!(drain.exit_code(SOON), 0, "{}", drain.printed());
    let after = cluster.worker("w1");
    assert_eq!(after["status"], "ONLINE", "{after:#}");
    assert_eq!(
        after["sessionEpoch"], before["sessionEpoch"],
        "it stayed connected"
    );
    let run = cluster.run(&run);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 10, "{run:#}");
    cluster.apply(&definition("smoke", 10, 1));
    let next = cluster.json(&["run", "start", "smoke", "--wait"]);
    assert_eq!(next["endpoints"]["byOutcome"]["SUCCESS"], 10, "{next:#}");
    assert!(!cluster.worker_process("w1").printed().contains("leaving"));
}

// Covers: R36
#[test]
fn a_forced_drain_hangs_up_at_once_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, 2);
    let run = cluster.begin_run(&definition("long", 100, 600), "long", 100);
    let drained = cluster.json(&["worker", "drain", "w1", "--force"]);
    assert_eq!(drained["status"], "OFFLINE", "{drained:#}");
    assert_eq!(cluster.worker_process("w1").exit_code(SOON), 0);
    let half = cluster.run(&run);
    assert_eq!(half["status"], "RUNNING", "{half:#}");
    assert_eq!(half["endpoints"]["byOutcome"]["OSERROR"], 50, "{half:#}");
    assert_eq!(half["endpoints"]["byPhase"]["INCALL"], 50, "{half:#}");
    cluster.json(&["run", "stop", &run]);
    let run = cluster.until_run(&run, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 100);
    assert_eq!(run["endpoints"]["byOutcome"]["OSERROR"], 50, "{run:#}");
}

// Covers: R27, R34
#[test]
fn a_drain_survives_the_death_of_the_leader() {
    let mut cluster = Cluster::start(3, 2);
    let run = cluster.begin_run(&gradual("long", 100, 1, 6), "long", 100);
    let mut drain = cluster.spawn_reeve("drain", &["worker", "drain", "w1"]);
    cluster.until_worker("w1", "DRAINING");
    cluster.kill_node(cluster.leader());
    cluster.leader();
    assert_eq!(cluster.worker("w1")["status"], "DRAINING");
    cluster.apply(&definition("other", 100, 1));
    let other = cluster.json(&["run", "start", "other", "--wait"]);
    let w1 = cluster.worker("w1")["id"].clone();
    let assignments = other["assignments"].as_array().unwrap();
    assert!(assignments.iter().all(|one| one["workerId"] != w1), "{other:#}");
    assert_eq!(drain.exit_code(SOON), 0, "{}", drain.printed());
    assert_eq!(cluster.worker_process("w1").exit_code(SOON), 0);
    cluster.until_worker("w1", "OFFLINE");
    let run = cluster.until_run(&run, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100, "{run:#}");
}

#[test]
fn a_drain_is_taken_back_and_whoever_waits_for_it_is_told() {
    let mut cluster = Cluster::start(1, 1);
    let run = cluster.begin_run(&definition("long", 10, 600), "long", 10);
    let mut waits = cluster.spawn_reeve("drain", &["worker", "drain", "w1"]);
    cluster.until_worker("w1", "DRAINING");
    until("the command waits", SOON, || {
        waits.printed().contains(&run).then_some(())
    });
    let back = cluster.json(&["worker", "undrain", "w1"]);
    assert_eq!(back["status"], "ONLINE", "{back:#}");
    assert_eq!(waits.exit_code(SOON), 1);
    assert!(waits.printed().contains("was taken back"), "{}", waits.printed());
    let going_on = cluster.run(&run);
    assert_eq!(going_on["endpoints"]["byPhase"]["INCALL"], 10, "{going_on:#}");
    assert_eq!(cluster.condition("w1", "Drain"), None);
    // Nothing is left of it for the worker either: told to end, it drains anew.
    cluster.worker_process("w1").signal(Signal::SIGTERM);
    let own = cluster.until_worker("w1", "DRAINING");
    assert_eq!(own["conditions"][0]["reason"], "ASKED_BY_WORKER", "{own:#}");
    cluster.json(&["run", "stop", &run]);
    assert_eq!(cluster.worker_process("w1").exit_code(SOON), 0);
}

// Covers: R16, R21
#[test]
fn a_drain_of_a_worker_that_is_not_there_is_refused_with_its_status() {
    let mut cluster = Cluster::start(1, 1);
    cluster.create_worker("never");
    let never = cluster.worker("never");
    let said = cluster.refused(&["worker", "drain", "never"]);
    assert!(
        said.contains("FAILED_PRECONDITION") && said.contains("OFFLINE"),
        "{said}"
    );
    assert_eq!(cluster.worker("never"), never, "nothing changed");
    cluster.json(&["worker", "delete", "never"]);
    let id = never["id"].as_str().unwrap();
    let said = cluster.refused(&["worker", "drain", id]);
    assert!(said.contains("DELETED"), "{said}");
    let said = cluster.refused(&["worker", "drain", "w1", "--deadline", "169h"]);
    assert!(said.contains("deadline") || said.contains("timeout"), "{said}");
    assert_eq!(cluster.worker("w1")["status"], "ONLINE");
}

#[test]
fn a_dry_run_names_the_runs_that_it_would_wait_for_and_those_that_would_not_fit_and_changes_nothing() {
    let mut cluster = Cluster::start(1, 0);
    for name in ["w1", "w2"] {
        cluster.create_worker_with(name, &["--capacity", "50"]);
        cluster.start_worker(name);
        cluster.until_worker(name, "ONLINE");
    }
    let runs = cluster.begin_run(&definition("runs", 60, 600), "runs", 60);
    // It fits once the first one is stopped, but on one worker alone it never would.
    let big = definition("waits", 60, 1).replace("buildup:", "queue_timeout: 10m\nbuildup:");
    cluster.apply(&big);
    let waits = cluster.start_run("waits");
    cluster.until_run(&waits, &["QUEUED"]);

    let before = cluster.worker("w1");
    let dry = cluster.json(&["worker", "drain", "w1", "--dry-run", "--deadline", "5m"]);
    let wait = &dry["worker"]["drain"]["waitsFor"][0];
    assert_eq!(wait["runId"], runs, "{dry:#}");
    assert_eq!(wait["openEndpoints"], 30);
    assert_eq!(wait["endsInTime"], false, "ten minutes are more than five");
    let effect = &dry["queued"][0];
    assert_eq!(effect["runId"], waits, "{dry:#}");
    assert_eq!(effect["fitsAfter"], false);
    assert_eq!(effect["reason"], "INSUFFICIENT_CAPACITY", "{effect:#}");
    let shown = cluster
        .reeve(&["worker", "drain", "w1", "--dry-run", "--deadline", "5m"])
        .stdout;
    assert!(
        shown.contains("Nothing was changed") && shown.contains(&runs) && shown.contains(&waits),
        "{shown}"
    );

    let after = cluster.worker("w1");
    assert_eq!(after["status"], "ONLINE");
    assert_eq!(after["revision"], before["revision"], "nothing changed");
    cluster.json(&["run", "stop", &runs]);
    let run = cluster.until_run(&waits, &["COMPLETED", "FAILED", "CANNOT_RUN_FOR_NOW"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 60, "{run:#}");
}
