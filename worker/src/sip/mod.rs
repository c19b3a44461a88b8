//! The `sip` executor: every endpoint is a SIP user agent of [`reeve_sip`].
//!
//! It has threads of its own, which start with the first assignment: one for signalling, one for media. Neither the session with
//! the cluster nor other executors wait for them, or they for those (R46).

mod begin;
mod engine;
mod library;
mod load;
mod over;
mod plan;
mod samples;
mod timetable;
mod traces;
mod voice;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_media::Source;
use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::{HangUp, Shared, Stack};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use self::begin::Begin;
use self::engine::{Engine, facing};
use self::library::Library;
use self::load::load_of;
use self::over::Over;
use self::plan::Plans;
use crate::clock::{Clock, MonoMs};
use crate::executor::{AssignmentKey, EndpointChange, Event, EventSink, Executor, Load, Work};
use crate::token::Token;

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
    /// Who certifies registrars; none: whom this machine trusts.
    ca: Option<PathBuf>,
}

struct Assignment {
    work: Arc<Work>,
    plans: Arc<Plans>,
    source: Source,
    orders: watch::Sender<Option<HangUp>>,
    /// Aborted when the executor is dropped.
    tasks: JoinSet<()>,
    begun: bool,
}

impl Sip {
    /// Nothing runs yet. Registrars within TLS are to be certified by `ca`, a file; none: by whom this machine trusts.
    #[must_use]
    pub fn new(clock: Clock, sink: EventSink, ca: Option<PathBuf>) -> Self {
        let shared = State {
            clock,
            sink,
            engine: Mutex::new(None),
            assignments: Mutex::default(),
            library: Library::default(),
            ca,
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
        // Whether it can be had is known now, not when the endpoints begin.
        plans.over().carrier(self.shared.ca.as_deref())?;
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

impl State {
    /// The stack at our address that faces this peer, and the media engine.
    async fn facing(&self, peer: SocketAddr, over: &Over) -> io::Result<Shared> {
        let local = facing(peer)?;
        let way = (local, over.clone());
        let known = self
            .engine
            .lock()
            .as_ref()
            .and_then(|engine| engine.stacks.get(&way).cloned());
        let stack = match known {
            Some(stack) => stack,
            None => {
                let carrier = over.carrier(self.ca.as_deref()).map_err(io::Error::other)?;
                Stack::bind_by(SocketAddr::new(local, 0), carrier).await?
            }
        };
        let mut engine = self.engine.lock();
        let engine = engine
            .as_mut()
            .ok_or_else(|| io::Error::other("it is shutting down"))?;
        // Another assignment may have been faster.
        let stack = engine.stacks.entry(way).or_insert(stack).clone();
        let desk = engine.desk.clone();
        Ok(Shared { stack, desk })
    }
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

    /// Nothing more is said of it, but calls that are under way are hung up and registrations taken back: nobody else will do that, and
    /// the other side would wait for them.
    fn release(&self, key: &AssignmentKey) {
        let released = self.shared.assignments.lock().remove(key);
        if let Some(mut assignment) = released {
            assignment.orders.send_replace(Some(None));
            assignment.tasks.detach_all();
        }
    }

    fn connected(&self, channel: &Channel, token: &Token) {
        self.shared.library.connected(channel, token);
    }

    fn load(&self) -> Option<Load> {
        let health = self.shared.engine.lock().as_ref()?.desk.health();
        Some(load_of(&health))
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

#[cfg(test)]
#[path = "shape_tests.rs"]
mod shape_tests;
#[cfg(test)]
#[path = "trace_tests.rs"]
mod trace_tests;
