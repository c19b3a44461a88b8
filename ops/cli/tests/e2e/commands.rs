//! The client commands: what they print, and how they end.

use serde_json::Value;

use crate::cluster::*;

// Covers: R115, R117, R119, R199, R211, R212, R216
#[test]
fn a_run_from_definition_to_outcome_against_any_node() {
    let cluster = Cluster::start(3, 2);
    let applied = cluster.apply(&definition("smoke", 40, 1));
    assert_eq!(applied["version"], 1);
    for node in 0..3 {
        let at = cluster.grpc(node);
        let started = cluster.json_at(&at, &["run", "start", "smoke", "--wait"]);
        assert_eq!(started["status"], "COMPLETED", "{started:#}");
        let run = cluster.json_at(&at, &["run", "get", started["id"].as_str().unwrap()]);
        assert_accounted(&run, 40);
        assert_eq!(
            cluster.json_at(&at, &["worker", "list"])["items"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            cluster.json_at(&at, &["run", "list"])["items"]
                .as_array()
                .unwrap()
                .len(),
            node + 1
        );
    }
    let listed = cluster.reeve(&["run", "list", "--status", "completed"]);
    assert_eq!(
        listed.stdout.lines().count(),
        4,
        "a header and three runs:\n{}",
        listed.stdout
    );
    assert!(cluster.reeve(&["cluster", "status"]).stdout.contains("n3"));
}

// Covers: R99, R126, R185, R188, R192, R203
#[test]
fn a_run_that_cannot_be_placed_says_why_and_exits_2() {
    let cluster = Cluster::start(1, 1);
    let elsewhere = definition("far", 10, 1).replace("executor:", "region: atlantis\n    executor:");
    cluster.apply(&elsewhere);
    let ran = cluster.reeve(&["-o", "json", "run", "start", "far", "--wait"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let run: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(run["reason"]["code"], "NO_ONLINE_WORKERS");
    let removed = run["explanation"]["groups"][0]["removed"].as_array().unwrap();
    let by_region = removed
        .iter()
        .find(|count| count["filter"] == "OTHER_REGION")
        .unwrap();
    assert_eq!(by_region["workers"], 1, "{removed:?}");
    cluster.apply(&definition("huge", 1_000_000, 1));
    let ran = cluster.reeve(&["-o", "json", "run", "start", "huge", "--wait"]);
    assert_eq!(ran.code, 2);
    let run: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(run["reason"]["code"], "INSUFFICIENT_CAPACITY");
    assert_ne!(run["explanation"]["suggestion"], "");
}

#[test]
fn bad_input_names_the_field_and_writes_nothing() {
    let cluster = Cluster::start(1, 0);
    let file = cluster.dir.path().join("bad.yaml");
    let cases = [
        (definition("", 10, 1), "name"),
        (definition("smoke", 0, 1), "groups[0].endpoints"),
        (definition("smoke", 10, 0), "duration"),
        (
            definition("smoke", 10, 1).replace("duration: 1s", "duration: soon"),
            "duration",
        ),
        (
            definition("smoke", 10, 1).replace("buildup", "build_up_time"),
            "build_up_time",
        ),
        ("- just\n- a list\n".to_owned(), "definition"),
    ];
    for (yaml, field) in cases {
        write(&file, &yaml);
        let ran = cluster.reeve(&["test", "apply", "-f", file.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{yaml}");
        assert!(ran.stderr.contains(field), "{yaml}\nwas answered\n{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let missing = cluster.reeve(&["test", "apply", "-f", "no-such-file.yaml"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("no-such-file.yaml"));
    assert_eq!(cluster.json(&["test", "list"])["items"], Value::Array(vec![]));
}

#[test]
fn unknown_ids_are_not_found() {
    let cluster = Cluster::start(1, 0);
    let nobody = "01939b4e-0000-7000-8000-000000000000";
    for args in [
        ["run", "get", nobody],
        ["run", "stop", nobody],
        ["test", "get", "nothing"],
        ["test", "delete", "nothing"],
        ["worker", "get", "nobody"],
        ["run", "start", "nothing"],
    ] {
        let ran = cluster.reeve(&args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.stderr.contains("NOT_FOUND"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn the_same_request_id_gives_the_same_run_on_every_node() {
    let cluster = Cluster::start(3, 1);
    cluster.apply(&definition("smoke", 5, 1));
    cluster.apply(&definition("other", 5, 1));
    let ids: Vec<_> = (0..3)
        .map(|node| {
            cluster.json_at(
                &cluster.grpc(node),
                &["run", "start", "smoke", "--request-id", "once"],
            )["id"]
                .clone()
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let reused = cluster.reeve(&["run", "start", "other", "--request-id", "once"]);
    assert_eq!(reused.code, 1);
    assert!(reused.stderr.contains("REQUEST_ID_REUSED"), "{}", reused.stderr);
    assert_eq!(
        cluster.json(&["run", "list"])["items"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_run_that_is_stopped_hangs_up_and_completes() {
    let cluster = Cluster::start(1, 1);
    cluster.apply(&definition("long", 20, 600));
    let id = cluster.start_run("long");
    cluster.until_phase(&id, "INCALL", 20);
    cluster.json(&["run", "stop", &id]);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["reason"]["code"], "STOPPED_BY_USER");
    assert_accounted(&run, 20);
    let again = cluster.reeve(&["run", "stop", &id]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("COMPLETED"), "{}", again.stderr);
}

// Covers: R170, R171, R180
#[test]
fn a_run_that_takes_too_long_fails() {
    let cluster = Cluster::start(1, 1);
    cluster.apply(&definition("long", 10, 600).replace("buildup:", "max_execution: 3s\nbuildup:"));
    let id = cluster.start_run("long");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["reason"]["message"], "Execution timeout exceeded");
    assert_accounted(&run, 10);
    assert_eq!(run["endpoints"]["byOutcome"]["TIMEOUT"], 10);
}

#[test]
fn members_are_added_and_removed_and_leadership_is_handed_over() {
    let mut cluster = Cluster::start(3, 0);
    let (old, next) = (cluster.leader(), cluster.follower());
    let asked = cluster.json(&["cluster", "transfer-leader", &(next + 1).to_string()]);
    assert_eq!(asked["leaderId"], next as u64 + 1);
    assert_eq!(cluster.leader(), next);
    cluster.json(&["cluster", "remove", &(old + 1).to_string()]);
    assert_eq!(
        cluster.node(old).exit_code(SOON),
        0,
        "a node that was removed stops"
    );
    assert!(cluster.node(old).printed().contains("removed from the cluster"));
    let members = cluster.json(&["cluster", "members"]);
    let ids: Vec<_> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["nodeId"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{members:#}");
    assert!(!ids.contains(&(old as u64 + 1)));
}

#[test]
fn many_runs_at_once_share_a_worker_and_none_is_mistaken_for_another() {
    let cluster = Cluster::start(1, 1);
    cluster.apply(&definition("smoke", 5, 2));
    let ids: Vec<_> = (0..20).map(|_| cluster.start_run("smoke")).collect();
    for id in &ids {
        let run = cluster.until_run(id, &["COMPLETED", "FAILED", "CANNOT_RUN_FOR_NOW"]);
        assert_eq!(run["status"], "COMPLETED", "{run:#}");
        assert_accounted(&run, 5);
    }
}
