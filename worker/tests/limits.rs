//! A real worker process under real limits: a memory cgroup that is filled, a CPU quota that is used up, a disk that runs full.
//! Each needs root and is skipped, with the reason, where that or the controller is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use support::{WorkerProcess, token};

/// Others build on this machine while we measure.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// A cgroup of this test alone, removed at the end.
struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// One for each controller where they have trees of their own (v1), else one in the common tree (v2).
    fn new(name: &str, controllers: &[&str]) -> Result<Self, String> {
        if !is_root() {
            return Err("needs root".to_owned());
        }
        let root = Path::new("/sys/fs/cgroup");
        let of_v1 = controllers
            .iter()
            .all(|name| root.join(name).join("cgroup.procs").exists());
        let parents: Vec<PathBuf> = if of_v1 {
            controllers.iter().map(|name| root.join(name)).collect()
        } else if controllers_of_v2(root, controllers) {
            vec![root.to_owned()]
        } else {
            return Err(format!(
                "no cgroup controllers {controllers:?} under {}",
                root.display()
            ));
        };
        let mut group = Self {
            directories: Vec::new(),
        };
        for parent in parents {
            let directory = parent.join(format!("reeve-test-{}-{name}", std::process::id()));
            std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            group.directories.push(directory);
        }
        Ok(group)
    }

    /// Writes the first of these files that there is, of v1 or v2.
    fn set(&self, files: &[(&str, &str)]) {
        for directory in &self.directories {
            for (file, value) in files {
                let path = directory.join(file);
                if path.exists() {
                    std::fs::write(&path, value).unwrap();
                }
            }
        }
    }

    /// Starts a shell script in it, as a process group that can be killed as a whole.
    fn run(&self, script: &str) -> Load {
        let groups: Vec<&str> = self
            .directories
            .iter()
            .filter_map(|group| group.to_str())
            .collect();
        let join = r#"for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs" || exit 99; done"#;
        let child = Command::new("sh")
            .args(["-c", &format!("{join}; {script}")])
            .env("GROUPS_TO_JOIN", groups.join(" "))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Load(child)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Processes that were killed leave the cgroup a moment later.
        let deadline = Instant::now() + Duration::from_secs(10);
        for directory in &self.directories {
            while std::fs::remove_dir(directory).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                if Instant::now() > deadline {
                    eprintln!("left behind: {}", directory.display());
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn controllers_of_v2(root: &Path, controllers: &[&str]) -> bool {
    let enabled = std::fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    controllers
        .iter()
        .filter(|name| **name != "cpuacct")
        .all(|name| enabled.split_whitespace().any(|enabled| enabled == *name))
}

/// What fills the limit; gone when dropped.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// A file system of its own, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(options: &str) -> Result<Self, String> {
        if !is_root() {
            return Err("needs root".to_owned());
        }
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "reeve-test"])
            .arg(directory.path())
            .status();
        match mounted {
            Ok(status) if status.success() => Ok(Self(directory)),
            other => Err(format!("cannot mount a tmpfs: {other:?}")),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Starts a worker that has no node to talk to.
fn worker(group: Option<&Cgroup>, arguments: &[&str]) -> WorkerProcess {
    let mut all = vec!["--node", "127.0.0.1:1", "--health-interval", "200ms"];
    all.extend(arguments);
    let groups = group.map_or_else(Vec::new, |group| group.directories.clone());
    WorkerProcess::start_in(&groups, &all, &[("REEVE_WORKER_TOKEN", &token())])
}

fn percent(status: &Value, of: &str) -> u64 {
    status["resources"][of].as_u64().unwrap()
}

// Covers: R60, R82, R93, R107
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_that_of_the_containers_limit_and_so_is_the_capacity() {
    let group = match Cgroup::new("memory", &["memory"]) {
        Ok(group) => group,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let limit = (256 * MIB).to_string();
    group.set(&[("memory.limit_in_bytes", &limit), ("memory.max", &limit)]);
    let worker = worker(Some(&group), &[]);
    let before = worker.status().await;
    assert!(percent(&before, "memoryPercent") < 40, "{before}");
    assert_eq!(before["capacity"]["byMemory"], 16_384, "{before}");
    assert_eq!(before["capacity"]["boundBy"], "MEMORY", "{before}");
    let line = worker.logs("bound by MEMORY").await;
    assert!(line.contains("capacity 16384 endpoints"), "{line}");
    assert!(line.contains("(256 MiB / 16384 bytes)"), "{line}");

    // tail keeps a line that does not end in memory.
    let load = group.run("{ head -c 180M /dev/zero; sleep 600; } | tail -n 1");
    let full = |status: &Value| percent(status, "memoryPercent") >= 65;
    worker.shows("a full memory", PATIENCE, full).await;
    drop(load);
    let free = |status: &Value| percent(status, "memoryPercent") < 40;
    worker.shows("free memory again", PATIENCE, free).await;
}

// Covers: R59, R82, R93, R106
#[tokio::test(flavor = "multi_thread")]
async fn cpu_use_is_that_of_the_containers_quota_and_so_is_the_capacity() {
    let group = match Cgroup::new("cpu", &["cpu", "cpuacct"]) {
        Ok(group) => group,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    // A tenth of a processor, and a large share of it: others build meanwhile.
    group.set(&[
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "10000"),
        ("cpu.shares", "20480"),
        ("cpu.max", "10000 100000"),
        ("cpu.weight", "2000"),
    ]);
    let worker = worker(Some(&group), &["--endpoints-per-core", "1000"]);
    let start = worker.status().await;
    assert_eq!(start["capacity"]["endpoints"], 100, "{start}");
    assert_eq!(start["capacity"]["boundBy"], "CPU", "{start}");
    // The start itself took some of the quota.
    let idle = |status: &Value| percent(status, "cpuPercent") < 50;
    worker.shows("an idle quota", PATIENCE, idle).await;
    let load = group.run("while :; do :; done");
    let busy = |status: &Value| percent(status, "cpuPercent") >= 85;
    worker.shows("a quota that is used up", PATIENCE, busy).await;
    drop(load);
    worker.shows("an idle quota again", PATIENCE, idle).await;
}

// Covers: R53, R82
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_that_of_the_configured_path() {
    let disk = match SmallDisk::new("size=20m") {
        Ok(disk) => disk,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let worker = worker(None, &["--disk-path", disk.0.path().to_str().unwrap()]);
    let empty = |status: &Value| percent(status, "diskPercent") == 0;
    worker.shows("an empty disk", PATIENCE, empty).await;
    let file = disk.0.path().join("filler");
    std::fs::write(&file, vec![1_u8; usize::try_from(19 * MIB).unwrap()]).unwrap();
    let full = |status: &Value| percent(status, "diskPercent") >= 94;
    worker.shows("a full disk", PATIENCE, full).await;
    std::fs::remove_file(file).unwrap();
    worker.shows("an empty disk again", PATIENCE, empty).await;
}

// Covers: R93, R112
#[tokio::test(flavor = "multi_thread")]
async fn a_configured_capacity_is_an_upper_bound() {
    let worker = worker(None, &["--capacity", "7"]);
    let status = worker.status().await;
    assert_eq!(status["capacity"]["endpoints"], 7, "{status}");
    assert_eq!(status["capacity"]["boundBy"], "CONFIGURED", "{status}");
    worker.logs("capacity 7 endpoints, bound by CONFIGURED").await;
}
