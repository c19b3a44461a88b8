//! Compile-time stand-in for the lease table, replaced by the module of the branch `session`.

use std::time::Duration;

use reeve_state::id::{SessionEpoch, WorkerId};

/// When a worker was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Since then.
    pub age: Duration,
    /// The session.
    pub epoch: SessionEpoch,
    /// Heartbeats missed in a row.
    pub missed: u32,
    /// As last reported.
    pub active_endpoints: u32,
}

/// The lease table.
#[derive(Clone, Debug, Default)]
pub struct Liveness {}

impl Liveness {
    /// When a worker was last heard, by any node.
    pub fn heard(&self, _worker: WorkerId) -> Option<Heard> {
        None
    }

    /// Sessions on this node.
    pub fn session_count(&self) -> usize {
        0
    }
}
