//! The layers of ARCHITECTURE.md: which crate may depend on which. A new edge is a decision; make it here, with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::Path, process::Command};

use serde_json::Value;

/// Each crate of the workspace and its level. A crate may use only crates on lower levels.
const LEVELS: [(&str, u8); 14] = [
    ("reeve-proto", 0),
    ("reeve-state", 0),
    // It knows sockets and sound, and nothing of Reeve.
    ("reeve-media", 0),
    // User agents on top of it; nothing of runs, workers or the cluster.
    ("reeve-sip", 1),
    ("reeve-store", 1),
    ("reeve-plan", 1),
    ("reeve-node", 2),
    ("reeve-worker", 2),
    ("reeve-testkit", 2),
    ("reeve-cli", 3),
    ("reeve-chaos", 3),
    ("reeve-bench", 3),
    // It feeds everything that reads bytes, the command line too.
    ("reeve-fuzz", 4),
    // It runs whole nodes, and the real fleet of a worker.
    ("reeve-sim", 4),
];

/// Crates that must stay pure: no async, clock, randomness or I/O. What each may use, all of it equally pure.
const PURE: [(&str, &[&str]); 2] = [
    ("reeve-state", &["imbl", "thiserror", "uuid"]),
    ("reeve-plan", &["imbl", "reeve-state", "thiserror"]),
];

/// Dependencies that only these crates may have. The chaos harness reads what a stopped node left on disk, by itself: a checker that
/// used the store's own code would share its mistakes.
const RESERVED: [(&str, &[&str]); 2] = [
    ("openraft", &["reeve-store"]),
    ("rocksdb", &["reeve-store", "reeve-chaos"]),
];

/// The feature that puts known bugs in.
const MUTANTS: &str = "mutants";

/// The only crates of ours that a worker may know: it is deployed alone and speaks nothing but the wire.
const WORKER_MAY_USE: [&str; 3] = ["reeve-proto", "reeve-media", "reeve-sip"];

/// One dependency as a manifest states it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    /// Of a `[dev-dependencies]` table.
    dev: bool,
}

#[test]
fn the_workspace_keeps_its_layers() {
    let (packages, edges) = workspace();
    let mut wrong = unplaced(&packages);
    wrong.extend(edges.iter().filter_map(violation));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn an_edge_to_the_same_or_a_higher_level_is_refused() {
    for (from, to) in [
        ("reeve-state", "reeve-proto"),
        ("reeve-plan", "reeve-store"),
        ("reeve-node", "reeve-worker"),
        ("reeve-store", "reeve-node"),
        ("reeve-chaos", "reeve-cli"),
    ] {
        assert!(violation(&normal(from, to)).is_some(), "{from} -> {to}");
        assert!(
            violation(&Edge {
                dev: true,
                ..normal(from, to)
            })
            .is_some(),
            "{from} -> {to}, in tests"
        );
    }
}

#[test]
fn edges_to_lower_levels_are_allowed() {
    for (from, to) in [
        ("reeve-plan", "reeve-state"),
        ("reeve-store", "reeve-proto"),
        ("reeve-node", "reeve-store"),
        ("reeve-worker", "reeve-proto"),
        ("reeve-cli", "reeve-worker"),
        ("reeve-node", "tokio"),
        ("reeve-store", "rocksdb"),
    ] {
        assert_eq!(violation(&normal(from, to)), None, "{from} -> {to}");
    }
}

#[test]
fn a_pure_crate_may_use_only_what_is_listed_except_in_its_tests() {
    for to in ["tokio", "rand", "jiff", "chrono", "futures"] {
        for from in ["reeve-state", "reeve-plan"] {
            assert!(violation(&normal(from, to)).is_some(), "{from} -> {to}");
        }
    }
    assert_eq!(
        violation(&Edge {
            dev: true,
            ..normal("reeve-state", "proptest")
        }),
        None
    );
}

#[test]
fn consensus_storage_and_the_worker_are_closed() {
    for (from, to) in [
        ("reeve-node", "openraft"),
        ("reeve-bench", "rocksdb"),
        ("reeve-worker", "reeve-state"),
        ("reeve-worker", "reeve-store"),
    ] {
        assert!(violation(&normal(from, to)).is_some(), "{from} -> {to}");
    }
}

#[test]
fn a_crate_on_no_level_is_reported() {
    assert_eq!(unplaced(&["reeve-proto".into()]), Vec::<String>::new());
    assert_eq!(unplaced(&["reeve-new".into()]).len(), 1);
}

#[test]
fn known_bugs_are_in_no_program_that_does_not_ask_for_them() {
    let metadata = metadata();
    let mut has = 0;
    for package in packages(&metadata) {
        let name = package["name"].as_str().expect("a package has a name");
        for (feature, implies) in package["features"].as_object().expect("a table of features") {
            has += usize::from(feature == MUTANTS);
            let implies = implies.as_array().expect("a list of features");
            let asks = |one: &Value| {
                one.as_str()
                    .is_some_and(|one| one == MUTANTS || one.ends_with("/mutants"))
            };
            assert!(
                feature == MUTANTS || !implies.iter().any(asks),
                "{name}: the feature {feature} brings known bugs"
            );
        }
        for dependency in package["dependencies"]
            .as_array()
            .expect("a list of dependencies")
        {
            let features = dependency["features"].as_array().expect("a list of features");
            assert!(
                !features.iter().any(|feature| feature == MUTANTS),
                "{name}: {} is asked for with known bugs",
                dependency["name"]
            );
        }
    }
    assert_eq!(has, 5, "reeve-state, -store, -plan, -node and -cli");
}

/// Why an edge is not allowed.
fn violation(edge: &Edge) -> Option<String> {
    let Edge { from, to, dev } = edge;
    if let Some((_, owners)) = RESERVED
        .iter()
        .find(|(name, owners)| name == to && !owners.contains(&from.as_str()))
    {
        let owners = owners.join(" and ");
        return Some(format!("{from} depends on {to}, which only {owners} may name"));
    }
    if let (Some(upper), Some(lower)) = (level(from), level(to)) {
        if lower >= upper {
            return Some(format!(
                "{from} (level {upper}) depends on {to} (level {lower}), which is not lower"
            ));
        }
        if from == "reeve-worker" && !WORKER_MAY_USE.contains(&to.as_str()) {
            return Some(format!("{from} depends on {to}: a worker knows only the wire"));
        }
    }
    let (_, allowed) = PURE.iter().find(|(name, _)| name == from)?;
    (!dev && !allowed.contains(&to.as_str()))
        .then(|| format!("{from} is pure and depends on {to}, which is not on its list of pure dependencies"))
}

fn unplaced(packages: &[String]) -> Vec<String> {
    let on_no_level = packages.iter().filter(|name| level(name).is_none());
    on_no_level
        .map(|name| format!("{name} is on no level: place it in LEVELS"))
        .collect()
}

fn level(package: &str) -> Option<u8> {
    LEVELS
        .iter()
        .find(|(name, _)| *name == package)
        .map(|(_, level)| *level)
}

fn normal(from: &str, to: &str) -> Edge {
    Edge {
        from: from.into(),
        to: to.into(),
        dev: false,
    }
}

/// The packages of this workspace and every dependency their manifests state.
fn workspace() -> (Vec<String>, Vec<Edge>) {
    let metadata = metadata();
    let mut names = Vec::new();
    let mut edges = Vec::new();
    for package in packages(&metadata) {
        let from = package["name"].as_str().expect("a package has a name");
        names.push(from.to_owned());
        for dependency in package["dependencies"]
            .as_array()
            .expect("a list of dependencies")
        {
            let to = dependency["name"].as_str().expect("a dependency has a name");
            edges.push(Edge {
                dev: dependency["kind"] == "dev",
                ..normal(from, to)
            });
        }
    }
    assert!(!edges.is_empty(), "cargo metadata lists no dependencies");
    (names, edges)
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().expect("a list of packages")
}

/// What the manifests of this workspace say.
fn metadata() -> Value {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}
