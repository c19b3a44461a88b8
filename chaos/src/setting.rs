//! What a scenario was run with: `setting.json` in its directory, for the checkers.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file.
pub const FILE: &str = "setting.json";

/// Everything a checker needs to know that happened before the first event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// The mutant that every node runs; "" is none.
    pub mutant: String,
    /// Names of the nodes that the cluster began with.
    pub nodes: Vec<String>,
    /// Names of the workers.
    pub workers: Vec<String>,
    /// How many clients.
    pub clients: usize,
    /// A worker that is silent for so long is OFFLINE, milliseconds.
    pub down_after_ms: u64,
    /// How often a worker is heard at the latest, milliseconds.
    pub heartbeat_interval_ms: u64,
    /// How often nodes tell each other whom they heard, milliseconds.
    #[serde(default)]
    pub exchange_interval_ms: u64,
    /// How long a worker needs to find another node, milliseconds.
    pub reconnect_timeout_ms: u64,
    /// How long workers of a lost node are not suspect, milliseconds.
    pub rehome_grace_ms: u64,
    /// Longest election timeout, milliseconds.
    pub election_max_ms: u64,
}

impl Setting {
    /// Writes it into a directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        std::fs::write(&path, serde_json::to_string_pretty(self)?).with_context(|| path.display().to_string())
    }

    /// Reads it from a directory.
    ///
    /// # Errors
    /// It is not there, or makes no sense.
    pub fn load(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}
