//! What happened, in one file of JSON lines and in memory. Times are microseconds of one monotonic clock.

pub mod op;
pub mod recorder;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Creates or updates the test of this name.
    ApplyTest {
        /// Its name.
        name: String,
    },
    /// Starts a run of the test of this name.
    StartRun {
        /// Its name.
        name: String,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The test is stored in this version.
    TestStored {
        /// The version.
        version: u32,
    },
    /// The run exists.
    RunStarted {
        /// Its id.
        run: String,
    },
    /// It may or may not be done; to be repeated under the same request id.
    Unknown {
        /// The status of the call.
        code: String,
    },
    /// It was refused for good. Nothing that the clients ask for should be.
    Refused {
        /// Status and message of the call.
        reason: String,
    },
}

/// One call, from sending to its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The client.
    pub client: usize,
    /// The request; its attempts share it.
    pub request_id: String,
    /// Position of the node.
    pub node: usize,
    /// What was asked.
    #[serde(flatten)]
    pub call: Call,
    /// When it was sent.
    pub sent_us: u64,
    /// When it was answered.
    pub answered_us: u64,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A linearizable read of a test by the only client that writes it.
#[derive(Clone, Debug, Serialize)]
pub struct Read {
    /// The client.
    pub client: usize,
    /// Position of the node.
    pub node: usize,
    /// The test.
    pub name: String,
    /// When it was answered.
    pub answered_us: u64,
    /// Version that was acknowledged to the client before it asked.
    pub acknowledged: u32,
    /// Version that it read; 0: there was no such test.
    pub seen: u32,
}

/// Everything of one kind, in order of recording.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Writes of clients.
    pub attempts: Vec<Attempt>,
    /// Reads of clients.
    pub reads: Vec<Read>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Attempt(&'a Attempt),
    Read(&'a Read),
}

/// The history that is being written.
pub struct History {
    begun: Instant,
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: BufWriter<File>,
    records: Records,
    /// The first line that could not be written.
    failed: Option<std::io::Error>,
}

impl History {
    /// Begins a history in a new file.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            begun: Instant::now(),
            path: path.to_owned(),
            inner: Mutex::new(Inner {
                file: BufWriter::new(file),
                records: Records::default(),
                failed: None,
            }),
        })
    }

    /// Microseconds since it began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A write of a client.
    pub fn attempt(&self, attempt: Attempt) {
        let mut inner = self.lock();
        inner.write(&Line::Attempt(&attempt));
        inner.records.attempts.push(attempt);
    }

    /// A read of a client.
    pub fn read(&self, read: Read) {
        let mut inner = self.lock();
        inner.write(&Line::Read(&read));
        inner.records.reads.push(read);
    }

    /// Everything so far, and on disk.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn finish(&self) -> Result<Records> {
        let mut inner = self.lock();
        if let Some(error) = inner.failed.take() {
            return Err(error).with_context(|| self.path.display().to_string());
        }
        inner
            .file
            .flush()
            .with_context(|| self.path.display().to_string())?;
        Ok(inner.records.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A writer that panicked leaves at most a line that was not written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, line: &Line<'_>) {
        let written = serde_json::to_writer(&mut self.file, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }
}
