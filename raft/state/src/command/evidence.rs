//! Commands on evidence, and on the end of a run's life.

use std::collections::BTreeMap;

use crate::id::{AssignmentEpoch, NodeId, RunId, WorkerId};
use crate::record::{Aggregate, EvidenceKind, GroupFigures};
use crate::time::{Millis, Time};

/// Command 90. Idempotent: the same chunk again changes nothing, another one under its name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChunk {
    /// The run.
    pub run: RunId,
    /// Names the assignment; over or not (D14).
    pub epoch: AssignmentEpoch,
    /// Who measured; the assignment must be this worker's.
    pub worker: WorkerId,
    /// What it holds.
    pub kind: EvidenceKind,
    /// Counts the assignment's chunks of this kind from 0.
    pub seq: u32,
    /// The node that stored it.
    pub node: NodeId,
    /// Its name in the object store.
    pub path: String,
    /// How many rows.
    pub rows: u64,
    /// Its size as stored.
    pub bytes: u64,
    /// Of the bytes as stored.
    pub sha256: [u8; 32],
    /// When the first row happened.
    pub first_at: Time,
    /// When the last row happened.
    pub last_at: Time,
    /// Nothing of this kind follows.
    pub last: bool,
    /// Rows that the worker gave up since the chunk before.
    pub dropped: u64,
}

/// Command 91. Refused until the run has been terminal for `retention`; whoever asks has deleted the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRun {
    /// Which.
    pub run: RunId,
    /// How long it was to be kept after its end.
    pub retention: Millis,
}

/// Command 92. Refused while the run is not COMPLETED or FAILED, and if there is a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSummary {
    /// The run.
    pub run: RunId,
    /// By the metric's name.
    pub metrics: BTreeMap<String, Aggregate>,
    /// Nothing is missing.
    pub complete: bool,
    /// What is missing, for people.
    pub missing: String,
    /// How requests were answered, and how often.
    pub responses: BTreeMap<String, u64>,
    /// The same for groups, in the order of the definition.
    pub groups: Vec<GroupFigures>,
}
