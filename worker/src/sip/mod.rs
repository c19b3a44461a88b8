//! The `sip` executor: every endpoint is a SIP user agent of [`reeve_sip`].
//!
//! It has threads of its own, which start with the first assignment: one for signalling, one for media. Neither the session with
//! the cluster nor other executors wait for them, or they for those (R46).

mod library;
mod plan;
mod samples;
mod traces;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reeve_media::{EngineConfig, GeneratorHealth, Source};
use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::ending::Unregistered;
use reeve_sip::{Agent, Desk, HangUp, Shared, Stack, Update};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use self::library::Library;
use self::plan::Plans;
use self::traces::Traces;
use crate::clock::{Clock, MonoMs};
use crate::executor::{AssignmentKey, EndpointChange, Event, EventSink, Executor, Load, Work};
use crate::token::Token;
use crate::trace::{TraceItem, Traced};

/// The executor.
#[derive(Clone)]
pub struct Sip {
    shared: Arc<State>,
}

struct State {
    clock: Clock,
    sink: EventSink,
    engine: Mutex<Option<Engine>>,
    assignments: Mutex<BTreeMap<AssignmentKey, Assignment>>,
    library: Library,
}

/// What runs once there is anything to do.
struct Engine {
    runtime: Option<Runtime>,
    desk: Desk,
    /// By our address.
    stacks: BTreeMap<IpAddr, Stack>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropped within a runtime it must not wait for its own.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Assignment {
    work: Arc<Work>,
    plans: Arc<Plans>,
    source: Source,
    orders: watch::Sender<Option<HangUp>>,
    /// Aborted when it is dropped.
    tasks: JoinSet<()>,
    begun: bool,
}

impl Sip {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(clock: Clock, sink: EventSink) -> Self {
        let shared = State {
            clock,
            sink,
            engine: Mutex::new(None),
            assignments: Mutex::default(),
            library: Library::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn prepared(&self, work: &Arc<Work>) -> Result<(), String> {
        let Spec::Sip(offer) = &work.spec else {
            return Err("executor: this one is for SIP".to_owned());
        };
        let plans = Plans::of(offer, work)?;
        let mut engine = self.shared.engine.lock();
        if engine.is_none() {
            *engine = Some(Engine::start().map_err(|error| format!("media engine: {error}"))?);
        }
        let runtime = engine.as_ref().and_then(|engine| engine.runtime.as_ref());
        let runtime = runtime.ok_or("it is shutting down")?;
        let mut assignment = Assignment {
            work: Arc::clone(work),
            plans: Arc::new(plans),
            source: Source::Tone,
            orders: watch::Sender::new(None),
            tasks: JoinSet::new(),
            begun: false,
        };
        let ready = ready(
            Arc::clone(&self.shared),
            work.key.clone(),
            offer.media_sha256.clone(),
        );
        let mut assignments = self.shared.assignments.lock();
        assignment.tasks.spawn_on(ready, runtime.handle());
        assignments.insert(work.key.clone(), assignment);
        Ok(())
    }
}

impl Engine {
    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sip")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            desk: Desk::start(EngineConfig::default())?,
            stacks: BTreeMap::new(),
        })
    }
}

impl State {
    /// The stack at our address that faces this peer, and the media engine.
    async fn facing(&self, peer: SocketAddr) -> io::Result<Shared> {
        let local = facing(peer)?;
        let known = self
            .engine
            .lock()
            .as_ref()
            .and_then(|engine| engine.stacks.get(&local).cloned());
        let stack = match known {
            Some(stack) => stack,
            None => Stack::bind(SocketAddr::new(local, 0)).await?,
        };
        let mut engine = self.engine.lock();
        let engine = engine
            .as_mut()
            .ok_or_else(|| io::Error::other("it is shutting down"))?;
        // Another assignment may have been faster.
        let stack = engine.stacks.entry(local).or_insert(stack).clone();
        let desk = engine.desk.clone();
        Ok(Shared { stack, desk })
    }
}

/// Our address that packets to this one leave from.
fn facing(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // Nothing is sent by it.
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

impl Executor for Sip {
    fn prepare(&self, work: &Arc<Work>) {
        // Otherwise the answer comes with the sound.
        if let Err(why) = self.prepared(work) {
            self.shared.sink.emit(Event::Prepared(work.key.clone(), Err(why)));
        }
    }

    fn start(&self, key: &AssignmentKey, start: MonoMs) {
        let engine = self.shared.engine.lock();
        let mut assignments = self.shared.assignments.lock();
        let (Some(engine), Some(assignment)) = (engine.as_ref(), assignments.get_mut(key)) else {
            return;
        };
        let Some(runtime) = engine.runtime.as_ref().map(|runtime| runtime.handle().clone()) else {
            return;
        };
        if std::mem::replace(&mut assignment.begun, true) {
            return;
        }
        let begin = Begin {
            state: Arc::clone(&self.shared),
            key: key.clone(),
            start,
            told: self.shared.clock.now(),
        };
        assignment.tasks.spawn_on(begin.run(), &runtime);
    }

    fn hang_up(&self, key: &AssignmentKey, outcome: Option<Outcome>) {
        let assignments = self.shared.assignments.lock();
        let Some(assignment) = assignments.get(key) else {
            return;
        };
        if assignment.begun {
            assignment.orders.send_replace(Some(outcome));
            return;
        }
        let closed = |offset| EndpointChange {
            offset,
            phase: Phase::Closed,
            outcome: outcome.unwrap_or(Outcome::CompletedWithWarnings),
        };
        let all = 0..assignment.work.endpoints;
        let now = self.shared.clock.now();
        let ending = traces::without_messages("stopped before its start");
        let endings = traces::endings(now, all.clone(), &ending);
        self.shared.sink.emit(Event::Traced(key.clone(), endings));
        let all = all.map(closed).collect();
        self.shared.sink.emit(Event::Changed(key.clone(), now, all));
    }

    fn release(&self, key: &AssignmentKey) {
        self.shared.assignments.lock().remove(key);
    }

    fn connected(&self, channel: &Channel, token: &Token) {
        self.shared.library.connected(channel, token);
    }

    fn load(&self) -> Option<Load> {
        let health = self.shared.engine.lock().as_ref()?.desk.health();
        Some(load_of(&health))
    }
}

/// Packets of a call in a second.
const PACKETS_PER_S: u64 = 50;
/// A generator that misses more than one in so many packets of a second is overloaded; fewer are a machine that hiccups.
const MISSED_OF: u64 = 20;

fn load_of(health: &GeneratorHealth) -> Load {
    let second = PACKETS_PER_S.saturating_mul(health.calls as u64);
    let overloaded = !health.running || health.missed.saturating_mul(MISSED_OF) > second;
    // At most 1, so at most 100.
    let busy = (health.busy.clamp(0.0, 1.0) * 100.0).round() as u32;
    Load {
        percent: if overloaded { 100 } else { busy },
        calls: health.calls,
        due: health.due,
        sent: health.sent,
        missed: health.late + health.skipped + health.refused,
        lateness: health.lateness_max,
    }
}

/// An assignment is ready when its sound is there.
async fn ready(state: Arc<State>, key: AssignmentKey, sha256: Vec<u8>) {
    let source = state.library.source(&sha256).await;
    let mut assignments = state.assignments.lock();
    let Some(assignment) = assignments.get_mut(&key) else {
        return;
    };
    let answer = source.map(|source| assignment.source = source);
    state.sink.emit(Event::Prepared(key, answer));
}

/// The start of an assignment: names are looked up, and every endpoint gets a task.
struct Begin {
    state: Arc<State>,
    key: AssignmentKey,
    start: MonoMs,
    told: MonoMs,
}

impl Begin {
    async fn run(self) {
        let Some(plans) = self.plans() else { return };
        let peer = match plans.next_hop().await {
            Ok(peer) => peer,
            Err(why) => return self.none(Unregistered::Unknown.ending().outcome, &why),
        };
        match self.state.facing(peer).await {
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

/// What one endpoint says goes to the agent's loop.
struct Voice {
    state: Arc<State>,
    key: AssignmentKey,
    offset: u32,
    calls: bool,
    traces: Traces,
}

impl Voice {
    fn say(&self, update: Update) {
        // Under the lock, so that a release is never followed by an older event.
        let assignments = self.state.assignments.lock();
        if !assignments.contains_key(&self.key) {
            return;
        }
        let now = self.state.clock.now();
        match update {
            Update::Phase(phase) => self.moved(now, phase, Outcome::Unspecified),
            Update::Interval(interval) => {
                let samples = samples::of_interval(now, self.offset, &interval);
                self.state.sink.emit(Event::Sampled(self.key.clone(), samples));
            }
            Update::Trace(messages) => self.traced(self.traces.messages(now, messages)),
            Update::Closed(closed) => {
                let samples = samples::of_call(now, self.offset, &closed, self.calls);
                if !samples.is_empty() {
                    self.state.sink.emit(Event::Sampled(self.key.clone(), samples));
                }
                let ending = TraceItem::Ending {
                    detail: closed.ending.detail,
                    code: closed.figures.code,
                    dropped: closed.dropped,
                };
                self.traced(traces::endings(now, std::iter::once(self.offset), &ending));
                self.moved(now, Phase::Closed, closed.ending.outcome);
            }
        }
    }

    fn traced(&self, traced: Traced) {
        self.state.sink.emit(Event::Traced(self.key.clone(), traced));
    }

    fn moved(&self, now: MonoMs, phase: Phase, outcome: Outcome) {
        let change = EndpointChange {
            offset: self.offset,
            phase,
            outcome,
        };
        self.state
            .sink
            .emit(Event::Changed(self.key.clone(), now, vec![change]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_misses_its_times_is_at_its_limit_whatever_its_cpu_says() {
        let health = |missed| GeneratorHealth {
            running: true,
            calls: 100,
            busy: 0.31,
            missed,
            late: missed,
            ..GeneratorHealth::default()
        };
        assert_eq!(load_of(&health(0)).percent, 31);
        assert_eq!(load_of(&health(250)).percent, 31, "one in twenty");
        assert_eq!(load_of(&health(251)).percent, 100);
        let dead = GeneratorHealth {
            running: false,
            ..health(0)
        };
        assert_eq!(load_of(&dead).percent, 100);
    }

    #[test]
    fn an_address_that_faces_loopback_is_loopback() {
        for peer in ["127.0.0.1:5060", "[::1]:5060"] {
            let peer: SocketAddr = peer.parse().unwrap_or_else(|_| unreachable!());
            // There may be no IPv6 here.
            if let Ok(local) = facing(peer) {
                assert!(local.is_loopback());
            }
        }
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod trace_tests;
