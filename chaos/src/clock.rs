//! The wall clock of one process, moved by libfaketime. The monotonic clock stays what it is.
//!
//! Only offsets: a rate would also stretch sleeps. Programs must be linked dynamically, and must not read the clock by
//! raw system calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::fault::Proof;
use crate::tool;

/// Between writing an offset and reading it back a process has to start, on a busy machine.
const TOLERANCE: Duration = Duration::from_secs(2);

/// A clock that can be moved.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// The clock of the process of this name; right, so far.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn new(library: &Path, directory: &Path, name: &str) -> Result<Self> {
        let clock = Self {
            library: library.to_owned(),
            file: directory.join(format!("{name}.clock")),
        };
        clock.write(0)?;
        Ok(clock)
    }

    /// The library, to be preloaded.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// What else the process needs in its environment.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            // A jump counts at once; a look at the clock costs some ten microseconds then.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Else waiting for a condition hangs. The first name is the one of the documentation, the second is read.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }

    /// Jumps to so many milliseconds before or after the right time, and reads that back.
    ///
    /// # Errors
    /// A process that is started with this clock sees another time, or the one with this id has no such clock.
    pub fn set(&self, offset_ms: i64, pid: Option<u32>) -> Result<Proof> {
        if let Some(pid) = pid {
            self.is_loaded(pid)?;
        }
        self.write(offset_ms)?;
        let read = self.read_back()?;
        let wrong = (read - offset_ms).unsigned_abs();
        if u128::from(wrong) > TOLERANCE.as_millis() {
            bail!("an offset of {offset_ms} ms was set, {read} ms was read back");
        }
        Ok(Proof::new(1, format!("offset of {read} ms read back")))
    }

    /// The offset that a new process sees, milliseconds.
    fn read_back(&self) -> Result<i64> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["stand-in", "clock"])
            .env("LD_PRELOAD", &self.library);
        command.envs(self.environment());
        let printed = tool::run(command)?;
        let there: i64 = printed.trim().parse().with_context(|| printed.clone())?;
        Ok(there - now_ms()?)
    }

    /// A process that was just started may not have come so far yet.
    fn is_loaded(&self, pid: u32) -> Result<()> {
        let path = format!("/proc/{pid}/maps");
        let library = self.library.file_name().unwrap_or_default().to_string_lossy();
        let deadline = Instant::now() + TOLERANCE;
        loop {
            let maps = fs::read_to_string(&path).with_context(|| path.clone())?;
            if maps.contains(library.as_ref()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("process {pid} has not loaded {library}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// By renaming, so that nobody reads half of it.
    fn write(&self, offset_ms: i64) -> Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, render(offset_ms)).with_context(|| new.display().to_string())?;
        fs::rename(&new, &self.file).with_context(|| self.file.display().to_string())
    }
}

/// The wall clock of this process, milliseconds since 1970.
///
/// # Errors
/// It stands before 1970.
pub fn now_ms() -> Result<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

/// As libfaketime wants it: seconds with a sign.
fn render(offset_ms: i64) -> String {
    let sign = if offset_ms < 0 { '-' } else { '+' };
    let size = offset_ms.unsigned_abs();
    format!("{sign}{}.{:03}\n", size / 1000, size % 1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_offset_has_a_sign_and_seconds() {
        assert_eq!(render(0), "+0.000\n");
        assert_eq!(render(300_000), "+300.000\n");
        assert_eq!(render(-3_600_250), "-3600.250\n");
        assert_eq!(render(-5), "-0.005\n");
    }

    #[test]
    fn a_new_offset_replaces_the_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::new(Path::new("/lib/x.so"), directory.path(), "n1").unwrap();
        clock.write(-1500).unwrap();
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(
            fs::read_to_string(directory.path().join("n1.clock")).unwrap(),
            "-1.500\n"
        );
    }
}
