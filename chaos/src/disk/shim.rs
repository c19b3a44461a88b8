//! Faults between a process and its files: fsync that fails, lies or is slow, and writes that fail.
//!
//! A small library in C is preloaded into the process; it reads what to do from a file that both map.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::tool;

const SOURCE: &str = include_str!("shim.c");
// The layout of `struct control` in shim.c.
const SIZE: u64 = 32;
const SYNC_MODE: u64 = 0;
const SYNC_DELAY: u64 = 4;
const WRITE_ERRNO: u64 = 8;
const LOADED: u64 = 12;
const SYNC_HITS: u64 = 16;
const WRITE_HITS: u64 = 24;

/// A process that starts has loaded its libraries within this.
const LOADS: Duration = Duration::from_secs(2);

/// What fsync and its like do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sync", rename_all = "snake_case")]
pub enum Sync {
    /// Fails with EIO.
    Fail,
    /// Says that it is done, and does nothing.
    Lie,
    /// Is done later.
    Delay {
        /// How much later, milliseconds.
        ms: u32,
    },
}

/// What write and its like do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// Fails: no space is left.
    NoSpace,
    /// Fails: input or output error.
    Io,
}

/// The library in front of one process.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    directory: PathBuf,
    path: PathBuf,
    control: File,
}

impl Shim {
    /// Compiles the library, once for all processes.
    ///
    /// # Errors
    /// There is no C compiler, or it failed.
    pub fn compile(directory: &Path) -> Result<PathBuf> {
        let source = directory.join("shim.c");
        let library = directory.join("libreeve-shim.so");
        std::fs::write(&source, SOURCE).with_context(|| source.display().to_string())?;
        let mut compile = tool::command("cc", ["-shared", "-fPIC", "-O2", "-o"]);
        compile.arg(&library).arg(&source).arg("-ldl");
        tool::run(compile)?;
        Ok(library)
    }

    /// A shim for the process of this name, which keeps its files under `files`.
    ///
    /// # Errors
    /// The control file cannot be made.
    pub fn new(library: &Path, directory: &Path, name: &str, files: &Path) -> Result<Self> {
        let path = directory.join(format!("{name}.shim"));
        let control = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        control.set_len(SIZE)?;
        Ok(Self {
            library: library.to_owned(),
            // With a slash at its end: "n1" is not to mean "n10".
            directory: files.join(""),
            path,
            control,
        })
    }

    /// The library, to be preloaded.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// What else the process needs in its environment.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [
            ("REEVE_SHIM_CONTROL", &self.path),
            ("REEVE_SHIM_DIRECTORY", &self.directory),
        ]
    }

    /// From now on fsync does so; `None`: what it should.
    ///
    /// # Errors
    /// The control file cannot be written.
    pub fn set_sync(&self, sync: Option<Sync>) -> Result<()> {
        let (mode, ms) = match sync {
            None => (0, 0),
            Some(Sync::Fail) => (1, 0),
            Some(Sync::Lie) => (2, 0),
            Some(Sync::Delay { ms }) => (3, ms),
        };
        self.set(SYNC_DELAY, ms)?;
        self.set(SYNC_MODE, mode)
    }

    /// From now on writes do so; `None`: what they should.
    ///
    /// # Errors
    /// The control file cannot be written.
    pub fn set_write(&self, write: Option<Write>) -> Result<()> {
        let errno = match write {
            None => 0,
            Some(Write::NoSpace) => Errno::ENOSPC as u32,
            Some(Write::Io) => Errno::EIO as u32,
        };
        self.set(WRITE_ERRNO, errno)
    }

    /// How many calls of fsync were hit so far.
    ///
    /// # Errors
    /// The control file cannot be read.
    pub fn sync_hits(&self) -> Result<u64> {
        self.get(SYNC_HITS)
    }

    /// How many writes were hit so far.
    ///
    /// # Errors
    /// The control file cannot be read.
    pub fn write_hits(&self) -> Result<u64> {
        self.get(WRITE_HITS)
    }

    /// Sees that a process has loaded it; one that was just started may not have come so far yet.
    ///
    /// # Errors
    /// None has.
    pub fn is_loaded(&self) -> Result<()> {
        let deadline = Instant::now() + LOADS;
        loop {
            let mut bytes = [0; 4];
            self.control.read_exact_at(&mut bytes, LOADED)?;
            if u32::from_ne_bytes(bytes) != 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no process has loaded {}", self.library.display());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn set(&self, offset: u64, value: u32) -> Result<()> {
        let written = self.control.write_all_at(&value.to_ne_bytes(), offset);
        written.with_context(|| self.path.display().to_string())
    }

    fn get(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        let read = self.control.read_exact_at(&mut bytes, offset);
        read.with_context(|| self.path.display().to_string())?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_ordered_stands_in_the_control_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let shim = Shim::new(Path::new("/lib.so"), path, "n1", Path::new("/data")).unwrap();
        let words = || -> Vec<u32> {
            let bytes = std::fs::read(path.join("n1.shim")).unwrap();
            let words = bytes.chunks_exact(4);
            words
                .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
                .collect()
        };
        shim.set_sync(Some(Sync::Delay { ms: 100 })).unwrap();
        shim.set_write(Some(Write::NoSpace)).unwrap();
        assert_eq!(words(), [3, 100, 28, 0, 0, 0, 0, 0]);
        shim.set_sync(None).unwrap();
        shim.set_write(None).unwrap();
        assert_eq!(words(), [0; 8]);
        assert_eq!((shim.sync_hits().unwrap(), shim.write_hits().unwrap()), (0, 0));
        assert!(shim.is_loaded().is_err());
    }
}
