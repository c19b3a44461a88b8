//! The planners of Reeve: pure functions from (state, liveness, time) to commands with reasons.
//!
//! Nothing here does I/O, reads a clock or keeps anything between two calls. What a planner decides is only a proposal:
//! apply checks it again, so a late planner, or two of them, do no harm.

mod config;
pub mod drain;
mod fleet;
pub mod liveness;
pub mod placement;
pub mod probes;
pub mod registry;
pub mod retention;
pub mod runs;

use reeve_state::command::Command;

pub use config::PlanConfig;
pub use fleet::Reservations;
pub use runs::{PassPlan, RunPlan, plan_pass};

/// A command that a planner decided on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is to be proposed.
    pub command: Command,
    /// One line, for the log.
    pub reason: String,
}

impl Planned {
    pub(crate) fn new(command: Command, reason: impl Into<String>) -> Self {
        Self {
            command,
            reason: reason.into(),
        }
    }
}
