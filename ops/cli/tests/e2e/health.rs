//! A worker whose host is not well gets no new work until it is well again.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cluster::*;
use crate::process::until;

const MIB: usize = 1 << 20;

/// A file system of its own of 20 MiB, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, and why on stderr, where it cannot be had.
    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn new() -> Option<Self> {
        if !std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            eprintln!("skipped: needs root");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=20m", "reeve-test"])
            .arg(directory.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: cannot mount a tmpfs");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// So many MiB of it are in use, of 20.
    fn fill(&self, mib: usize) {
        write(&self.path().join("filler"), &"x".repeat(mib * MIB));
    }

    /// Fewer than before, and never none in between.
    fn shrink(&self, mib: usize) {
        let filler = File::options()
            .write(true)
            .open(self.path().join("filler"))
            .unwrap();
        filler.set_len((mib * MIB) as u64).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

impl Cluster {
    /// Waits until the worker has reported so much of its disk in use, at least three times.
    fn until_disk(&self, name: &str, percent: u64) -> Value {
        let mut heard = std::collections::BTreeSet::new();
        until(&format!("{name} reports its disk at {percent} %"), SOON, || {
            let worker = self.worker(name);
            if worker["resources"]["diskPercent"] == percent {
                heard.insert(
                    worker["lastHeardAt"]
                        .as_str()
                        .unwrap()
                        .split('.')
                        .next()
                        .unwrap()
                        .to_owned(),
                );
            }
            (heard.len() > 2).then_some(worker)
        })
    }
}

// Covers: R10, R39, R41, R44, R54, R107
#[test]
fn a_full_disk_stops_new_work_until_there_is_room_again_with_hysteresis() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut cluster = Cluster::start_with(3, 0, &[("--unhealthy-above-disk-percent", "90")]);
    cluster.create_worker("w1");
    let env = [
        ("REEVE_NODES", cluster.addresses()),
        ("REEVE_WORKER_TOKEN", cluster.token("w1").to_owned()),
        ("REEVE_WORKER_HEALTH_INTERVAL", "200ms".to_owned()),
        ("REEVE_WORKER_DISK_PATH", disk.path().display().to_string()),
    ];
    let process = cluster.spawn_worker_with("w1", &[], &env);
    cluster.adopt_worker("w1", process);
    cluster.until_worker("w1", "ONLINE");
    cluster.apply(&definition("long", 10, 600));
    let run = cluster.start_run("long");
    cluster.until_phase(&run, "INCALL", 10);

    disk.fill(19);
    let full = cluster.until_worker("w1", "ERROR");
    let reason = &full["conditions"][0];
    assert_eq!(reason["type"], "Health", "{full:#}");
    assert_eq!(reason["reason"], "DISK_ABOVE_THRESHOLD");
    assert!(
        reason["message"].as_str().unwrap().starts_with("disk at 9"),
        "{full:#}"
    );
    cluster.apply(&definition("smoke", 10, 1));
    let refused = cluster.reeve(&["-o", "json", "run", "start", "smoke", "--wait"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let refused: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(refused["reason"]["code"], "NO_ONLINE_WORKERS", "{refused:#}");
    assert_eq!(
        cluster.run(&run)["endpoints"]["byPhase"]["INCALL"],
        10,
        "what it has goes on"
    );

    // Less than the threshold, but not by enough.
    disk.shrink(18);
    assert_eq!(cluster.until_disk("w1", 90)["status"], "ERROR");
    disk.shrink(2);
    let well = cluster.until_worker("w1", "ONLINE");
    let smoke = cluster.json(&["run", "start", "smoke", "--wait"]);
    assert_eq!(smoke["status"], "COMPLETED", "{smoke:#}");
    assert_eq!(
        well["sessionEpoch"], full["sessionEpoch"],
        "it was connected all the time"
    );
    let history = cluster.json(&["worker", "history", "w1"]);
    let of_health: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "HEALTH_CHANGED")
        .map(|event| event["message"].as_str().unwrap())
        .collect();
    assert_eq!(of_health.len(), 2, "{of_health:?}");
    assert_eq!(of_health[0], "below all thresholds again");
    cluster.json(&["run", "stop", &run]);
}
