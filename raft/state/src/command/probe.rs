//! Commands on probes.

use std::sync::Arc;

use crate::id::{ProbeId, ProjectName, Revision, RunId};
use crate::record::{ProbeDefinition, SkipReason};
use crate::time::Time;

/// What [`PutProbe`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeMode {
    /// Creates it; refused if the name is taken.
    Create,
    /// Creates it, or updates the one of that name.
    CreateOrUpdate,
    /// Updates the one of that id, its name too.
    Update,
}

/// Command 70.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutProbe {
    /// Id of the probe if it is created, or of the one that is updated.
    pub id: ProbeId,
    /// The project that it is of; it stays in the one it was created in.
    pub project: ProjectName,
    /// What its user says, checked again in apply.
    pub definition: Arc<ProbeDefinition>,
    /// Whether it is created or updated.
    pub mode: ProbeMode,
}

/// Command 71. Its runs stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteProbe {
    /// Which.
    pub probe: ProbeId,
}

/// Command 72. What was due while it was paused is not made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseProbe {
    /// Which.
    pub probe: ProbeId,
    /// Whether it is to be paused, or to go on.
    pub paused: bool,
}

/// Command 73: creates the run of a slot. Refused unless the slot is later than the last that was settled, so that whoever leads, and
/// however often it is repeated, a slot has one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FireProbe {
    /// Which.
    pub probe: ProbeId,
    /// The slot.
    pub slot: Time,
    /// Id of the new run.
    pub run: RunId,
    /// The probe's revision when it was planned.
    pub revision: Revision,
}

/// Command 74: a slot, or several in a row, get no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipSlot {
    /// Which.
    pub probe: ProbeId,
    /// The slot; of several the last.
    pub slot: Time,
    /// Why.
    pub reason: SkipReason,
    /// How many.
    pub count: u32,
}

/// Command 75: the run of a slot is over; apply itself finds out what that means for the probe's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluateProbe {
    /// Which.
    pub probe: ProbeId,
    /// The slot.
    pub slot: Time,
}
