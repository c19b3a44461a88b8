//! The first process of the sandbox: it prepares the ground, starts the program proper, and buries whoever loses his parent.

use std::process::Command;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

use super::{Standing, scratch};
use crate::tool;

/// Enough for the sparse disks of a cluster under load; memory is taken only for what is written.
const SCRATCH_SIZE: &str = "size=6g";

/// Runs the program inside and ends as it ended; never returns if all is well.
pub fn run(stage: &str, inside: &str) -> Result<Standing> {
    prepare().context("the sandbox cannot be prepared")?;
    let own = std::env::current_exe().context("where this program is")?;
    let child = Command::new(own)
        .args(std::env::args_os().skip(1))
        .env(stage, inside)
        .spawn()
        .context("the program cannot be started inside")?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    // The kernel kills what is left when we end.
    std::process::exit(end_of(pid)?);
}

/// Nothing that is mounted from here on is seen outside, and nothing of /run or /dev/shm outside is touched.
fn prepare() -> Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for directory in ["/run", "/dev/shm"] {
        let tmpfs = Some("tmpfs");
        mount(tmpfs, directory, tmpfs, MsFlags::empty(), Some(SCRATCH_SIZE)).context(directory)?;
    }
    std::fs::create_dir("/run/netns")?;
    std::fs::create_dir(scratch())?;
    tool::run(tool::command("ip", ["link", "set", "lo", "up"]))?;
    Ok(())
}

/// Waits for everybody, until the one that counts has ended.
#[allow(clippy::wildcard_enum_match_arm)]
fn end_of(program: Pid) -> Result<i32> {
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid == program => return Ok(code),
            // As a shell tells it.
            WaitStatus::Signaled(pid, signal, _) if pid == program => return Ok(128 + signal as i32),
            // Somebody else's end, or no end at all.
            _ => {}
        }
    }
}
