//! Projects: a plan stops a run with the numbers, and lets it through once it is raised; who is of another project learns nothing.

use serde_json::{Value, json};

use crate::cluster::*;

impl Cluster {
    /// A new key of a project.
    fn key_of(&self, project: &str, role: &str) -> String {
        let name = format!("{project}-{role}");
        let created = self.json(&[
            "key",
            "create",
            "--name",
            &name,
            "--role",
            role,
            "--project",
            project,
        ]);
        created["secret"].as_str().unwrap().to_owned()
    }

    /// Runs `reeve ARGS` with the key and reads its JSON; the exit code too.
    fn json_with(&self, key: &str, args: &[&str]) -> (i32, Value) {
        let ran = self.reeve_as(Some(key), &self.addresses(), &[&["-o", "json"], args].concat());
        let value = serde_json::from_str(&ran.stdout);
        (
            ran.code,
            value.unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.stderr)),
        )
    }
}

/// Covers: R124, R128, R190, R191, R195, R196, R198
#[test]
fn a_plan_stops_a_run_with_the_numbers_and_lets_it_through_when_it_is_raised() {
    let cluster = Cluster::start(3, 1);
    cluster.json(&[
        "project",
        "create",
        "red",
        "--max-endpoints",
        "39",
        "--credits",
        "1000",
    ]);
    let red = cluster.key_of("red", "operator");
    write(&cluster.dir.path().join("red.yaml"), &definition("smoke", 40, 1));
    let (code, test) = cluster.json_with(&red, &["test", "apply", "-f", "red.yaml"]);
    assert_eq!((code, &test["project"]), (0, &json!("red")));

    let start: &[&str] = &["run", "start", "smoke", "--wait"];
    let refused = cluster.reeve_as(Some(&red), &cluster.addresses(), start);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let why = "PLAN_LIMIT_EXCEEDED the plan of project red allows 39 endpoints at once, 0 are in use by 0 runs, this run asks for 40";
    assert!(refused.stdout.contains(why), "{}", refused.stdout);
    assert!(
        refused
            .stdout
            .contains("a limit of 40 endpoints at once for project red"),
        "{}",
        refused.stdout
    );
    assert_eq!(cluster.json(&["project", "get", "red"])["creditsLeft"], 1_000);

    cluster.json(&["project", "set", "red", "--max-endpoints", "40"]);
    let (code, run) = cluster.json_with(&red, start);
    assert_eq!((code, &run["status"]), (0, &json!("COMPLETED")), "{run:#}");
    assert_accounted(&run, 40);
    // 40 endpoints for one to some seconds, of which the rest of what was reserved came back.
    let (reserved, used) = (
        run["creditsReserved"].as_u64().unwrap(),
        run["creditsUsed"].as_u64().unwrap(),
    );
    assert!((1..=reserved).contains(&used), "{used} of {reserved}");
    cluster.until_all_agree();
    for node in 0..3 {
        let project = cluster.json_at(&cluster.grpc(node), &["project", "get", "red"]);
        assert_eq!(project["creditsLeft"], 1_000 - used);
        assert_eq!(project["creditsSpent"], used);
        assert_eq!(
            project["usage"],
            json!({"runs": 0, "endpoints": 0, "creditsReserved": 0})
        );
    }

    cluster.json(&[
        "project",
        "credits",
        "red",
        "--set",
        "0",
        "--reason",
        "end of the month",
    ]);
    let (code, run) = cluster.json_with(&red, start);
    assert_eq!((code, &run["reason"]["code"]), (2, &json!("CREDITS_EXHAUSTED")));
    cluster.json(&[
        "project",
        "credits",
        "red",
        "--add",
        "100",
        "--reason",
        "topped up",
    ]);
    cluster.json(&["project", "set", "red", "--subscription", "inactive"]);
    let (code, run) = cluster.json_with(&red, start);
    assert_eq!(
        (code, &run["reason"]["code"]),
        (2, &json!("SUBSCRIPTION_INACTIVE"))
    );
    cluster.json(&[
        "project",
        "set",
        "red",
        "--subscription",
        "active",
        "--max-endpoints",
        "none",
    ]);
    assert_eq!(cluster.json_with(&red, start).0, 0);
}

#[test]
fn who_is_of_another_project_learns_nothing_and_an_admin_sees_all() {
    let cluster = Cluster::start(1, 1);
    for name in ["red", "blue"] {
        cluster.json(&["project", "create", name]);
    }
    let (red, blue) = (
        cluster.key_of("red", "operator"),
        cluster.key_of("blue", "operator"),
    );
    let file = cluster.dir.path().join("smoke.yaml");
    write(&file, &definition("smoke", 5, 1));
    let apply: &[&str] = &["test", "apply", "-f", "smoke.yaml"];
    assert_eq!(cluster.json_with(&red, apply).0, 0);
    let (code, run) = cluster.json_with(&red, &["run", "start", "smoke", "--wait"]);
    assert_eq!(code, 0, "{run:#}");
    let id = run["id"].as_str().unwrap();
    for args in [
        &["test", "get", "smoke"] as &[&str],
        &["run", "start", "smoke"],
        &["run", "get", id],
        &["run", "watch", id],
        &["run", "stop", id],
    ] {
        let hidden = cluster.reeve_as(Some(&blue), &cluster.addresses(), args);
        assert_eq!(hidden.code, 1, "{args:?}");
        assert!(hidden.stderr.contains("NOT_FOUND"), "{args:?}: {}", hidden.stderr);
    }
    let foreign = cluster.reeve_as(
        Some(&blue),
        &cluster.addresses(),
        &["test", "list", "--project", "red"],
    );
    assert!(
        foreign.code == 1 && foreign.stderr.contains("OTHER_PROJECT"),
        "{}",
        foreign.stderr
    );
    let items = |value: &Value| value["items"].as_array().unwrap().len();
    assert_eq!(items(&cluster.json_with(&blue, &["run", "list"]).1), 0);
    assert_eq!(items(&cluster.json(&["run", "list"])), 1);
    assert_eq!(items(&cluster.json(&["run", "list", "--project", "blue"])), 0);
    let listed = cluster.reeve_as(
        Some(&blue),
        &cluster.addresses(),
        &["-o", "name", "project", "list"],
    );
    assert_eq!(listed.stdout, "blue\n");
    let in_use = cluster.reeve(&["project", "delete", "red"]);
    assert!(
        in_use.code == 1 && in_use.stderr.contains("PROJECT_IN_USE"),
        "{}",
        in_use.stderr
    );
    cluster.json(&["key", "revoke", "red-operator"]);
    assert_eq!(
        cluster
            .reeve(&["test", "delete", "smoke", "--project", "red"])
            .code,
        0
    );
    assert_eq!(cluster.reeve(&["project", "delete", "red"]).code, 0);
    let made = cluster.reeve(&["test", "apply", "-f", "smoke.yaml", "--project", "red"]);
    assert!(
        made.code == 1 && made.stderr.contains("project: there is no project red"),
        "{}",
        made.stderr
    );
}
