//! The life of an assignment: one run's endpoints of one group on one worker.

use std::fmt;

use thiserror::Error;

/// Where an assignment is in its life. It counts against the worker's capacity until `Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssignmentStatus {
    /// Sent to the worker, which has not confirmed yet (R134).
    Offered,
    /// The worker confirmed that it can start (R135).
    Ready,
    /// The common start instant is set (R141).
    Started,
    /// The worker was told to hang up and still reports.
    Stopping,
    /// The epoch is over (D14): the endpoints are accounted for, the worker may still hold them.
    Lost,
    /// The worker let go.
    Closed,
}

/// What can happen to an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssignmentEvent {
    /// The worker confirmed.
    Confirm,
    /// The run began.
    Start,
    /// The run is being stopped in order.
    Stop,
    /// The epoch ends without the worker's word: worker down, withdrawn, run failed.
    Lose,
    /// The worker let go, or is known to be gone.
    Close,
}

impl AssignmentStatus {
    /// All statuses.
    pub const ALL: [Self; 6] = [
        Self::Offered,
        Self::Ready,
        Self::Started,
        Self::Stopping,
        Self::Lost,
        Self::Closed,
    ];

    /// The table: what an event makes of a status; `None` where it cannot happen.
    pub const fn after(self, event: AssignmentEvent) -> Option<Self> {
        use AssignmentEvent as E;
        match (self, event) {
            (Self::Offered, E::Confirm) => Some(Self::Ready),
            (Self::Ready, E::Start) => Some(Self::Started),
            (Self::Started, E::Stop) => Some(Self::Stopping),
            (Self::Offered | Self::Ready | Self::Started | Self::Stopping, E::Lose) => Some(Self::Lost),
            (Self::Offered | Self::Ready | Self::Started | Self::Stopping | Self::Lost, E::Close) => {
                Some(Self::Closed)
            }
            (Self::Ready | Self::Started | Self::Stopping | Self::Lost | Self::Closed, E::Confirm)
            | (Self::Offered | Self::Started | Self::Stopping | Self::Lost | Self::Closed, E::Start)
            | (Self::Offered | Self::Ready | Self::Stopping | Self::Lost | Self::Closed, E::Stop)
            | (Self::Lost | Self::Closed, E::Lose)
            | (Self::Closed, E::Close) => None,
        }
    }

    /// Whether it still counts against the worker's capacity.
    pub const fn holds_capacity(self) -> bool {
        match self {
            Self::Offered | Self::Ready | Self::Started | Self::Stopping | Self::Lost => true,
            Self::Closed => false,
        }
    }

    /// Whether the worker's word about its endpoints still counts.
    pub const fn is_current(self) -> bool {
        match self {
            Self::Offered | Self::Ready | Self::Started | Self::Stopping => true,
            Self::Lost | Self::Closed => false,
        }
    }

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offered => "OFFERED",
            Self::Ready => "READY",
            Self::Started => "STARTED",
            Self::Stopping => "STOPPING",
            Self::Lost => "LOST",
            Self::Closed => "CLOSED",
        }
    }
}

impl AssignmentEvent {
    /// All events.
    pub const ALL: [Self; 5] = [Self::Confirm, Self::Start, Self::Stop, Self::Lose, Self::Close];
}

impl fmt::Display for AssignmentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event outside the table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{event:?} cannot happen to an assignment that is {from}")]
pub struct IllegalAssignmentEvent {
    /// The status it is in.
    pub from: AssignmentStatus,
    /// What was to happen.
    pub event: AssignmentEvent,
}

/// Status of an assignment. Only [`AssignmentLife::on`] changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AssignmentLife {
    status: AssignmentStatus,
}

impl AssignmentLife {
    /// An assignment begins as an offer.
    pub const fn begin() -> Self {
        Self {
            status: AssignmentStatus::Offered,
        }
    }

    /// A life read back from disk or the wire.
    pub const fn restore(status: AssignmentStatus) -> Self {
        Self { status }
    }

    /// The current status.
    pub const fn status(&self) -> AssignmentStatus {
        self.status
    }

    pub(crate) fn on(&mut self, event: AssignmentEvent) -> Result<(), IllegalAssignmentEvent> {
        match self.status.after(event) {
            Some(next) => {
                self.status = next;
                Ok(())
            }
            None => Err(IllegalAssignmentEvent {
                from: self.status,
                event,
            }),
        }
    }
}
