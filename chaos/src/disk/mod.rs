//! A disk for each node: an ext4 file system of its own, on a file, that can lose power, fill up and rot.

mod flip;
mod full;
mod ioctl;
mod shim;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::stat::{major, minor};

use crate::fault::Proof;
use crate::tool;

pub use flip::{Flip, flip};
pub use shim::{Shim, Sync, Write as WriteFault};

/// What a process holds is free a moment after its end.
const UNMOUNT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
/// Where ext4 has the features that an old kernel must understand, and among them: the journal is to be replayed.
const INCOMPATIBLE: u64 = 1024 + 0x60;
const NEEDS_REPLAY: u32 = 0x4;

/// A disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    root: PathBuf,
}

impl Disk {
    /// Makes a disk of this many megabytes (sparse) and mounts it under `directory`. Only in the sandbox.
    ///
    /// # Errors
    /// A tool failed.
    pub fn create(directory: &Path, name: &str, megabytes: u64) -> Result<Self> {
        let disk = Self {
            image: directory.join(format!("{name}.img")),
            root: directory.join(name),
        };
        let image = File::create_new(&disk.image).with_context(|| disk.image.display().to_string())?;
        image.set_len(megabytes * 1024 * 1024)?;
        std::fs::create_dir_all(&disk.root)?;
        let mut format = tool::command(
            "mkfs.ext4",
            ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"],
        );
        format.arg(&disk.image);
        tool::run(format)?;
        disk.mount()?;
        Ok(disk)
    }

    /// "7:0": its loop device, as control groups name it.
    ///
    /// # Errors
    /// It is not mounted.
    pub fn device(&self) -> Result<String> {
        let device = std::fs::metadata(&self.root)?.dev();
        Ok(format!("{}:{}", major(device), minor(device)))
    }

    /// Cuts the power: from now on nothing reaches the disk. Its process must stand still before, and be killed after:
    /// an fsync that is under way may succeed and yet be lost, which nobody must learn.
    ///
    /// # Errors
    /// The file system did not go down.
    pub fn cut_power(&self) -> Result<()> {
        let directory = File::open(&self.root)?;
        ioctl::cut_power(&directory).context("the shutdown of ext4")
    }

    /// Sees that a write fails; that is what a dead disk is known by.
    ///
    /// # Errors
    /// It does not, or with another error than EIO.
    pub fn is_dead(&self) -> Result<Proof> {
        match self.try_write() {
            Err(Errno::EIO) => Ok(Proof::new(1, "EIO seen".to_owned())),
            other => bail!("a write gives {other:?}, not EIO"),
        }
    }

    /// Brings the power back: unmounts, and mounts what was on the disk, with replay of the journal. Nothing may hold
    /// files of it open.
    ///
    /// # Errors
    /// It is still in use, or cannot be mounted.
    pub fn restore_power(&self) -> Result<Proof> {
        self.unmount()?;
        let replay = self.needs_replay()?;
        self.mount()?;
        if let Err(errno) = self.try_write() {
            bail!("it is mounted again, but a write gives {errno}");
        }
        Ok(match replay {
            true => Proof::new(1, "journal replayed".to_owned()),
            false => Proof::new(0, "journal replay, none was needed".to_owned()),
        })
    }

    /// Writes a block and has it on the disk.
    fn try_write(&self) -> Result<(), Errno> {
        let path = self.root.join(".probe");
        let attempt = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .open(&path)?;
            file.write_all(&[0; 4096])?;
            file.sync_all()?;
            drop(file);
            std::fs::remove_file(&path)
        };
        attempt().map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
    }

    fn mount(&self) -> Result<()> {
        // A long time between commits: only what is synced is safe.
        let mut mount = tool::command("mount", ["-o", "loop,commit=60,noinit_itable"]);
        mount.arg(&self.image).arg(&self.root);
        tool::run(mount).map(|_| ())
    }

    fn unmount(&self) -> Result<()> {
        let deadline = Instant::now() + UNMOUNT;
        loop {
            match nix::mount::umount(&self.root) {
                Ok(()) => return Ok(()),
                Err(Errno::EBUSY) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(errno) => {
                    return Err(errno).with_context(|| format!("unmounting {}", self.root.display()));
                }
            }
        }
    }

    fn needs_replay(&self) -> Result<bool> {
        let mut features = [0; 4];
        File::open(&self.image)?.read_exact_at(&mut features, INCOMPATIBLE)?;
        Ok(u32::from_le_bytes(features) & NEEDS_REPLAY != 0)
    }
}
