//! Who may run where: processors for the one that is measured, and a quota on its time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use reeve_testkit::on_path;

const BASE: &str = "/sys/fs/cgroup";
/// The controller's own tree, where control groups have version one.
const V1: &str = "/sys/fs/cgroup/cpu";
const PERIOD_US: u64 = 100_000;

/// The first processor for whoever is measured, the others for everyone else that we start.
#[derive(Clone, Debug)]
pub struct Cores {
    taskset: Option<PathBuf>,
    count: usize,
}

impl Cores {
    /// Looks whether processes can be bound here, and binds this one to the others' processors.
    ///
    /// # Errors
    /// The system does not say how many processors there are.
    pub fn split() -> Result<Self> {
        let count = std::thread::available_parallelism()?.get();
        let taskset = on_path("taskset").filter(|_| count > 1);
        let cores = Self { taskset, count };
        cores.others(std::process::id())?;
        Ok(cores)
    }

    /// What was done, for whoever reads the figures.
    pub fn remark(&self) -> String {
        match (&self.taskset, self.count) {
            (Some(_), count) => format!(
                "the worker (or SIPp as caller) ran on processor 0 alone, everything else of ours on the other {}; what else the machine \
                 does may run on both",
                count - 1
            ),
            (None, 1) => "there is one processor: everything shared it".to_owned(),
            (None, _) => {
                "taskset (util-linux) is not installed: nobody was bound to a processor, so \"of one core\" is a share of time, not of a \
                 place"
                    .to_owned()
            }
        }
    }

    /// What stands before a command that is to run on the first processor.
    pub fn first(&self) -> Vec<String> {
        self.prefix("0".to_owned())
    }

    /// What stands before a command that is to run on the others.
    pub fn rest(&self) -> Vec<String> {
        self.prefix(self.other_list())
    }

    /// Moves a process of ours, with all its threads, to the others' processors.
    ///
    /// # Errors
    /// It is gone, or the system does not let us.
    pub fn others(&self, pid: u32) -> Result<()> {
        let Some(taskset) = &self.taskset else {
            return Ok(());
        };
        let mut command = Command::new(taskset);
        command.args(["-a", "-c", "-p", &self.other_list(), &pid.to_string()]);
        let output = command.output().context("taskset")?;
        if !output.status.success() {
            bail!("taskset: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn other_list(&self) -> String {
        format!("1-{}", self.count.saturating_sub(1))
    }

    fn prefix(&self, list: String) -> Vec<String> {
        let taskset = self.taskset.iter().map(|path| path.display().to_string());
        taskset
            .flat_map(|path| [path, "-c".to_owned(), list.clone()])
            .collect()
    }
}

/// A control group whose processes get a share of one processor. Removed with its value, once they are gone.
#[derive(Debug)]
pub struct Quota {
    directory: PathBuf,
    v1: bool,
}

impl Quota {
    /// An empty group without a limit; `None`: this machine does not let us, which the remarks should say.
    pub fn create() -> Option<Self> {
        let v1 = Path::new(V1).is_dir();
        let base = Path::new(if v1 { V1 } else { BASE });
        let directory = base.join(format!("reeve-bench.{}", std::process::id()));
        if !v1 {
            std::fs::write(base.join("cgroup.subtree_control"), "+cpu").ok()?;
        }
        std::fs::create_dir_all(&directory).ok()?;
        let quota = Self { directory, v1 };
        quota.limit(None).ok()?;
        Some(quota)
    }

    /// Its processes get this much of one processor, per cent; `None`: all of it.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn limit(&self, percent: Option<u32>) -> Result<()> {
        let quota = percent.map(|percent| PERIOD_US * u64::from(percent) / 100);
        let (file, value) = if self.v1 {
            let value = quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string());
            ("cpu.cfs_quota_us", value)
        } else {
            let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
            ("cpu.max", format!("{quota} {PERIOD_US}"))
        };
        let path = self.directory.join(file);
        std::fs::write(&path, value).with_context(|| path.display().to_string())
    }

    /// In how many periods of 100 ms its processes were denied the processor; 0 where nobody says.
    pub fn throttled(&self) -> u64 {
        let text = std::fs::read_to_string(self.directory.join("cpu.stat")).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// A command of a shell that enters the group and then becomes the command that follows.
    pub fn enter(&self) -> Vec<String> {
        let script = format!(
            "echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"",
            self.directory.display()
        );
        ["sh".to_owned(), "-c".to_owned(), script].into()
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // A group that still has a process stays, as it must.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn who_is_measured_shares_its_processor_with_nobody_of_ours() {
        let cores = Cores {
            taskset: Some("/usr/bin/taskset".into()),
            count: 4,
        };
        assert_eq!(cores.first(), ["/usr/bin/taskset", "-c", "0"]);
        assert_eq!(cores.rest(), ["/usr/bin/taskset", "-c", "1-3"]);
        let none = Cores {
            taskset: None,
            count: 4,
        };
        assert!(none.first().is_empty() && none.remark().contains("not installed"));
    }

    #[test]
    fn a_group_that_was_made_is_gone_with_its_value() {
        let Some(quota) = Quota::create() else {
            // Needs root.
            return;
        };
        quota.limit(Some(10)).unwrap();
        let directory = quota.directory.clone();
        assert!(directory.is_dir());
        drop(quota);
        assert!(!directory.exists());
    }
}
