//! A run: one execution of a test.

use std::sync::Arc;

use crate::id::{ProbeId, ProjectName, Revision, RunId, TestId};
use crate::record::{Explanation, RequestKey, TestDefinition};
use crate::time::Time;
use crate::transition::run::RunLife;

/// One execution of a test, with an id of its own (R216).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The test it was started from.
    pub test: TestId,
    /// The test's project (D27a).
    pub project: ProjectName,
    /// The version of the test's definition.
    pub test_version: u32,
    /// The definition as it was then (D27b).
    pub definition: Arc<TestDefinition>,
    /// Status, reason and timeline.
    pub life: RunLife,
    /// When it was created.
    pub created_at: Time,
    /// End of the wait for capacity; set with QUEUED (D11).
    pub queue_deadline: Option<Time>,
    /// When offered workers must have confirmed; set with each placement.
    pub ready_deadline: Option<Time>,
    /// The common start instant; set with RUNNING.
    pub start_at: Option<Time>,
    /// End of RUNNING by the safety limit (D12); set with RUNNING.
    pub execution_deadline: Option<Time>,
    /// When a user asked it to stop (D8).
    pub stop_requested_at: Option<Time>,
    /// When endpoints that were told to hang up are given up; set with the stop.
    pub stop_deadline: Option<Time>,
    /// How many assignments it ever had; their ordinals count from 0.
    pub assignments: u32,
    /// How many rounds of replacement it used.
    pub replacements: u32,
    /// Why it could not be placed; set with CANNOT_RUN_FOR_NOW.
    pub explanation: Option<Arc<Explanation>>,
    /// Endpoint-minutes taken from the project's credits with QUEUED; `None`: they are not counted, or it was never queued.
    pub credits_reserved: Option<u64>,
    /// Endpoint-minutes of these that it used; the rest went back. Set at the end of a run that reserved some.
    pub credits_used: Option<u64>,
    /// The probe whose slot it is, for one that a probe's schedule started (R228).
    pub probe: Option<ProbeId>,
    /// The request that created it, remembered as long as the run lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}
