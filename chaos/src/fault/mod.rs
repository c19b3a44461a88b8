//! Faults as values, and what became of them. Whoever runs scenarios needs only this and [`World`].

mod inject;
mod kind;
mod target;
mod world;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use kind::Fault;
pub use target::Target;
pub use world::World;

/// What was seen of an effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How often. Of something that counts packets or calls, 0 says that nothing was hit.
    pub count: u64,
    /// What.
    pub seen: String,
}

impl Proof {
    /// So often, this.
    pub fn new(count: u64, seen: String) -> Self {
        Self { count, seen }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.count, self.seen)
    }
}

/// What became of an injection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "injection", content = "why", rename_all = "snake_case")]
pub enum Injection {
    /// It is in force; this was seen.
    Installed(Proof),
    /// It was not tried, because it cannot be had here. It counts as not covered.
    Skipped(String),
    /// It was tried and may or may not be in force: a failure of the harness, never of the system.
    Indeterminate(String),
}

/// What became of healing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "healing", content = "why", rename_all = "snake_case")]
pub enum Healing {
    /// It is over; for faults that count, the proof says how often it bit.
    Healed(Proof),
    /// It may still be in force: a failure of the harness.
    Failed(String),
}

impl Injection {
    pub(crate) fn of(result: anyhow::Result<Proof>) -> Self {
        match result {
            Ok(proof) => Self::Installed(proof),
            Err(error) => Self::Indeterminate(format!("{error:#}")),
        }
    }
}

impl Healing {
    pub(crate) fn of(result: anyhow::Result<Proof>) -> Self {
        match result {
            Ok(proof) => Self::Healed(proof),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}
