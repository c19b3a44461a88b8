//! A disk without space.

use std::fs::OpenOptions;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::Disk;
use crate::fault::Proof;

/// Takes the space.
const BALLAST: &str = ".ballast";
const LARGEST: i64 = 64 * 1024 * 1024;
const BLOCK: i64 = 4096;

impl Disk {
    /// Takes all space that is left, and sees that there is none.
    ///
    /// # Errors
    /// A write still succeeds, or fails otherwise.
    pub fn fill(&self) -> Result<Proof> {
        let path = self.root.join(BALLAST);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .context("the ballast")?;
        let mut taken = i64::try_from(file.metadata()?.len())?;
        let mut step = LARGEST;
        while step >= BLOCK {
            match fallocate(&file, FallocateFlags::empty(), taken, step) {
                Ok(()) => taken += step,
                Err(Errno::ENOSPC) => step /= 2,
                Err(errno) => return Err(errno).context("the ballast"),
            }
        }
        match self.try_write() {
            Err(Errno::ENOSPC) => Ok(Proof::new(1, "ENOSPC seen".to_owned())),
            other => bail!("a write gives {other:?}, not ENOSPC"),
        }
    }

    /// Gives the space back, and sees that there is some.
    ///
    /// # Errors
    /// There is none.
    pub fn empty(&self) -> Result<Proof> {
        std::fs::remove_file(self.root.join(BALLAST)).context("the ballast")?;
        if let Err(errno) = self.try_write() {
            bail!("a write gives {errno}");
        }
        Ok(Proof::new(1, "write and sync succeeded".to_owned()))
    }
}
