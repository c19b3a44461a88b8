//! Runs as users follow them: why one waits, what would help, whom it calls, and what lost workers mean.

use serde_json::Value;

use crate::cluster::*;
use crate::http::asked;
use crate::process::until;

/// A definition that may wait for capacity.
fn patient(name: &str, endpoints: u32, duration_s: u32) -> String {
    definition(name, endpoints, duration_s).replace("buildup:", "queue_timeout: 2m\nbuildup:")
}

fn sum(counts: &Value) -> u64 {
    let counts = counts.as_object().unwrap();
    counts.values().map(|count| count.as_u64().unwrap()).sum()
}

/// One worker that takes a hundred endpoints.
fn small() -> Cluster {
    let mut cluster = Cluster::start(1, 0);
    cluster.create_worker_with("w1", &["--capacity", "100"]);
    cluster.start_worker("w1");
    cluster.until_worker("w1", "ONLINE");
    cluster
}

// Covers: R129, R137, R183, R189, R194, R197, R198
#[test]
fn a_run_that_waits_tells_why_and_starts_once_what_it_waits_for_is_gone() {
    let cluster = small();
    let file = cluster.dir.path().join("large.yaml");
    let file = file.to_str().unwrap().to_owned();
    write(file.as_ref(), &patient("large", 80, 600));
    let plan = cluster.reeve(&["run", "plan", "-f", &file]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(
        plan.stdout.contains("CAN_START") && plan.stdout.contains("80 of 100 (80 %)"),
        "{}",
        plan.stdout
    );
    cluster.apply(&patient("large", 80, 600));
    cluster.apply(&patient("small", 40, 1));
    let large = cluster.start_run("large");
    cluster.until_run(&large, &["RUNNING"]);
    let busy = cluster.reeve(&["run", "plan", "--test", "small"]);
    assert_eq!(busy.code, 2, "{}", busy.stdout);
    let small = cluster.start_run("small");
    cluster.until_run(&small, &["QUEUED"]);
    let explained = cluster.json(&["run", "explain", &small]);
    assert_eq!(explained["verdict"], "WAITS", "{explained:#}");
    assert_eq!(explained["reason"]["code"], "WORKERS_BUSY");
    assert_eq!(explained["holders"][0]["runId"], large.as_str());
    let kinds: Vec<&str> = explained["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ADD_CAPACITY", "REDUCE_ENDPOINTS", "WAIT"]);
    let told = cluster.reeve(&["run", "explain", &small]).stdout;
    for part in [
        "WORKERS_BUSY",
        "Would help, any one of:",
        "w1",
        "CAPACITY IS WITH",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    cluster.reeve(&["run", "stop", &large]);
    let ran = cluster.until_run(&small, &["COMPLETED"]);
    assert_accounted(&ran, 40);
    assert_eq!(cluster.json(&["run", "explain", &small])["verdict"], "PLACED");
    let stopped = cluster.until_run(&large, &["COMPLETED"]);
    assert_eq!(stopped["reason"]["code"], "STOPPED_BY_USER");
    let compared = cluster.reeve(&["run", "compare", &large, &small]).stdout;
    for part in [
        "QUEUED took",
        "The definitions differ.",
        "80 completed",
        "40 completed",
    ] {
        assert!(compared.contains(part), "{part} is not in\n{compared}");
    }
}

// Covers: R110, R147, R172, R173, R174, R178, R184
#[test]
fn a_run_fails_for_a_lost_worker_if_its_definition_says_so() {
    let mut cluster = Cluster::start(1, 2);
    let policy =
        definition("strict", 200, 600).replace("buildup:", "on_worker_loss: { fail_above: 20% }\nbuildup:");
    cluster.apply(&policy);
    let id = cluster.start_run("strict");
    cluster.until_phase(&id, "INCALL", 200);
    let (first, run) = (
        cluster.run(&id)["assignments"][0]["workerName"].clone(),
        cluster.run(&id),
    );
    assert_eq!(run["definition"]["onWorkerLoss"]["failAbove"], "20%");
    cluster.kill_worker(first.as_str().unwrap());
    let run = cluster.until_run(&id, &["FAILED"]);
    assert_eq!(run["reason"]["code"], "WORKER_LOST", "{run:#}");
    assert_eq!(
        run["reason"]["message"],
        "1 of 2 workers lost: 50 % of endpoints, the limit is 20 %"
    );
    assert_accounted(&run, 200);
    // What it did until then stays.
    let endpoints = asked(
        &cluster.http(0),
        "GET",
        &format!("/runs/{id}/endpoints?pageSize=200"),
        "",
        200,
    );
    assert_eq!(endpoints["items"].as_array().unwrap().len(), 200);
    let shown = cluster.reeve(&["run", "get", &id]).stdout;
    for part in ["WORKER_LOST", "the limit is 20 %", "reeve worker history"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let wide = cluster.reeve(&["-o", "wide", "run", "get", &id]).stdout;
    assert!(wide.contains("INTERRUPTED"), "{wide}");
    assert_eq!(cluster.reeve(&["run", "wait", &id]).code, 3);
}

// Covers: R134, R145, R210
#[test]
fn callers_start_after_those_they_call() {
    let cluster = Cluster::start(1, 1);
    let calls = "name: calls\nduration: 1s\nbuildup: 500ms\ngroups:\n  - { name: callers, endpoints: 5, callee: { group: \
                 receivers } }\n  - { name: receivers, endpoints: 5 }\n";
    cluster.apply(calls);
    let id = cluster.start_run("calls");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 10);
    let groups: Vec<_> = run["assignments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|assignment| {
            (
                assignment["group"].as_str().unwrap(),
                assignment["startOffset"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        groups,
        [("receivers", None), ("callers", Some("2s500ms"))],
        "{run:#}"
    );
}

// Covers: R142, R184
#[test]
fn at_every_moment_the_phases_sum_up_to_the_size_of_the_run() {
    let mut cluster = Cluster::start(3, 3);
    cluster.apply(&definition("smoke", 300, 12));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 50);
    cluster.kill_worker("w2");
    let leader = cluster.leader();
    cluster.kill_node(leader);
    let mut looks = 0;
    let mut last = 0;
    let run = until("the run has ended", SOON, || {
        let run = cluster.run(&id);
        let endpoints = &run["endpoints"];
        assert_eq!(endpoints["total"], 300);
        assert_eq!(sum(&endpoints["byPhase"]), 300, "{run:#}");
        let by_worker: u64 = run["assignments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|assignment| sum(&assignment["counts"]["byPhase"]))
            .sum();
        assert_eq!(by_worker, 300, "{run:#}");
        let closed = endpoints["byPhase"]["CLOSED"].as_u64().unwrap();
        assert!(closed >= last, "{closed} after {last}");
        last = closed;
        looks += 1;
        (run["status"] != "RUNNING").then_some(run)
    });
    assert!(looks > 10, "{looks} looks");
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    assert_accounted(&run, 300);
    let (mut completed, mut interrupted) = (0, 0);
    for assignment in run["assignments"].as_array().unwrap() {
        completed += assignment["completed"].as_u64().unwrap();
        interrupted += assignment["interrupted"].as_u64().unwrap();
    }
    assert_eq!(completed + interrupted, 300, "{run:#}");
    assert_eq!(
        interrupted,
        run["endpoints"]["byOutcome"]["OSERROR"].as_u64().unwrap()
    );
}
