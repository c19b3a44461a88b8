//! What a worker is told about a drain that others asked for: it begins, it is taken back, it is complete (D5a, R68).

use reeve_proto::v1;
use reeve_proto::v1::session_response::Message;
use reeve_state::record::Worker;
use reeve_state::time::Time;
use reeve_state::transition::worker::{AfterDrain, Drain, DrainActor};

/// What one stream has already carried. A new stream begins with nothing: a drain in force is told again.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    drain: Option<Drain>,
    leave: bool,
}

impl Notices {
    /// The messages that are due now. `idle`: nothing holds capacity on the worker. `now` is cluster time.
    pub(super) fn due(&mut self, worker: &Worker, idle: bool, now: Time) -> Vec<Message> {
        let Some(drain) = &worker.facts.drain else {
            let taken_back = self.drain.take().is_some();
            self.leave = false;
            return Vec::from_iter(taken_back.then_some(Message::UndrainNotice(v1::UndrainNotice {})));
        };
        if !asked_by_others(drain) {
            return Vec::new();
        }
        let mut due = Vec::new();
        if self.drain.as_ref() != Some(drain) {
            self.drain = Some(drain.clone());
            self.leave = false;
            due.push(Message::DrainNotice(notice(drain, now)));
        }
        if idle && leaves(drain) && !self.leave {
            self.leave = true;
            due.push(Message::Leave(v1::Leave {
                reason: drain.reason.clone(),
            }));
        }
        due
    }
}

fn notice(drain: &Drain, now: Time) -> v1::DrainNotice {
    v1::DrainNotice {
        reason: drain.reason.clone(),
        remaining_ms: drain.deadline.since(now).0,
        leave: leaves(drain),
    }
}

/// A worker knows of its own drain, and leaves by itself.
fn asked_by_others(drain: &Drain) -> bool {
    match drain.actor {
        DrainActor::Worker(_) => false,
        DrainActor::Admin(_) | DrainActor::Platform => true,
    }
}

/// Whether the worker is to leave when the drain is complete.
pub(crate) fn leaves(drain: &Drain) -> bool {
    match drain.then {
        AfterDrain::Disconnect => true,
        AfterDrain::Resume => false,
    }
}
