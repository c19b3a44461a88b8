//! A probe: a test on a schedule, with thresholds and a health; and its slots, one for each time it was due.

use std::sync::Arc;

use crate::id::{ProbeId, ProjectName, Revision, RunId, TestId};
use crate::record::{MetricResult, RequestKey, Threshold};
use crate::schedule::Schedule;
use crate::time::Time;
use crate::transition::probe::{ProbeHealth, ProbeStatus};
use crate::transition::run::{RunReasonCode, RunStatus};

/// The last slots of a probe that are kept.
pub const KEPT_SLOTS: usize = 200;
/// Most thresholds of a probe.
pub const MAX_THRESHOLDS: usize = 32;

/// What a user says of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeDefinition {
    /// Unique among the probes of a project.
    pub name: String,
    /// The test that it runs; of the same project.
    pub test: TestId,
    /// When.
    pub schedule: Schedule,
    /// What its runs are measured against; none: a run that completes is well.
    pub thresholds: Vec<Threshold>,
}

/// An execution that is not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenSlot {
    /// The slot.
    pub slot: Time,
    /// Its run.
    pub run: RunId,
}

/// A test on a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Its id.
    pub id: ProbeId,
    /// Whose it is; its runs are too.
    pub project: ProjectName,
    /// What its user said.
    pub definition: Arc<ProbeDefinition>,
    /// Since when it is paused.
    pub paused_at: Option<Time>,
    /// How it is.
    pub health: ProbeHealth,
    /// Slots up to this instant are settled, one way or another: only later ones may fire.
    pub cursor: Time,
    /// The execution that is not settled.
    pub open: Option<OpenSlot>,
    /// The last slot that fired or was skipped.
    pub last_slot: Option<Time>,
    /// The last run.
    pub last_run: Option<RunId>,
    /// How many slots it ever had.
    pub slots: u64,
    /// When it was created.
    pub created_at: Time,
    /// When its user last changed it.
    pub updated_at: Time,
    /// The request that created it, remembered as long as the probe lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

impl Probe {
    /// The next slot; `None` while it is paused.
    pub fn next_slot(&self) -> Option<Time> {
        if self.paused_at.is_some() {
            return None;
        }
        self.definition.schedule.next_after(self.cursor, self.id)
    }

    /// When its next slot is due.
    pub fn next_due(&self) -> Option<Time> {
        self.next_slot()
            .map(|slot| self.definition.schedule.due(slot, self.id))
    }
}

/// Why a slot has no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// The run of the slot before was not over.
    PreviousStillRunning,
    /// There was no leader, or it was too busy, until long after the slot was due.
    Missed,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PreviousStillRunning, Self::Missed];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreviousStillRunning => "PREVIOUS_STILL_RUNNING",
            Self::Missed => "MISSED",
        }
    }
}

/// Names a slot of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeSlotKey {
    /// The probe.
    pub probe: ProbeId,
    /// The instant of its schedule.
    pub slot: Time,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SlotEnd {
    /// When it was settled.
    pub at: Time,
    /// The run's last status; `None`: the run is gone.
    pub status: Option<RunStatus>,
    /// Its reason.
    pub reason: Option<RunReasonCode>,
    /// Endpoints that the run had.
    pub endpoints: u32,
    /// Those of them that ended in an error.
    pub errors: u32,
    /// Metric by metric; empty unless it was measured.
    pub results: Vec<MetricResult>,
    /// How the probe was then.
    pub health: ProbeStatus,
}

/// One time that a probe was due.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeSlot {
    /// Its name.
    pub key: ProbeSlotKey,
    /// When it fired or was skipped.
    pub at: Time,
    /// The run; `None`: it was skipped.
    pub run: Option<RunId>,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
    /// How many slots the row stands for, this one being the last: 1, or more for a long time without a leader.
    pub count: u32,
    /// How its run ended.
    pub end: Option<SlotEnd>,
    /// Of its last change.
    pub revision: Revision,
}
