//! Probes: a test on a schedule, through the death of the leader, with its health told on the command line.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::*;
use crate::process::until;

/// A slot is a minute away at most, and due half a minute later at most; and a busy machine.
const SLOT: Duration = Duration::from_secs(150);

impl Cluster {
    fn probe(&self, name: &str) -> Value {
        self.json(&["probe", "get", name])
    }

    /// The slots of a probe, newest first.
    fn slots(&self, name: &str) -> Vec<Value> {
        self.json(&["probe", "history", name])["items"]
            .as_array()
            .unwrap()
            .clone()
    }

    fn create_probe(&self, name: &str, limits: &str) -> Value {
        let create = ["probe", "create", "--name", name, "--test", "smoke"];
        let when = ["--cron", "* * * * *", "--threshold", limits];
        self.json(&[&create[..], &when].concat())
    }
}

/// Slots are told apart, each has one run, and no run is in two of them.
fn assert_one_run_a_slot(slots: &[Value], runs: &[Value]) {
    let instants: BTreeSet<_> = slots.iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
    assert_eq!(instants.len(), slots.len(), "{slots:#?}");
    let told: Vec<_> = slots.iter().filter_map(|slot| slot["runId"].as_str()).collect();
    let distinct: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!(distinct.len(), told.len(), "{slots:#?}");
    let there: BTreeSet<_> = runs.iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(there, distinct, "every run is a slot's");
}

// Covers: R218, R221, R223, R228, R229, R234
#[test]
fn a_slot_has_one_run_although_the_leader_dies_at_it() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("smoke", 10, 1));
    let made = cluster.create_probe("fra", "success_rate: warn 99, crit 50");
    assert_eq!(made["health"]["status"], "UNKNOWN");
    let due: jiff::Timestamp = made["nextDue"].as_str().unwrap().parse().unwrap();
    // The leader dies in the second in which the slot is due.
    let leader = cluster.leader();
    until("the slot is due", SLOT, || {
        (jiff::Timestamp::now() >= due).then_some(())
    });
    cluster.kill_node(leader);
    until("the probe is healthy", SLOT, || {
        (cluster.probe("fra")["health"]["status"] == "HEALTHY").then_some(())
    });
    cluster.start_node(leader);
    cluster.json(&["probe", "pause", "fra"]);
    until("its runs are over", SLOT, || {
        let open = |slot: &Value| slot["runId"].is_string() && slot["runStatus"].is_null();
        (!cluster.slots("fra").iter().any(open)).then_some(())
    });
    let slots = cluster.slots("fra");
    let runs = cluster.json(&["run", "list"])["items"]
        .as_array()
        .unwrap()
        .clone();
    assert_one_run_a_slot(&slots, &runs);
    let probe = cluster.probe("fra");
    assert!(runs.iter().all(|run| run["probeId"] == probe["id"]), "{runs:#?}");
    let first = slots.last().unwrap();
    assert_eq!(
        (&first["runStatus"], &first["health"], &first["errors"]),
        (&"COMPLETED".into(), &"HEALTHY".into(), &0.into()),
        "{first:#}"
    );
    assert_eq!(first["results"][0]["value"], 100.0, "{first:#}");
    assert_eq!(probe["paused"], true);
    cluster.until_all_agree();
}

// Covers: R219, R220, D14b
#[test]
fn a_probe_without_workers_stays_unknown_and_its_schedule_goes_on() {
    let cluster = Cluster::start(1, 0);
    cluster.apply(&definition("smoke", 10, 1));
    cluster.create_probe("fra", "mos: warn 3.5, crit 2.5");
    let slots = until("two slots have ended", SLOT + SLOT, || {
        let slots = cluster.slots("fra");
        let ended = slots.iter().filter(|slot| slot["runStatus"].is_string()).count();
        (ended >= 2).then_some(slots)
    });
    for slot in slots.iter().filter(|slot| slot["runStatus"].is_string()) {
        assert_eq!(slot["runStatus"], "CANNOT_RUN_FOR_NOW", "{slot:#}");
        assert_eq!(slot["runReason"], "NO_ONLINE_WORKERS", "{slot:#}");
        assert_eq!(slot["health"], "UNKNOWN", "{slot:#}");
    }
    assert_eq!(cluster.probe("fra")["health"]["reason"], "it has not run yet");
}

#[test]
fn a_probe_on_the_command_line() {
    let cluster = Cluster::start(1, 0);
    cluster.apply(&definition("smoke", 10, 1));
    let file = cluster.dir.path().join("probe.yaml");
    let text =
        "name: fra\ntest: smoke\nevery: 5m\nthresholds:\n  - { metric: mos, warning: 3.5, critical: 2.5 }\n";
    write(&file, text);
    let path = file.display().to_string();
    let apply = ["probe", "apply", "-f", path.as_str()];
    let applied = cluster.json(&apply);
    assert_eq!(applied["definition"]["thresholds"][0]["warning"], 3.5);
    assert_eq!(
        cluster.json(&apply)["revision"],
        applied["revision"],
        "the same again"
    );
    let table = cluster.reeve(&["probe", "list"]).stdout;
    assert!(
        table.contains("fra") && table.contains("UNKNOWN") && table.contains("every 5m"),
        "{table}"
    );
    let details = cluster.reeve(&["probe", "get", "fra"]).stdout;
    assert!(
        details.contains("it has not run yet") && details.contains("mos"),
        "{details}"
    );
    write(&file, &text.replace("2.5", "4.5"));
    let refused = cluster.reeve(&apply);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("thresholds[0].critical"),
        "{}",
        refused.stderr
    );
    write(&file, &text.replace("every: 5m", "evry: 5m"));
    let refused = cluster.reeve(&apply);
    assert!(
        refused.stderr.contains("evry") && refused.stderr.contains("line 3"),
        "{}",
        refused.stderr
    );
    let in_use = cluster.reeve(&["test", "delete", "smoke"]);
    assert!(in_use.stderr.contains("\"fra\""), "{}", in_use.stderr);
    assert_eq!(cluster.reeve(&["probe", "delete", "fra"]).code, 0);
    assert_eq!(cluster.reeve(&["test", "delete", "smoke"]).code, 0);
}
