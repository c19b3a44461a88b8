//! A run: started once by its request, stopped by clients, moved on by the system, and never back.

use super::Applied;
use crate::checker::wgl::Model;

/// The statuses of a run, as the requirements name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It exists.
    Pending,
    /// It waits for workers.
    Queued,
    /// Its endpoints run.
    Running,
    /// All of them ended.
    Completed,
    /// It was given up.
    Failed,
    /// It never ran.
    CannotRunForNow,
}

impl Status {
    /// Of the name in the API.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RUN_STATUS_PENDING" => Some(Self::Pending),
            "RUN_STATUS_QUEUED" => Some(Self::Queued),
            "RUN_STATUS_RUNNING" => Some(Self::Running),
            "RUN_STATUS_COMPLETED" => Some(Self::Completed),
            "RUN_STATUS_FAILED" => Some(Self::Failed),
            "RUN_STATUS_CANNOT_RUN_FOR_NOW" => Some(Self::CannotRunForNow),
            _ => None,
        }
    }

    /// Of the number in the log.
    pub fn numbered(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Pending),
            2 => Some(Self::Queued),
            3 => Some(Self::Running),
            4 => Some(Self::Completed),
            5 => Some(Self::Failed),
            6 => Some(Self::CannotRunForNow),
            _ => None,
        }
    }

    /// Whether it ends here.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::CannotRunForNow => true,
        }
    }

    /// Whether it may directly become another.
    pub fn edge_to(self, to: Self) -> bool {
        match self {
            Self::Pending => matches!(to, Self::Queued | Self::CannotRunForNow),
            Self::Queued => matches!(to, Self::Running | Self::CannotRunForNow),
            Self::Running => matches!(to, Self::Completed | Self::Failed),
            Self::Completed | Self::Failed | Self::CannotRunForNow => false,
        }
    }

    /// Whether it may be another some time later, or still be what it is.
    pub fn reaches(self, to: Self) -> bool {
        match self {
            Self::Pending => true,
            Self::Queued => to != Self::Pending,
            Self::Running => matches!(to, Self::Running | Self::Completed | Self::Failed),
            Self::Completed | Self::Failed | Self::CannotRunForNow => self == to,
        }
    }
}

/// What an answer shows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Its status.
    pub status: Status,
    /// The revision of its last change.
    pub revision: u64,
    /// A user asked to stop it while it ran.
    pub stop: bool,
}

/// The rules of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunModel;

/// What is known of a run: it moves on by itself, so that this is a floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RunState {
    seen: Option<Seen>,
    /// A stop was applied: it will not begin any more, and shows that it was told.
    stopped: bool,
    /// A stop was refused: it has ended.
    ended: bool,
    applied: Applied,
}

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOp {
    /// Its request was sent. Sent again, it changes nothing.
    Start,
    /// It was told to stop, or may have been.
    Stop {
        /// Number of a request that was sent more than once.
        request: Option<u32>,
        /// What the answer shows; none: there was none.
        shown: Option<Seen>,
    },
    /// A stop was refused, because it had ended.
    StopRefused,
    /// It was read; none: there is no such run.
    Read(Option<Seen>),
}

impl Model for RunModel {
    type State = RunState;
    type Op = RunOp;

    fn begin(&self) -> RunState {
        RunState::default()
    }

    fn step(&self, state: &RunState, op: &RunOp) -> Option<RunState> {
        let Some(floor) = state.seen else {
            return match op {
                RunOp::Start => Some(RunState {
                    seen: Some(Seen {
                        status: Status::Pending,
                        revision: 0,
                        stop: false,
                    }),
                    ..state.clone()
                }),
                RunOp::Read(None) | RunOp::Stop { shown: None, .. } => Some(state.clone()),
                RunOp::Stop { .. } | RunOp::StopRefused | RunOp::Read(Some(_)) => None,
            };
        };
        match op {
            RunOp::Start => Some(state.clone()),
            RunOp::Stop { request, shown } => {
                if state.applied.has(*request) {
                    return Some(state.clone());
                }
                if state.ended || floor.status.is_terminal() {
                    // Refused, without anybody to tell.
                    return shown.is_none().then(|| state.clone());
                }
                let told = |seen: &Seen| seen.stop || seen.status == Status::CannotRunForNow;
                shown.as_ref().is_none_or(told).then(|| RunState {
                    stopped: true,
                    applied: state.applied.clone().and(*request),
                    ..state.clone()
                })
            }
            RunOp::StopRefused => Some(RunState {
                ended: true,
                ..state.clone()
            }),
            RunOp::Read(None) => None,
            RunOp::Read(Some(seen)) => follows(state, floor, *seen).then(|| RunState {
                seen: Some(*seen),
                ..state.clone()
            }),
        }
    }
}

fn follows(state: &RunState, floor: Seen, seen: Seen) -> bool {
    let in_order = if floor.revision == seen.revision {
        floor == seen
    } else {
        floor.revision < seen.revision && floor.status.reaches(seen.status)
    };
    let stop = if state.stopped {
        // Before it ran, a stop is a cancellation.
        seen.stop || seen.status == Status::CannotRunForNow
    } else {
        !seen.stop
    };
    in_order && stop && (!state.ended || seen.status.is_terminal())
}
