//! What workers know of their own sessions: `beats-*.jsonl`, a line when a session begins or ends, when a node refuses one, and when a
//! heartbeat is acknowledged.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Beat {
    /// When, µs.
    pub at: u64,
    /// The worker's name.
    pub worker: String,
    /// What.
    pub beat: Kind,
    /// When what is acknowledged was sent, µs.
    #[serde(default)]
    pub sent: u64,
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session began.
    Session,
    /// A heartbeat was acknowledged.
    Acked,
    /// The session ended.
    Ended,
    /// A node wanted no session.
    Refused,
}

/// Reads a file. The last line may be torn, if the worker was killed; any other that makes no sense is an error.
///
/// # Errors
/// It cannot be read.
pub fn load(path: &Path) -> Result<Vec<Beat>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let count = text.lines().count();
    let mut beats = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str(line) {
            Ok(beat) => beats.push(beat),
            Err(_) if number == count && !text.ends_with('\n') => {}
            Err(error) => bail!("{}:{number}: {error}", path.display()),
        }
    }
    Ok(beats)
}
