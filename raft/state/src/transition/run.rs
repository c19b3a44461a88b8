//! The life of a run: six statuses, exactly six edges (R113, R199, R200).

use std::fmt;

use thiserror::Error;

use crate::mutant::{self, Mutant};
use crate::time::Time;

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunStatus {
    /// Created, being validated (R117).
    Pending,
    /// Validated, waiting for capacity and for the workers to be ready (R129).
    Queued,
    /// The workers execute (R139).
    Running,
    /// Every endpoint finished its life, whatever its outcome (R150, R152).
    Completed,
    /// A critical error prevented normal completion (R166).
    Failed,
    /// Could not be executed now (R185).
    CannotRunForNow,
}

impl RunStatus {
    /// All statuses, in the order of a run's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::CannotRunForNow,
    ];

    /// The six edges of source 001 (R200); there are no others.
    pub const EDGES: [(Self, Self); 6] = [
        (Self::Pending, Self::Queued),
        (Self::Pending, Self::CannotRunForNow),
        (Self::Queued, Self::Running),
        (Self::Queued, Self::CannotRunForNow),
        (Self::Running, Self::Completed),
        (Self::Running, Self::Failed),
    ];

    /// A terminal status never changes again (R205).
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::CannotRunForNow => true,
        }
    }

    /// Whether a run may go from this status to `to`.
    pub fn may_become(self, to: Self) -> bool {
        mutant::is(Mutant::StatusWithoutDag) || Self::EDGES.contains(&(self, to))
    }

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::CannotRunForNow => "CANNOT_RUN_FOR_NOW",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a run is in its status (D8, D10, D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunReasonCode {
    /// No worker that is ONLINE passes the filters (R188).
    NoOnlineWorkers,
    /// The candidates' total capacity would do, their free capacity does not (R189).
    WorkersBusy,
    /// Even all capacity of the candidates would not do (R192).
    InsufficientCapacity,
    /// More endpoints than the plan allows (R190).
    PlanLimitExceeded,
    /// No credits left (R191).
    CreditsExhausted,
    /// No active subscription (R191).
    SubscriptionInactive,
    /// The definition became wrong after it was submitted (D9).
    InvalidConfiguration,
    /// Workers did not confirm in time, even after one replacement.
    WorkersNotReady,
    /// A user cancelled it before it ran (D8).
    Cancelled,
    /// A user stopped it while it ran (D8).
    StoppedByUser,
    /// R168, R179.
    AllWorkersDisconnected,
    /// R170, R180.
    ExecutionTimeoutExceeded,
    /// R169, R181.
    UnrecoverablePlatformError,
    /// More of its workers were lost than the definition allows.
    WorkerLost,
    /// Other runs use the SIP accounts that it needs, or there are too few of them (R121).
    AccountsUnavailable,
}

impl RunReasonCode {
    /// All codes.
    pub const ALL: [Self; 15] = [
        Self::NoOnlineWorkers,
        Self::WorkersBusy,
        Self::InsufficientCapacity,
        Self::PlanLimitExceeded,
        Self::CreditsExhausted,
        Self::SubscriptionInactive,
        Self::InvalidConfiguration,
        Self::WorkersNotReady,
        Self::Cancelled,
        Self::StoppedByUser,
        Self::AllWorkersDisconnected,
        Self::ExecutionTimeoutExceeded,
        Self::UnrecoverablePlatformError,
        Self::WorkerLost,
        Self::AccountsUnavailable,
    ];
}

/// A typed reason with its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunReason {
    /// What programs read.
    pub code: RunReasonCode,
    /// What people read.
    pub message: String,
}

/// One transition as it happened (R206).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimelineEntry {
    /// The status entered.
    pub status: RunStatus,
    /// When, in cluster time.
    pub at: Time,
    /// Why, where there is something to say.
    pub reason: Option<RunReason>,
}

/// A transition outside the table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a run cannot go from {from} to {to}")]
pub struct IllegalRunTransition {
    /// The status it is in.
    pub from: RunStatus,
    /// The status asked for.
    pub to: RunStatus,
}

/// Status, reason and timeline of a run. Only [`RunLife::enter`] changes the status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunLife {
    timeline: Vec<TimelineEntry>,
}

impl RunLife {
    /// A run begins in PENDING (R119).
    pub fn begin(at: Time) -> Self {
        Self {
            timeline: vec![TimelineEntry {
                status: RunStatus::Pending,
                at,
                reason: None,
            }],
        }
    }

    /// A life read back from disk or the wire; `None` if it is not a path through the table.
    pub fn restore(timeline: Vec<TimelineEntry>) -> Option<Self> {
        let first = timeline.first()?;
        let legal = first.status == RunStatus::Pending
            && timeline
                .windows(2)
                .all(|pair| pair[0].status.may_become(pair[1].status));
        legal.then_some(Self { timeline })
    }

    /// The current status.
    pub fn status(&self) -> RunStatus {
        self.last().map_or(RunStatus::Pending, |entry| entry.status)
    }

    /// The reason of the current status.
    pub fn reason(&self) -> Option<&RunReason> {
        self.last().and_then(|entry| entry.reason.as_ref())
    }

    /// Every status so far and when it was entered, oldest first.
    pub fn timeline(&self) -> &[TimelineEntry] {
        &self.timeline
    }

    /// When `status` was entered, if it was.
    pub fn entered(&self, status: RunStatus) -> Option<Time> {
        self.timeline
            .iter()
            .find(|entry| entry.status == status)
            .map(|entry| entry.at)
    }

    pub(crate) fn enter(
        &mut self,
        to: RunStatus,
        at: Time,
        reason: Option<RunReason>,
    ) -> Result<(), IllegalRunTransition> {
        let from = self.status();
        if !from.may_become(to) {
            return Err(IllegalRunTransition { from, to });
        }
        self.timeline.push(TimelineEntry {
            status: to,
            at,
            reason,
        });
        Ok(())
    }

    fn last(&self) -> Option<&TimelineEntry> {
        self.timeline.last()
    }
}
