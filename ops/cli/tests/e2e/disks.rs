//! Disks that fail or are full: the node stops rather than promise, and what it acknowledged is there after a restart.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cluster::SOON;
use crate::nodes::Nodes;
use crate::process::until;

/// Registers workers, one after the other, until one is not acknowledged; the names of those that were.
fn write_until_refused(nodes: &Nodes, prefix: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    until("a write is refused", 2 * SOON, || {
        let name = format!("{prefix}-{}", acknowledged.len());
        let region = "r".repeat(60);
        let args = [
            "--timeout",
            "2s",
            "worker",
            "create",
            "--name",
            &name,
            "--region",
            &region,
        ];
        if nodes.reeve(&args).status.success() {
            acknowledged.push(name);
            None
        } else {
            Some(())
        }
    });
    acknowledged
}

fn names(nodes: &Nodes) -> Vec<String> {
    let listed = nodes.json(&["worker", "list"]);
    let items: &Vec<Value> = listed["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The node ended by itself, and said what failed.
fn assert_stopped(nodes: &mut Nodes, why: &str) {
    assert_eq!(nodes.node(0).exit_code(SOON), 1);
    let printed = nodes.node(0).printed();
    assert!(printed.contains("must stop"), "{printed}");
    assert!(
        printed.contains("writing the log failed") && printed.contains(why),
        "{printed}"
    );
}

fn assert_all_there(nodes: &Nodes, acknowledged: &[String]) {
    let there = names(nodes);
    for name in acknowledged {
        assert!(
            there.contains(name),
            "{name} was acknowledged and is gone: {there:?}"
        );
    }
}

/// Compiles the library that makes `fsync` fail while the switch exists.
fn failing_disk(dir: &Path) -> PathBuf {
    let source = dir.join("failing_disk.c");
    std::fs::write(&source, include_str!("failing_disk.c")).unwrap();
    let library = dir.join("failing_disk.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .unwrap();
    assert!(compiled.success());
    library
}

#[test]
fn a_disk_that_does_not_sync_stops_the_node_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let switch = dir.path().join("switch");
    let env = [
        ("LD_PRELOAD", failing_disk(dir.path()).display().to_string()),
        ("FAILING_DISK_SWITCH", switch.display().to_string()),
    ];
    let mut nodes = Nodes::start(1, dir.path(), &[], &env);
    let args = ["worker", "create", "--name", "before", "--region", "eu"];
    assert!(nodes.reeve(&args).status.success());
    std::fs::write(&switch, "").unwrap();
    let mut acknowledged = write_until_refused(&nodes, "after");
    assert_eq!(
        acknowledged,
        Vec::<String>::new(),
        "nothing is acknowledged that is not synced"
    );
    assert_stopped(&mut nodes, "Input/output error");
    std::fs::remove_file(&switch).unwrap();
    nodes.restart(0);
    acknowledged.push("before".to_owned());
    assert_all_there(&nodes, &acknowledged);
}

/// A small file system in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(&path)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(path))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        for size in [1 << 20, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run must say so")]
fn a_full_disk_stops_the_node_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path().join("n1")) else {
        eprintln!("SKIPPED: mounting a small file system needs root");
        return;
    };
    let mut nodes = Nodes::start(1, dir.path(), &[], &[]);
    let args = ["worker", "create", "--name", "before", "--region", "eu"];
    assert!(nodes.reeve(&args).status.success());
    let ballast = disk.fill();
    let mut acknowledged = write_until_refused(&nodes, "after");
    acknowledged.push("before".to_owned());
    assert_stopped(&mut nodes, "No space left on device");
    std::fs::remove_file(ballast).unwrap();
    nodes.restart(0);
    assert_all_there(&nodes, &acknowledged);
}
