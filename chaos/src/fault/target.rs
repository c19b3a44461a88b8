//! A process that faults hit, with everything about it that can be broken.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::clock::Clock;
use crate::disk::{Disk, Flip, Shim};
use crate::net::Host;
use crate::process::Cgroup;

/// A node or a worker, as the injectors see it. Whoever starts the process gives it the parts that it wants broken.
#[derive(Debug)]
pub struct Target {
    /// Where its files are.
    pub files: PathBuf,
    /// Its place in the network.
    pub host: Option<Host>,
    /// Its own disk, on which `files` is.
    pub disk: Option<Disk>,
    /// Between it and its files.
    pub shim: Option<Shim>,
    /// Its wall clock.
    pub clock: Option<Clock>,
    /// Its limits.
    pub cgroup: Option<Cgroup>,
    /// Its process, while it runs.
    pub(super) pid: Option<u32>,
    /// Bytes of its files that were flipped.
    pub(super) flips: Vec<Flip>,
    /// What was counted when a fault began, by the label of the fault.
    pub(super) marks: Vec<(&'static str, u64)>,
}

impl Target {
    /// One that keeps its files here, with no other parts yet.
    pub fn new(files: &Path) -> Self {
        Self {
            files: files.to_owned(),
            host: None,
            disk: None,
            shim: None,
            clock: None,
            cgroup: None,
            pid: None,
            flips: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Starts a program as this target: in its place of the network, with its clock and its shim.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.host {
            Some(host) => host.command(program),
            None => Command::new(program),
        };
        let mut preloaded: Vec<&Path> = Vec::new();
        if let Some(shim) = &self.shim {
            preloaded.push(shim.library());
            command.envs(shim.environment());
        }
        if let Some(clock) = &self.clock {
            preloaded.push(clock.library());
            command.envs(clock.environment());
        }
        if !preloaded.is_empty() {
            let names: Vec<OsString> = preloaded.iter().map(|path| path.as_os_str().to_owned()).collect();
            command.env("LD_PRELOAD", names.join(&OsString::from(":")));
        }
        command
    }

    /// Its process was started, and is this.
    ///
    /// # Errors
    /// Its limits cannot be put on it.
    pub fn started(&mut self, pid: u32) -> Result<()> {
        self.pid = Some(pid);
        match &self.cgroup {
            Some(cgroup) => cgroup.hold(pid),
            None => Ok(()),
        }
    }

    /// Its process was ended by its owner.
    pub fn ended(&mut self) {
        self.pid = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn shim_and_clock_are_preloaded_together() {
        let directory = tempfile::tempdir().unwrap();
        let mut target = Target::new(Path::new("/data/n1"));
        assert_eq!(target.command("reeve").get_envs().count(), 0);
        target.shim = Some(Shim::new(Path::new("/a.so"), directory.path(), "n1", &target.files).unwrap());
        target.clock = Some(Clock::new(Path::new("/b.so"), directory.path(), "n1").unwrap());
        let command = target.command("reeve");
        let value = |name: &str| {
            let mut found = command.get_envs().filter(|(key, _)| *key == name);
            found.next().unwrap().1.unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(value("LD_PRELOAD"), "/a.so:/b.so");
        assert_eq!(value("REEVE_SHIM_DIRECTORY"), "/data/n1/");
    }
}
