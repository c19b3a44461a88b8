//! The start of an assignment: names are looked up, and every endpoint gets a task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use reeve_proto::response::{Answer, Request};
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::ending::{Ending, Unregistered};
use reeve_sip::{Agent, Shared};

use super::plan::Plans;
use super::timetable::Timetable;
use super::traces::{self, Traces};
use super::voice::Voice;
use super::{State, samples};
use crate::clock::MonoMs;
use crate::executor::{AssignmentKey, EndpointChange, Event};

/// See the module.
pub(super) struct Begin {
    pub state: Arc<State>,
    pub key: AssignmentKey,
    /// The common instant of all workers.
    pub start: MonoMs,
}

impl Begin {
    pub async fn run(self) {
        let Some(plans) = self.plans() else { return };
        let peer = match plans.next_hop().await {
            Ok(peer) => peer,
            Err(why) if plans.registers() => return self.none(&told(Unregistered::Unknown.ending(), why)),
            Err(why) => {
                let ending = Ending::new(Outcome::CallFailed, why);
                return self.none(&ending.after(Request::Invite, Answer::NoAddress));
            }
        };
        match self.state.facing(peer, plans.over()).await {
            Ok(shared) => self.spawn(&plans, peer, &shared),
            Err(error) => self.none(&Ending::new(Outcome::Oserror, format!("SIP socket: {error}"))),
        }
    }

    fn plans(&self) -> Option<Arc<Plans>> {
        let assignments = self.state.assignments.lock();
        assignments
            .get(&self.key)
            .map(|assignment| Arc::clone(&assignment.plans))
    }

    fn spawn(&self, plans: &Plans, peer: SocketAddr, shared: &Shared) {
        let mut assignments = self.state.assignments.lock();
        let Some(assignment) = assignments.get_mut(&self.key) else {
            return;
        };
        let work = Arc::clone(&assignment.work);
        let timetable = Timetable::of(&work, self.start, self.state.clock.now(), Instant::now());
        for offset in 0..work.endpoints {
            let slots = timetable.slots(work.first_endpoint + offset);
            let voice = Voice {
                state: Arc::clone(&self.state),
                key: self.key.clone(),
                offset,
                calls: plans.calls(),
                closed: AtomicBool::new(false),
                traces: Traces {
                    offset,
                    made: self.state.clock.now(),
                    credentials: plans.traces_credentials(),
                },
            };
            let agent = Agent::new(
                plans.plan(offset, peer, assignment.source.clone()),
                shared,
                plans.user(&self.key, offset),
                assignment.orders.subscribe(),
                Box::new(move |update| voice.say(update)),
            );
            assignment.tasks.spawn(agent.run_in(slots));
        }
    }

    /// No endpoint can do anything: the registrar has no address, or we have no socket.
    fn none(&self, ending: &Ending) {
        let (outcome, why) = (ending.outcome, ending.detail.as_str());
        tracing::warn!(assignment = %self.key, "no endpoint begins: {why}");
        let closed = |offset| EndpointChange {
            offset,
            phase: Phase::Closed,
            outcome,
        };
        let assignments = self.state.assignments.lock();
        let Some(assignment) = assignments.get(&self.key) else {
            return;
        };
        let all = 0..assignment.work.endpoints;
        let now = self.state.clock.now();
        if let Some(failed) = ending.failed {
            let samples = samples::of_responses(now, all.clone(), vec![failed]);
            self.state.sink.emit(Event::Sampled(self.key.clone(), samples));
        }
        let endings = traces::endings(now, all.clone(), &traces::without_messages(why));
        self.state.sink.emit(Event::Traced(self.key.clone(), endings));
        let all = all.map(closed).collect();
        self.state.sink.emit(Event::Changed(self.key.clone(), now, all));
    }
}

fn told(ending: Ending, detail: String) -> Ending {
    Ending { detail, ..ending }
}
