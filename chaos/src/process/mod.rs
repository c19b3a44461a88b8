//! Faults of a process: killed, stopped, starved.

mod cgroup;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use cgroup::{Cgroup, sweep as sweep_cgroups};

use crate::fault::Proof;

/// A signal is seen in /proc at once, unless the machine is busy.
const SEEN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// SIGKILL, and sees that it is gone; its parent may not have noticed yet.
///
/// # Errors
/// It was gone before, or it stays.
pub fn crash(pid: u32) -> Result<Proof> {
    if state(pid).is_none_or(|state| state == 'Z') {
        bail!("process {pid} had ended before it was killed");
    }
    signal(pid, Signal::SIGKILL)?;
    wait_for(pid, "gone", |state| {
        state.is_none_or(|state| state == 'Z' || state == 'X')
    })?;
    Ok(Proof::new(1, format!("process killed ({pid} is gone)")))
}

/// SIGSTOP, and sees that it stands still.
///
/// # Errors
/// It does not.
pub fn pause(pid: u32) -> Result<Proof> {
    signal(pid, Signal::SIGSTOP)?;
    wait_for(pid, "stopped", |state| state == Some('T'))?;
    Ok(Proof::new(1, format!("process in state T ({pid})")))
}

/// SIGSTOP, and sees that none of its threads will run code of its own any more: each stands still, or is in a call
/// of the kernel from which it will not return.
///
/// # Errors
/// It goes on.
pub fn freeze(pid: u32) -> Result<()> {
    signal(pid, Signal::SIGSTOP)?;
    let deadline = Instant::now() + SEEN;
    while !threads(pid)?.iter().all(|state| "TtDZX".contains(*state)) {
        if Instant::now() > deadline {
            bail!("process {pid} goes on: {:?}", threads(pid)?);
        }
        std::thread::sleep(PAUSE / 10);
    }
    Ok(())
}

/// SIGCONT, and sees that it goes on.
///
/// # Errors
/// It does not.
pub fn resume(pid: u32) -> Result<Proof> {
    signal(pid, Signal::SIGCONT)?;
    wait_for(pid, "running", |state| {
        state.is_some_and(|state| "RSD".contains(state))
    })?;
    Ok(Proof::new(1, format!("process in state R or S ({pid})")))
}

/// Whether it runs, or could.
pub fn lives(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// The state of a process as /proc has it; `None`: there is none.
fn state(pid: u32) -> Option<char> {
    parse_state(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The states of its threads. One that ends while we look has none.
fn threads(pid: u32) -> Result<Vec<char>> {
    let path = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(&path).with_context(|| path.clone())?.flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    Ok(stats.filter_map(|stat| parse_state(&stat)).collect())
}

/// After the name, which is in brackets and may hold anything.
fn parse_state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    kill(pid, signal).with_context(|| format!("{signal} to process {pid}"))
}

fn wait_for(pid: u32, what: &str, is_so: impl Fn(Option<char>) -> bool) -> Result<()> {
    let deadline = Instant::now() + SEEN;
    loop {
        let now = state(pid);
        if is_so(now) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("process {pid} is in state {now:?}, not {what}");
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_state_stands_behind_the_name_whatever_that_is() {
        assert_eq!(parse_state("12 (reeve) S 1 12 0"), Some('S'));
        assert_eq!(parse_state("12 (a) R (b) T 1 12 0"), Some('T'));
        assert_eq!(parse_state(""), None);
    }

    #[test]
    fn a_process_is_stopped_resumed_and_killed() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        pause(pid).unwrap();
        assert_eq!(state(pid), Some('T'));
        resume(pid).unwrap();
        freeze(pid).unwrap();
        assert_eq!(threads(pid).unwrap(), ['T']);
        // A process that stands still can be killed too.
        crash(pid).unwrap();
        assert!(!lives(pid));
        assert!(crash(pid).is_err());
        child.wait().unwrap();
        assert_eq!(state(pid), None);
    }
}
