//! A worker's registration: created, drained and undrained, given another token, read.

use super::Applied;
use crate::checker::wgl::Model;

/// The rules of a worker.
#[derive(Clone, Copy, Debug)]
pub struct WorkerModel {
    /// It was there before the history began: nobody's call created it.
    pub existed: bool,
}

/// What an answer shows of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Which drain is in force.
    pub drain: Option<u64>,
    /// The revision of its last change.
    pub revision: u64,
}

/// What is known of a worker. A drain may end by itself, and what the worker says changes the revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkerState {
    exists: bool,
    drain: Option<u64>,
    revision: u64,
    /// Something was written since the revision was seen.
    changed: bool,
    /// The token that is good, as the request that made it.
    token: Option<String>,
    applied: Applied,
}

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOp {
    /// It was created, or may have been.
    Create {
        /// The token that it got.
        token: String,
        /// Number of a request that was sent more than once.
        request: Option<u32>,
        /// It was answered.
        certain: bool,
    },
    /// A creation was refused, because there is one.
    Taken,
    /// A drain was ordered, or may have been.
    Drain {
        /// Which.
        value: u64,
        /// Number of a request that was sent more than once.
        request: Option<u32>,
    },
    /// A drain was taken back, or may have been.
    Undrain {
        /// Number of a request that was sent more than once.
        request: Option<u32>,
    },
    /// It got another token, or may have.
    Regenerate {
        /// Which.
        token: String,
        /// Number of a request that was sent more than once.
        request: Option<u32>,
    },
    /// A token was accepted, or refused.
    Use {
        /// Which.
        token: String,
        /// Which of both.
        accepted: bool,
    },
    /// It was read; none: there is no such worker.
    Read(Option<Seen>),
}

impl Model for WorkerModel {
    type State = WorkerState;
    type Op = WorkerOp;

    fn begin(&self) -> WorkerState {
        WorkerState {
            exists: self.existed,
            changed: self.existed,
            ..WorkerState::default()
        }
    }

    fn step(&self, state: &WorkerState, op: &WorkerOp) -> Option<WorkerState> {
        let replayed = |request: &Option<u32>| state.applied.has(*request);
        let applied = |request: &Option<u32>| state.applied.clone().and(*request);
        match op {
            WorkerOp::Create { request, .. }
            | WorkerOp::Drain { request, .. }
            | WorkerOp::Undrain { request }
            | WorkerOp::Regenerate { request, .. }
                if replayed(request) =>
            {
                Some(state.clone())
            }
            WorkerOp::Create { certain, .. } if state.exists => (!certain).then(|| state.clone()),
            WorkerOp::Create { token, request, .. } => Some(WorkerState {
                exists: true,
                changed: true,
                token: Some(token.clone()),
                applied: applied(request),
                ..WorkerState::default()
            }),
            WorkerOp::Taken => state.exists.then(|| state.clone()),
            WorkerOp::Drain { value, request } => state.exists.then(|| WorkerState {
                drain: Some(*value),
                changed: true,
                applied: applied(request),
                ..state.clone()
            }),
            WorkerOp::Undrain { request } => state.exists.then(|| WorkerState {
                drain: None,
                // One that ended by itself changed the worker as well.
                changed: state.changed || state.drain.is_some(),
                applied: applied(request),
                ..state.clone()
            }),
            WorkerOp::Regenerate { token, request } => state.exists.then(|| WorkerState {
                changed: true,
                token: Some(token.clone()),
                applied: applied(request),
                ..state.clone()
            }),
            WorkerOp::Use { token, accepted } => {
                let good = state.token.as_ref() == Some(token);
                (good == *accepted).then(|| state.clone())
            }
            WorkerOp::Read(None) => (!state.exists).then(|| state.clone()),
            WorkerOp::Read(Some(seen)) => {
                let same = seen.revision == state.revision && !state.changed;
                let later = seen.revision > state.revision;
                let legal = if same {
                    seen.drain == state.drain
                } else {
                    later && (seen.drain == state.drain || seen.drain.is_none())
                };
                (state.exists && legal).then(|| WorkerState {
                    changed: false,
                    drain: seen.drain,
                    revision: seen.revision,
                    ..state.clone()
                })
            }
        }
    }
}
