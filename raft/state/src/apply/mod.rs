//! `apply`: the one place where truth changes.

use crate::change::Change;
use crate::command::{Applied, EntryMeta, Envelope};
use crate::state::State;

/// What applying one command gave: the answer, and the rows that changed (none if it was refused).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The answer.
    pub applied: Applied,
    /// The rows that changed, each once.
    pub changes: Vec<Change>,
}
