//! The start of an assignment: names are looked up, and every endpoint gets a task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::ending::Unregistered;
use reeve_sip::{Agent, Shared};

use super::State;
use super::plan::Plans;
use super::traces::{self, Traces};
use super::voice::Voice;
use crate::clock::MonoMs;
use crate::executor::{AssignmentKey, EndpointChange, Event};

/// See the module.
pub(super) struct Begin {
    pub state: Arc<State>,
    pub key: AssignmentKey,
    /// The common instant of all workers.
    pub start: MonoMs,
    /// When this worker was told.
    pub told: MonoMs,
}

impl Begin {
    pub async fn run(self) {
        let Some(plans) = self.plans() else { return };
        let peer = match plans.next_hop().await {
            Ok(peer) => peer,
            Err(why) if plans.registers() => return self.none(Unregistered::Unknown.ending().outcome, &why),
            Err(why) => return self.none(Outcome::CallFailed, &why),
        };
        match self.state.facing(peer, plans.over()).await {
            Ok(shared) => self.spawn(&plans, peer, &shared),
            Err(error) => self.none(Outcome::Oserror, &format!("SIP socket: {error}")),
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
        let (now, instant) = (self.state.clock.now(), Instant::now());
        for offset in 0..work.endpoints {
            let index = work.first_endpoint + offset;
            let slot = work.ramp.begins(self.start, self.told, index);
            let wait = u64::try_from(slot.0.saturating_sub(now.0)).unwrap_or(0);
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
            let life = agent.run(instant + Duration::from_millis(wait));
            assignment.tasks.spawn(life);
        }
    }

    /// No endpoint can do anything: the registrar has no address, or we have no socket.
    fn none(&self, outcome: Outcome, why: &str) {
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
        let endings = traces::endings(now, all.clone(), &traces::without_messages(why));
        self.state.sink.emit(Event::Traced(self.key.clone(), endings));
        let all = all.map(closed).collect();
        self.state.sink.emit(Event::Changed(self.key.clone(), now, all));
    }
}
