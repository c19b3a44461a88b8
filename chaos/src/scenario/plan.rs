//! A plan: everything about a scenario that is decided before it begins.

use std::path::Path;

use anyhow::{Context, Result};
use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::deed::{Deed, Step, Who};
use crate::client::Mix;

/// The file of a plan that is to be played.
pub const FILE: &str = "plan.json";
/// The file of a plan that was played, with names for roles.
pub const PLAYED: &str = "played.json";

/// A node that no quorum, or not the leader, hears for so long sheds its sessions.
pub const SHED_AFTER_MS: u64 = 1_000;

/// How often clients do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// A bit of everything.
    #[default]
    Usual,
    /// Many drains.
    Drains,
    /// More runs than fit.
    Capacity,
    /// Tokens change and are used at once.
    Tokens,
}

impl Load {
    /// What clients do, in which shares.
    pub fn mix(self) -> Mix {
        match self {
            Self::Usual => Mix::usual(),
            Self::Drains => Mix::drains(),
            Self::Capacity => Mix::capacity(),
            Self::Tokens => Mix::tokens(),
        }
    }
}

/// The cluster, and its timing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Voters in the beginning.
    pub nodes: usize,
    /// Workers.
    pub workers: usize,
    /// Endpoints that a worker carries at most.
    pub capacity: u32,
    /// Clients.
    pub clients: usize,
    /// A worker that is silent for so long is OFFLINE.
    pub down_after_ms: u64,
    /// How often a worker is heard.
    pub heartbeat_interval_ms: u64,
    /// How long a worker needs to find another node.
    pub reconnect_timeout_ms: u64,
    /// How long workers of a lost node are not suspect.
    pub rehome_grace_ms: u64,
    /// Shortest election timeout.
    pub election_min_ms: u64,
    /// Longest election timeout.
    pub election_max_ms: u64,
    /// Between heartbeats of the leader.
    pub raft_heartbeat_ms: u64,
    /// A snapshot is made after so many entries.
    pub snapshot_after_entries: u64,
    /// `n1` throws its log away with every snapshot. The others keep all of theirs, because it is replayed in the end.
    #[serde(default)]
    pub forgetful: bool,
}

impl Shape {
    /// Three nodes, quick to notice what is wrong.
    pub fn small() -> Self {
        Self {
            nodes: 3,
            workers: 4,
            capacity: 1_000,
            clients: 8,
            down_after_ms: 3_000,
            heartbeat_interval_ms: 300,
            reconnect_timeout_ms: 1_000,
            rehome_grace_ms: 1_000,
            election_min_ms: 300,
            election_max_ms: 600,
            raft_heartbeat_ms: 100,
            snapshot_after_entries: 200,
            forgetful: false,
        }
    }

    /// Three or five nodes, with odd times: nothing is to depend on round numbers.
    pub fn drawn(rng: &mut StdRng) -> Self {
        let election_min_ms = rng.random_range(200..450);
        let down_after_ms = rng.random_range(3_000..4_500);
        Self {
            nodes: if rng.random_range(0..3) == 0 { 5 } else { 3 },
            workers: rng.random_range(3..7),
            capacity: rng.random_range(200..2_000),
            clients: rng.random_range(5..9),
            down_after_ms,
            heartbeat_interval_ms: rng.random_range(200..500),
            reconnect_timeout_ms: rng.random_range(800..1_300),
            // At most a third, or no node starts.
            rehome_grace_ms: rng.random_range(500..down_after_ms / 3),
            election_min_ms,
            election_max_ms: election_min_ms * 2 + rng.random_range(0..150),
            // The least election timeout is at least twice this, or no node starts.
            raft_heartbeat_ms: rng.random_range(40..election_min_ms / 2),
            snapshot_after_entries: rng.random_range(60..700),
            forgetful: false,
        }
    }
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// What clients draw from, and what the steps were drawn from.
    pub seed: u64,
    /// What the nodes run that is wrong on purpose; "" is nothing.
    #[serde(default)]
    pub mutant: String,
    /// The cluster.
    pub shape: Shape,
    /// What clients do.
    #[serde(default)]
    pub load: Load,
    /// Load alone, milliseconds.
    pub warm_up_ms: u64,
    /// Load and faults, milliseconds.
    pub faults_ms: u64,
    /// The cluster serves with one fault that stays, milliseconds; 0: not tried.
    pub minority_ms: u64,
    /// In the order of their times.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Writes it into a directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store(&self, directory: &Path, file: &str) -> Result<()> {
        let path = directory.join(file);
        std::fs::write(&path, serde_json::to_string_pretty(self)?).with_context(|| path.display().to_string())
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is not there, or makes no sense.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Whether a step needs this.
    pub fn needs(&self, needs: impl Fn(&Deed) -> bool) -> bool {
        self.steps.iter().any(|step| needs(&step.deed))
    }

    /// Takes out what only root can do; whether anything is left.
    pub fn without_root(&mut self) -> bool {
        self.steps.retain(|step| !step.deed.needs_root());
        !self.steps.is_empty()
    }

    /// A step that was played, with the names that its role had.
    pub fn played(&mut self, number: usize, names: Vec<String>) {
        if let Some(step) = self.steps.get_mut(number)
            && let Some(who) = step.deed.who_mut()
        {
            *who = Who::Named { names };
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// The rules of `node/server/src/config/check.rs` that drawn times could break.
    #[test]
    fn every_shape_that_is_drawn_is_one_that_nodes_accept() {
        for seed in 0..2_000 {
            let shape = Shape::drawn(&mut StdRng::seed_from_u64(seed));
            assert!(shape.election_min_ms >= 2 * shape.raft_heartbeat_ms, "{shape:?}");
            assert!(shape.election_max_ms > shape.election_min_ms, "{shape:?}");
            assert!(shape.rehome_grace_ms * 3 <= shape.down_after_ms, "{shape:?}");
            let moving = shape.heartbeat_interval_ms + SHED_AFTER_MS + shape.reconnect_timeout_ms;
            assert!(moving <= shape.down_after_ms, "{shape:?}");
        }
    }
}
