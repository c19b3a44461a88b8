//! Bit rot: flips bytes in the files of a node that is stopped.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// One byte that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The file.
    pub file: PathBuf,
    /// Position of the byte.
    pub offset: u64,
    /// What it was.
    pub before: u8,
    /// What it is now.
    pub after: u8,
}

impl Flip {
    /// Inverts these bits of a byte, and reads it back.
    fn make(file: &Path, offset: u64, mask: u8) -> Result<Self> {
        let before = read(file, offset)?;
        let flip = Self {
            file: file.to_owned(),
            offset,
            before,
            after: before ^ mask,
        };
        write(file, offset, flip.after)?;
        if read(file, offset)? != flip.after {
            bail!("{} reads as before", file.display());
        }
        Ok(flip)
    }

    /// Puts the byte back, unless the file is gone or the byte was written since. True: it was put back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn undo(&self) -> Result<bool> {
        match read(&self.file, self.offset) {
            Ok(now) if now == self.after => write(&self.file, self.offset, self.before).map(|()| true),
            Ok(_) | Err(_) => Ok(false),
        }
    }
}

fn read(path: &Path, offset: u64) -> Result<u8> {
    let mut byte = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, offset));
    read.with_context(|| path.display().to_string())?;
    Ok(byte[0])
}

fn write(path: &Path, offset: u64, byte: u8) -> Result<()> {
    let write = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&[byte], offset)?;
        file.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

/// Flips `count` bytes, 1 to 3 bits each, in files under `root` whose names end so ("" is any); draws them by the seed.
/// Large files are hit as likely as small ones. All that was flipped is given back.
///
/// # Errors
/// There is no such file with a byte in it, or it cannot be written.
pub fn flip(root: &Path, suffix: &str, count: u32, seed: u64) -> Result<Vec<Flip>> {
    let files = candidates(root, suffix)?;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut flips = Vec::new();
    for _ in 0..count {
        let Some((file, size)) = files.choose(&mut rng) else {
            bail!(
                "no file with a name ending in {suffix:?} under {}",
                root.display()
            );
        };
        let mut mask = 1 << rng.random_range(0..8);
        if rng.random_bool(0.5) {
            mask |= 1 << rng.random_range(0..8);
            mask |= 1 << rng.random_range(0..8);
        }
        flips.push(Flip::make(file, rng.random_range(0..*size), mask)?);
    }
    Ok(flips)
}

/// Files with something in them, in order of their names, so that a seed means the same everywhere.
fn candidates(root: &Path, suffix: &str) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if metadata.len() > 0 && entry.file_name().to_string_lossy().ends_with(suffix) {
                found.push((entry.path(), metadata.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("db")).unwrap();
        for name in ["db/1.log", "db/2.log", "db/3.sst", "note"] {
            std::fs::write(directory.path().join(name), [0; 100]).unwrap();
        }
        std::fs::write(directory.path().join("empty.log"), b"").unwrap();
        directory
    }

    #[test]
    fn only_the_named_files_are_hit_and_the_seed_says_where() {
        let (one, two) = (directory(), directory());
        let flips = flip(one.path(), ".log", 5, 3).unwrap();
        assert_eq!(flips.len(), 5);
        assert!(
            flips
                .iter()
                .all(|flip| flip.before != flip.after && flip.offset < 100)
        );
        let names = |base: &Path, flips: &[Flip]| -> Vec<_> {
            let relative = |flip: &Flip| flip.file.strip_prefix(base).unwrap().to_owned();
            flips
                .iter()
                .map(|flip| (relative(flip), flip.offset, flip.after))
                .collect()
        };
        let again = flip(two.path(), ".log", 5, 3).unwrap();
        assert_eq!(names(one.path(), &flips), names(two.path(), &again));
        assert_eq!(std::fs::read(one.path().join("db/3.sst")).unwrap(), [0; 100]);
    }

    #[test]
    fn a_flip_is_undone_unless_the_byte_was_written_since() {
        let directory = directory();
        let flips = flip(directory.path(), "note", 1, 9).unwrap();
        assert_ne!(std::fs::read(&flips[0].file).unwrap(), [0; 100]);
        assert!(flips[0].undo().unwrap());
        assert_eq!(std::fs::read(&flips[0].file).unwrap(), [0; 100]);
        assert!(!flips[0].undo().unwrap());
    }

    #[test]
    fn without_a_file_nothing_is_said_to_be_flipped() {
        let directory = directory();
        assert!(flip(directory.path(), ".blob", 1, 1).is_err());
    }
}
