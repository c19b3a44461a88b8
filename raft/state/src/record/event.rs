//! What happened to a worker's connection and status: the newest [`KEPT_EVENTS`] of each worker.

use crate::id::{NodeId, Revision, SessionEpoch, WorkerId};
use crate::time::Time;
use crate::transition::worker::WorkerStatus;

/// How many events of a worker are kept.
pub const KEPT_EVENTS: u64 = 100;

/// Identifies an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerEventKey {
    /// The worker.
    pub worker: WorkerId,
    /// Counts its events, from 1.
    pub seq: u64,
}

/// One change of the facts about a worker, as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerEvent {
    /// Which.
    pub key: WorkerEventKey,
    /// When.
    pub at: Time,
    /// What happened.
    pub kind: WorkerEventKind,
    /// The status before; `None`: the worker is new.
    pub status_before: Option<WorkerStatus>,
    /// The status after.
    pub status: WorkerStatus,
    /// The node that the worker was connected to, before or after.
    pub node: Option<NodeId>,
    /// The session that it is about, the newest.
    pub epoch: SessionEpoch,
    /// Who caused it.
    pub actor: String,
    /// For people.
    pub message: String,
    /// The revision that it came with.
    pub revision: Revision,
}

impl WorkerEvent {
    /// Whether the worker left ONLINE for ERROR or UNREACHABLE: what is counted as a flap (R105).
    pub fn is_flap(&self) -> bool {
        is_flap(self.status_before, self.status)
    }
}

/// Whether a change of status is a flap.
pub(crate) fn is_flap(before: Option<WorkerStatus>, after: WorkerStatus) -> bool {
    before == Some(WorkerStatus::Online) && matches!(after, WorkerStatus::Error | WorkerStatus::Unreachable)
}

/// What happened to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerEventKind {
    /// It was registered, or registered again.
    Registered,
    /// A session began.
    Connected,
    /// Heartbeats are missing.
    Suspect,
    /// Heard again.
    Recovered,
    /// Left, or given up.
    Disconnected,
    /// Resources crossed their thresholds.
    HealthChanged,
    /// A drain began, or was changed.
    DrainBegan,
    /// A drain ended, complete or taken back.
    DrainEnded,
    /// It has a new token.
    TokenRegenerated,
    /// Its token ran out.
    TokenExpired,
    /// It was deleted.
    Deleted,
}

impl WorkerEventKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Registered,
        Self::Connected,
        Self::Suspect,
        Self::Recovered,
        Self::Disconnected,
        Self::HealthChanged,
        Self::DrainBegan,
        Self::DrainEnded,
        Self::TokenRegenerated,
        Self::TokenExpired,
        Self::Deleted,
    ];
}
