//! The replicated state of Reeve: records, commands, transition tables, `apply`, invariants and queries.
//!
//! Pure and deterministic: no async, no I/O, no clock, no randomness. The same entries give the same state on every node.

pub mod admission;
mod apply;
pub mod change;
pub mod command;
pub mod definition;
pub mod id;
mod index;
pub mod invariant;
pub mod loss;
pub mod mutant;
mod query;
pub mod record;
pub mod schedule;
mod state;
pub mod time;
pub mod transition;

pub use apply::{Step, apply};
pub use state::{KNOWN_CLUSTER_VERSION, Meta, State};
