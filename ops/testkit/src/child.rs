//! One child process: its output in a file, its life bound to ours.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Between two looks whether a process has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// A child process. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    // Its stdin is a pipe that closes when we die, however we die; programs of ours end then (`--exit-with-parent`).
    process: std::process::Child,
}

impl Child {
    /// Starts it. What it prints is appended to `log`.
    ///
    /// # Errors
    /// The log cannot be written, or the program cannot be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| log.display().to_string())?;
        let process = command
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C in the terminal is for us; we end our children.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            process,
        })
    }

    /// What it was called when it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }

    /// SIGTERM, then SIGKILL if it is not gone within the limit. True: it ended by itself.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn terminate(&mut self, limit: Duration) -> io::Result<bool> {
        if self.ended().is_none() {
            let pid = i32::try_from(self.pid()).map_err(io::Error::other)?;
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        }
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status.signal() != Some(Signal::SIGKILL as i32));
            }
            std::thread::sleep(PAUSE);
        }
        self.kill().map(|_| false)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sleeper(directory: &Path) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600");
        Child::spawn("sleeper", command, &directory.join("sleeper.log")).unwrap()
    }

    fn lives(pid: u32) -> bool {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
    }

    #[test]
    fn a_child_dies_with_its_value() {
        let directory = tempfile::tempdir().unwrap();
        let child = sleeper(directory.path());
        let pid = child.pid();
        assert!(lives(pid));
        drop(child);
        assert!(!lives(pid));
    }

    #[test]
    fn a_child_dies_when_its_owner_panics() {
        let directory = tempfile::tempdir().unwrap();
        let child = sleeper(directory.path());
        let pid = child.pid();
        let panicked = std::thread::spawn(move || {
            let _child = child;
            std::panic::panic_any("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(!lives(pid));
    }

    #[test]
    fn a_child_that_is_asked_to_end_does_so() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = sleeper(directory.path());
        assert!(child.terminate(Duration::from_secs(10)).unwrap());
        assert!(child.ended().is_some());
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let failed = Child::spawn(
            "n1",
            Command::new("/nowhere/reeve"),
            &directory.path().join("n1.log"),
        );
        assert!(failed.is_err_and(|error| error.to_string() == "n1 cannot be started"));
    }
}
