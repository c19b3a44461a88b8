//! A file of JSON lines that no process shares: what is written is with the kernel when the call returns, so that a SIGKILL right
//! after loses nothing.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Serialize;

/// Exit status of a worker that cannot write down what it does.
const CANNOT_WRITE: i32 = 70;

/// The file.
#[derive(Debug)]
pub struct Lines(Mutex<File>);

impl Lines {
    /// Begins the first file `PREFIX-N.jsonl` that does not exist yet.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path, prefix: &str) -> Result<Self> {
        for number in 0_u32.. {
            let path = directory.join(format!("{prefix}-{number}.jsonl"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self(Mutex::new(file))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        anyhow::bail!("{}: too many files", directory.display())
    }

    /// Appends lines in one write. A worker that cannot must not go on: it would report what nobody wrote down.
    pub fn append<T: Serialize>(&self, lines: &[T]) {
        if lines.is_empty() {
            return;
        }
        let write = || -> Result<()> {
            let mut text = Vec::new();
            for line in lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(file.write_all(&text)?)
        };
        if let Err(error) = write() {
            tracing::error!("cannot write down what happens: {error:#}");
            std::process::exit(CANNOT_WRITE);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_process_has_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..3 {
            let lines = Lines::create(directory.path(), "ledger-w1").unwrap();
            lines.append(&[number, number]);
        }
        let text = |number: u32| {
            std::fs::read_to_string(directory.path().join(format!("ledger-w1-{number}.jsonl"))).unwrap()
        };
        assert_eq!([text(0), text(1), text(2)], ["0\n0\n", "1\n1\n", "2\n2\n"]);
    }
}
