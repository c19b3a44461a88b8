//! An assignment: endpoints of one group of a run, on one worker.

use crate::command::EndpointReport;
use crate::id::{AssignmentEpoch, Revision, RunId, WorkerId};
use crate::time::Millis;
use crate::transition::assignment::AssignmentLife;
use crate::transition::endpoint::{CHUNK_ENDPOINTS, EndpointOutcome, EndpointPhase, EndpointState};

/// Names an assignment within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentKey {
    /// The run.
    pub run: RunId,
    /// Counts the run's assignments from 0.
    pub ordinal: u32,
}

/// Names a chunk of an assignment's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The assignment.
    pub assignment: AssignmentKey,
    /// Counts the assignment's chunks from 0.
    pub chunk: u32,
}

/// Endpoints `first .. first + count` of a group, on a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// Its name.
    pub key: AssignmentKey,
    /// The worker that executes it.
    pub worker: WorkerId,
    /// Index of the group in the run's definition.
    pub group: u32,
    /// Index within the group of the first endpoint.
    pub first: u32,
    /// How many endpoints.
    pub count: u32,
    /// Fences its reports (D14).
    pub epoch: AssignmentEpoch,
    /// Its status.
    pub life: AssignmentLife,
    /// The common start instant was set, so its endpoints exist.
    pub started: bool,
    /// Its epoch ended without the worker's word while it was executing (D12, D14).
    pub lost: bool,
    /// Why it was withdrawn, refused or lost.
    pub detail: Option<String>,
    /// Number of the last report that was applied.
    pub acked_seq: u64,
    /// Its endpoints by phase and outcome; empty until it started.
    pub counts: EndpointCounts,
    /// Endpoints that were open when the epoch ended without the worker's word: interrupted, not completed (R184).
    pub interrupted: u32,
    /// How long after its start instant the worker began, where it said that it was late.
    pub start_late: Option<Millis>,
    /// What was reported of endpoints after the epoch was over (D14), by offset; the last word of each.
    pub late: Vec<EndpointReport>,
    /// Late reports of endpoints that are not among those kept.
    pub late_left_out: u32,
    /// Of its last change.
    pub revision: Revision,
}

impl Assignment {
    /// How many chunks its endpoints take.
    pub const fn chunks(&self) -> u32 {
        self.count.div_ceil(CHUNK_ENDPOINTS)
    }

    /// How many endpoints a chunk holds; 0 if there is no such chunk.
    pub const fn chunk_len(&self, chunk: u32) -> u32 {
        let rest = self.count.saturating_sub(chunk.saturating_mul(CHUNK_ENDPOINTS));
        if rest < CHUNK_ENDPOINTS {
            rest
        } else {
            CHUNK_ENDPOINTS
        }
    }

    /// What was said too late of an endpoint, if something was.
    pub fn late_report(&self, offset: u32) -> Option<&EndpointReport> {
        let at = self
            .late
            .binary_search_by_key(&offset, |report| report.offset)
            .ok()?;
        self.late.get(at)
    }

    /// Endpoints that reached CLOSED by their worker's word.
    pub const fn completed(&self) -> u32 {
        self.counts
            .phase(EndpointPhase::Closed)
            .saturating_sub(self.interrupted)
    }

    /// Whether every endpoint of it reached CLOSED.
    pub const fn all_closed(&self) -> bool {
        self.started && self.counts.phase(EndpointPhase::Closed) == self.count
    }
}

/// Endpoints counted by phase and by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndpointCounts {
    /// By [`EndpointPhase::index`].
    pub phases: [u32; 8],
    /// By [`EndpointOutcome::index`]; endpoints without an outcome are not counted here.
    pub outcomes: [u32; 8],
}

impl EndpointCounts {
    /// `count` endpoints that begin.
    pub const fn begin(count: u32) -> Self {
        Self {
            phases: [count, 0, 0, 0, 0, 0, 0, 0],
            outcomes: [0; 8],
        }
    }

    /// How many are in a phase.
    pub const fn phase(&self, phase: EndpointPhase) -> u32 {
        self.phases[phase.index()]
    }

    /// How many have an outcome.
    pub const fn outcome(&self, outcome: EndpointOutcome) -> u32 {
        self.outcomes[outcome.index()]
    }

    /// Sum over all phases.
    pub fn total(&self) -> u32 {
        self.phases.iter().sum()
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.phases.iter_mut().zip(other.phases) {
            *sum += value;
        }
        for (sum, value) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += value;
        }
    }

    /// Moves one endpoint from where it was to where it is.
    pub(crate) fn moved(&mut self, before: EndpointState, after: EndpointState) {
        self.phases[before.phase().index()] -= 1;
        self.phases[after.phase().index()] += 1;
        if let Some(outcome) = before.outcome() {
            self.outcomes[outcome.index()] -= 1;
        }
        if let Some(outcome) = after.outcome() {
            self.outcomes[outcome.index()] += 1;
        }
    }
}
