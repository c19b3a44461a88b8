//! `reeve dev`, HTTP and health, as users and their tools meet them.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cluster::*;
use crate::http::http;
use crate::process::{Process, until};

// Covers: R115, R211, R212
#[test]
fn rest_serves_tests_and_runs_on_every_node() {
    let cluster = Cluster::start(3, 1);
    let definition = r#"{"name":"smoke","duration":"1s","buildup":"0s","groups":[{"name":"a","endpoints":5,"executor":"sim","sim":{"setup":"10ms..20ms"}}]}"#;
    let (code, body) = http(&cluster.http(0), "POST", "/tests", definition);
    assert_eq!(code, 201, "{body}");
    let test: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        http(&cluster.http(1), "POST", "/tests", definition).0,
        409,
        "the name is taken (D27b)"
    );
    let path = format!("/tests/{}/run", test["id"].as_str().unwrap());
    let (code, body) = http(&cluster.http(1), "POST", &path, "{}");
    assert_eq!(code, 201, "{body}");
    let run: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(run["status"], "PENDING");
    let id = run["id"].as_str().unwrap();
    cluster.until_run(id, &["COMPLETED"]);
    for node in 0..3 {
        for prefix in ["", "/api/v1"] {
            let (code, body) = http(&cluster.http(node), "GET", &format!("{prefix}/runs/{id}"), "");
            assert_eq!(code, 200, "{body}");
            assert_eq!(
                serde_json::from_str::<Value>(&body).unwrap()["status"],
                "COMPLETED"
            );
        }
    }
    let (code, body) = http(
        &cluster.http(2),
        "GET",
        "/runs/01939b4e-0000-7000-8000-000000000000",
        "",
    );
    assert_eq!(code, 404);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap()["error"]["code"],
        "NOT_FOUND"
    );
    let (code, body) = http(&cluster.http(2), "POST", "/tests", &definition.replace("5", "0"));
    assert_eq!(code, 400, "{body}");
    assert!(body.contains("groups[0].endpoints"), "{body}");
}

#[test]
fn health_and_metrics_tell_of_a_node() {
    let mut cluster = Cluster::start(3, 1);
    for node in 0..3 {
        assert_eq!(http(&cluster.http(node), "GET", "/healthz", "").0, 200);
        until("the node is ready", SOON, || {
            (http(&cluster.http(node), "GET", "/readyz", "").0 == 200).then_some(())
        });
    }
    let (code, metrics) = http(&cluster.http(cluster.leader()), "GET", "/metrics", "");
    assert_eq!(code, 200);
    for name in [
        "reeve_build_info",
        "reeve_raft_is_leader 1",
        "reeve_raft_term",
        "reeve_workers{",
        "reeve_worker_sessions",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    cluster.kill_node(0);
    cluster.kill_node(1);
    until("the last node is not ready", SOON, || {
        (http(&cluster.http(2), "GET", "/readyz", "").0 == 503).then_some(())
    });
    assert_eq!(
        http(&cluster.http(2), "GET", "/healthz", "").0,
        200,
        "losing the quorum is not dying"
    );
}

struct Dev {
    process: Process,
    ready: Value,
}

fn dev(dir: &std::path::Path) -> Dev {
    let args = [
        "-o",
        "json",
        "dev",
        "--random-ports",
        "--workers",
        "2",
        "--data-dir",
        dir.to_str().unwrap(),
    ];
    let log = dir.with_extension("dev.log");
    let _ = std::fs::remove_file(&log);
    let process = Process::start(&log, &args.map(str::to_owned), &[]);
    let ready = until("dev is ready", Duration::from_secs(60), || {
        process
            .printed()
            .lines()
            .find_map(|line| serde_json::from_str::<Value>(line).ok())
    });
    Dev { process, ready }
}

impl Dev {
    fn pids(&self) -> Vec<i32> {
        ["nodes", "workers"]
            .iter()
            .flat_map(|kind| self.ready[kind].as_array().unwrap())
            .map(|child| i32::try_from(child["pid"].as_i64().unwrap()).unwrap())
            .collect()
    }

    /// Runs `reeve -o json ARGS` with the key that dev gave.
    fn json(&self, runner: &Cluster, args: &[&str]) -> Value {
        let key = self.ready["apiKey"].as_str().unwrap();
        runner.json_at(&self.address(), &[&["--api-key", key], args].concat())
    }

    fn address(&self) -> String {
        self.ready["nodes"][0]["grpc"].as_str().unwrap().to_owned()
    }
}

fn gone(pid: i32) -> bool {
    // A zombie is gone too: whoever adopted it has not collected it yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(Pid::from_raw(pid), None).is_err()
        || stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
}

#[test]
fn dev_stops_everything_and_finds_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let nothing = Cluster::start(1, 0);
    let mut first = dev(&data);
    let file = dir.path().join("smoke.yaml");
    write(&file, &definition("smoke", 10, 1));
    first.json(&nothing, &["test", "apply", "-f", file.to_str().unwrap()]);
    let run = first.json(&nothing, &["run", "start", "smoke", "--wait"]);
    assert_eq!(run["status"], "COMPLETED");
    first.process.signal(Signal::SIGTERM);
    assert_eq!(first.process.exit_code(SOON), 0, "{}", first.process.printed());
    assert!(first.pids().into_iter().all(gone), "children are left");

    let second = dev(&data);
    let again = second.json(&nothing, &["run", "get", run["id"].as_str().unwrap()]);
    assert_eq!(again["endpoints"], run["endpoints"]);
    assert_eq!(second.ready["workers"][0]["id"], first.ready["workers"][0]["id"]);
    // kill -9 of dev itself leaves nothing running either.
    let pids = second.pids();
    second.process.kill();
    until("the children are gone", SOON, || {
        pids.iter().all(|pid| gone(*pid)).then_some(())
    });

    let third = dev(&data);
    let again = third.json(&nothing, &["run", "get", run["id"].as_str().unwrap()]);
    assert_eq!(again["endpoints"], run["endpoints"]);
}
