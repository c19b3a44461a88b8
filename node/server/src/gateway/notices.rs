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

#[cfg(test)]
mod tests {
    use reeve_state::id::{Incarnation, Revision, SessionEpoch, WorkerId};
    use reeve_state::record::WorkerKind;
    use reeve_state::transition::worker::{Facts, LivenessProfile};

    use super::*;

    fn worker(drain: Option<Drain>) -> Worker {
        let mut facts = Facts::registered(Time(0));
        facts.drain = drain;
        Worker {
            id: WorkerId::from_bytes([1; 16]),
            name: "w1".to_owned(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: String::new(),
            labels: std::collections::BTreeMap::new(),
            configured_capacity: None,
            reported_capacity: None,
            sip_capacity: None,
            token_hash: None,
            token_expires_at: None,
            function_blocks: std::collections::BTreeSet::new(),
            version: String::new(),
            ip_address: String::new(),
            registered_by: None,
            flaps: 0,
            events: 0,
            facts,
            session: None,
            last_epoch: SessionEpoch(1),
            attempt: None,
            created_at: Time(0),
            created_by: None,
            revision: Revision(1),
        }
    }

    fn drain(actor: DrainActor, then: AfterDrain, deadline: u64) -> Drain {
        Drain {
            actor,
            reason: "rack move".to_owned(),
            deadline: Time(deadline),
            then,
            since: Time(0),
        }
    }

    fn admin() -> DrainActor {
        DrainActor::Admin("ann".to_owned())
    }

    /// The kinds of the messages that are due.
    fn due(notices: &mut Notices, drain: Option<&Drain>, idle: bool) -> Vec<&'static str> {
        let messages = notices.due(&worker(drain.cloned()), idle, Time(1_000));
        messages
            .iter()
            .map(|message| match message {
                Message::DrainNotice(_) => "drain",
                Message::UndrainNotice(_) => "undrain",
                Message::Leave(_) => "leave",
                Message::Welcome(_)
                | Message::HeartbeatAck(_)
                | Message::Offer(_)
                | Message::Start(_)
                | Message::Stop(_)
                | Message::ReportAck(_)
                | Message::DrainAck(_) => "another",
            })
            .collect()
    }

    // Covers: R20, R68
    #[test]
    fn a_drain_is_told_once_and_its_completion_once() {
        for actor in [admin(), DrainActor::Platform] {
            let drain = drain(actor, AfterDrain::Disconnect, 9_000);
            let mut notices = Notices::default();
            assert_eq!(due(&mut notices, None, true), [""; 0]);
            assert_eq!(due(&mut notices, Some(&drain), false), ["drain"]);
            assert_eq!(due(&mut notices, Some(&drain), false), [""; 0]);
            assert_eq!(due(&mut notices, Some(&drain), true), ["leave"]);
            assert_eq!(due(&mut notices, Some(&drain), true), [""; 0]);
            assert_eq!(
                due(&mut Notices::default(), Some(&drain), true),
                ["drain", "leave"]
            );
        }
    }

    // Covers: R13
    #[test]
    fn a_drain_that_ends_in_a_resume_asks_nobody_to_leave_and_is_taken_back() {
        let drain = drain(admin(), AfterDrain::Resume, 9_000);
        let mut notices = Notices::default();
        assert_eq!(due(&mut notices, Some(&drain), true), ["drain"]);
        assert_eq!(due(&mut notices, None, true), ["undrain"]);
        assert_eq!(due(&mut notices, None, true), [""; 0]);
    }

    #[test]
    fn a_drain_that_changed_is_told_again() {
        let (first, second) = (
            drain(admin(), AfterDrain::Disconnect, 9_000),
            drain(admin(), AfterDrain::Disconnect, 1_000),
        );
        let mut notices = Notices::default();
        assert_eq!(due(&mut notices, Some(&first), false), ["drain"]);
        assert_eq!(due(&mut notices, Some(&second), false), ["drain"]);
    }

    #[test]
    fn a_worker_knows_of_its_own_drain() {
        let own = drain(
            DrainActor::Worker(Incarnation([1; 16])),
            AfterDrain::Disconnect,
            9_000,
        );
        let mut notices = Notices::default();
        assert_eq!(due(&mut notices, Some(&own), true), [""; 0]);
        assert_eq!(due(&mut notices, None, true), [""; 0]);
    }
}
