//! A sandbox that cannot leak: network, mount and process namespaces that die with the process that was started.
//!
//! `reeve-chaos` replaces itself with `unshare`, whose child is the first process of a process namespace. When that dies,
//! however it dies, the kernel kills everything inside; with the last process go the mounts, the loop devices and
//! the network namespaces. No packet can leave: the network namespace has no way out.

mod facts;
mod init;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

pub use facts::{CgroupVersion, Facts, Need};

use crate::{process, tool};

/// Says to a process of ours how far it is: [`INIT`] or [`INSIDE`].
const STAGE: &str = "REEVE_CHAOS_STAGE";
/// Names the sandbox, for what is not in a namespace.
const TOKEN: &str = "REEVE_CHAOS_TOKEN";
/// The first process inside.
const INIT: &str = "init";
/// The program proper.
const INSIDE: &str = "inside";

/// Where we run.
#[derive(Debug)]
pub enum Standing {
    /// In the sandbox: every fault whose tools are there can be had.
    Inside,
    /// Outside of one, because of this. Faults that need it are skipped.
    Outside(Vec<String>),
}

/// Where everything that a run keeps on disk may be: a file system in memory that goes with the sandbox.
pub fn scratch() -> PathBuf {
    PathBuf::from("/run/reeve-chaos")
}

/// Starts this program again in a sandbox, with the same arguments; returns only inside, or if that is impossible here.
///
/// # Errors
/// The system refused what it should allow.
pub fn enter() -> Result<Standing> {
    match std::env::var(STAGE).as_deref() {
        Ok(INSIDE) => return Ok(Standing::Inside),
        Ok(INIT) => return init::run(STAGE, INSIDE),
        Ok(_) | Err(_) => {}
    }
    let missing = obstacles(&Facts::gather());
    if !missing.is_empty() {
        return Ok(Standing::Outside(missing));
    }
    process::sweep_cgroups();
    let failed = sandboxed()?.exec();
    Err(failed).context("unshare cannot be started")
}

/// This program with its arguments in a new sandbox, to be spawned. A sandbox may hold another.
///
/// # Errors
/// It is not known where this program is.
pub fn sandboxed_with(arguments: &[&str]) -> Result<Command> {
    let own = std::env::current_exe().context("where this program is")?;
    if own.starts_with("/run") || own.starts_with("/dev/shm") {
        bail!("{} would be hidden inside the sandbox: move it", own.display());
    }
    let mut command = tool::command(
        "unshare",
        ["-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "--"],
    );
    command.arg(own).args(arguments).env(STAGE, INIT);
    // Process ids repeat in every sandbox.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    command.env(TOKEN, format!("{}-{nanos:x}", std::process::id()));
    Ok(command)
}

/// A name for what this sandbox makes outside of its namespaces; unlike that of any other.
pub fn token() -> String {
    std::env::var(TOKEN).unwrap_or_else(|_| std::process::id().to_string())
}

fn sandboxed() -> Result<Command> {
    let mut command = sandboxed_with(&[])?;
    command.args(std::env::args_os().skip(1));
    Ok(command)
}

/// Why there can be no sandbox here.
fn obstacles(facts: &Facts) -> Vec<String> {
    [Need::Root, Need::Tool("unshare"), Need::Tool("ip")]
        .into_iter()
        .filter_map(|need| facts.lacks(need))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_or_tools_it_says_what_is_missing() {
        let facts = Facts::of(false, true, &["ip"]);
        assert_eq!(
            obstacles(&facts),
            ["root is needed", "unshare is not installed (ops/bootstrap chaos)"]
        );
        assert!(obstacles(&Facts::of(true, false, &["ip", "unshare"])).is_empty());
    }
}
