//! The one loop that ties sessions, executors and time together.
//!
//! It waits for exactly four things: a message of the node, an event of an executor, a deadline, the order to end. After
//! each it does everything that is due. Nothing in it waits for the network.

mod drain;
mod end;
mod evidence;
mod heartbeat;
mod notice;
mod session;
mod talk;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use reeve_proto::v1::session_request::Message as Request;
use reeve_proto::v1::{HealthReport, SessionRequest};
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::drain::{Drain, Verdict};
use self::notice::Notice;
use self::session::{Session, Stage, next_event};
use crate::backoff::{Backoff, BackoffLimits};
use crate::capacity::Capacity;
use crate::cause::Told;
use crate::clock::{Clock, ClusterClock, MonoMs};
use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::evidence::{Recorder, Uploader};
use crate::executor::{AssignmentKey, Event, EventSink};
use crate::fleet::Fleet;
use crate::health::{Allowance, HealthProbe};
use crate::hooks::{Hooks, Observer};
use crate::http::{self, SharedHealth};
use crate::nodes::NodeList;
use crate::skew::Skew;
use crate::telemetry::Telemetry;

/// The loop looks at everything at least so often.
const AT_LEAST: Duration = Duration::from_secs(1);
/// When the queue to the node is full, reports wait so long.
const CONGESTED: Duration = Duration::from_millis(20);
/// Executor events that are taken before messages get their turn.
const EVENTS_PER_TURN: usize = 64;

/// Runs a worker until it is told to end. The token is the equivalent of SIGTERM: the worker drains, says Goodbye and
/// returns (D5). A second signal is the caller's business.
///
/// # Errors
/// An unusable configuration, [`WorkerError::Superseded`] if a newer process took the session over, [`WorkerError::Deleted`] if
/// the worker was deleted, and [`WorkerError::DrainIncomplete`] if the drain could not be completed in time.
pub async fn run(config: WorkerConfig, shutdown: CancellationToken) -> Result<(), WorkerError> {
    let hooks = Hooks::with_sip_ca(config.sip_ca.clone());
    run_with(config, hooks, shutdown).await
}

/// The same, with hooks of a program around it.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    config: WorkerConfig,
    hooks: Hooks,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    config.validate()?;
    // Before anything else is under way, health too: what measuring takes of the CPU is no sign of overload.
    let capacity = config.capacity.derive(Allowance::of_this_process());
    let health = HealthProbe::start(&config.health).await;
    info!("{}", capacity.explanation());
    let telemetry = Telemetry::of_session(&capacity)?;
    let shown = SharedHealth::default();
    shown.lock().capacity = Some((&capacity).into());
    let _http = match config.http_addr {
        Some(addr) => Some(http::serve(addr, Arc::clone(&shown), telemetry.handle()).await?),
        None => None,
    };
    Agent::new(config, hooks, &capacity, telemetry, shown, health)?
        .run(shutdown)
        .await
}

struct Agent {
    nodes: NodeList,
    backoff: Backoff,
    fleet: Fleet,
    events: mpsc::UnboundedReceiver<Event>,
    clock: Clock,
    cluster: ClusterClock,
    random: StdRng,
    incarnation: String,
    /// How often it has tried to connect: of two that are under way the later one counts.
    attempts: u64,
    session: Option<Session>,
    retry_at: MonoMs,
    report_interval: Duration,
    /// No report is built before; the queue to the node was full.
    congested_until: MonoMs,
    drain: Option<Drain>,
    notice: Notice,
    /// Causes that were logged since the last session that worked.
    told: Told,
    skew: Skew,
    /// As configured; what is in force may be shorter.
    limits: BackoffLimits,
    /// Why the process must end although nobody told it to.
    over: Option<WorkerError>,
    /// Most endpoints, and most of SIP among them.
    capacity: (u32, Option<u32>),
    telemetry: Telemetry,
    shown: SharedHealth,
    health: HealthProbe,
    recorder: Recorder,
    uploader: Uploader,
    /// Assignments of which all evidence is stored.
    stored: mpsc::UnboundedReceiver<AssignmentKey>,
    observer: Arc<dyn Observer>,
    config: WorkerConfig,
}

impl Agent {
    fn new(
        config: WorkerConfig,
        hooks: Hooks,
        capacity: &Capacity,
        telemetry: Telemetry,
        shown: SharedHealth,
        health: HealthProbe,
    ) -> Result<Self, WorkerError> {
        let clock = Clock::start();
        let (sink, events) = EventSink::channel();
        let executors = (hooks.executors)(clock.clone(), sink);
        let (uploader, stored) = Uploader::start(clock.clone());
        let recorder = Recorder::start(clock.clone(), uploader.intake()).map_err(WorkerError::Thread)?;
        Ok(Self {
            nodes: NodeList::new(config.nodes.clone()),
            backoff: Backoff::default(),
            fleet: Fleet::new(capacity.endpoints, capacity.sip_endpoints(), executors),
            events,
            clock,
            cluster: ClusterClock::default(),
            random: StdRng::from_os_rng(),
            incarnation: uuid::Uuid::new_v4().to_string(),
            attempts: 0,
            session: None,
            retry_at: MonoMs(0),
            report_interval: config.report_interval,
            congested_until: MonoMs(0),
            drain: None,
            notice: Notice::default(),
            told: Told::default(),
            skew: Skew::default(),
            limits: config.reconnect.clone(),
            over: None,
            capacity: (capacity.endpoints, capacity.sip_endpoints()),
            telemetry,
            shown,
            health,
            recorder,
            uploader,
            stored,
            observer: hooks.observer,
            config,
        })
    }

    async fn run(mut self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        loop {
            let now = self.clock.now();
            self.do_what_is_due(now);
            if let Some(error) = self.over.take() {
                return Err(error);
            }
            let connected = self.session.as_ref().is_some_and(Session::is_up);
            let holds_nothing = self.fleet.is_empty();
            if self.notice.says_leave() && holds_nothing {
                return self.leave().await;
            }
            match self.drain.as_mut().map_or(Verdict::Wait, |drain| {
                drain.verdict(now, connected, holds_nothing)
            }) {
                Verdict::Wait => {}
                Verdict::HangUp => {
                    warn!("drain deadline passed: hanging up what still runs");
                    self.fleet.hang_up_all();
                    continue;
                }
                Verdict::Leave => return self.leave().await,
                Verdict::GiveUp => {
                    return Err(WorkerError::DrainIncomplete {
                        assignments: self.fleet.len(),
                    });
                }
            }
            self.show();
            let wake = self.clock.instant(self.wake(now));
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.drain.is_none() => self.begin_drain(),
                event = next_event(self.session.as_mut()) => self.on_link(event),
                Some(event) = self.events.recv() => self.on_executor(event),
                Some(key) = self.stored.recv() => self.fleet.evidence_stored(&key),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn do_what_is_due(&mut self, now: MonoMs) {
        self.note_evidence(now);
        match &self.session {
            None if now >= self.retry_at => self.open(),
            None => {}
            Some(session) if session.is_up() => {
                self.beat(now);
                self.tell_drain(now);
                self.report(now);
                self.tell_live();
            }
            Some(_) => {}
        }
    }

    /// The next instant at which something is due without any event.
    fn wake(&self, now: MonoMs) -> MonoMs {
        let mut wake = now.after(AT_LEAST);
        match &self.session {
            None => wake = wake.min(self.retry_at),
            Some(Session {
                stage: Stage::Up(heartbeats),
                ..
            }) => {
                wake = wake.min(heartbeats.wake());
                if let Some(due) = self.fleet.due(self.report_interval) {
                    wake = wake.min(due.max(self.congested_until));
                }
            }
            Some(Session {
                stage: Stage::Opening,
                ..
            }) => {}
        }
        if let Some(drain) = &self.drain {
            wake = wake.min(now.after(drain.remaining(now).max(Duration::from_millis(50))));
        }
        wake.max(now)
    }

    // === Work ===

    fn on_executor(&mut self, first: Event) {
        let mut next = Some(first);
        for _ in 0..EVENTS_PER_TURN {
            let Some(event) = next else { return };
            self.write_down(&event);
            self.fleet
                .event(event, &self.cluster, self.clock.now(), |outcome| {
                    self.telemetry.closed(outcome)
                });
            next = self.events.try_recv().ok();
        }
        if let Some(event) = next {
            self.write_down(&event);
            self.fleet
                .event(event, &self.cluster, self.clock.now(), |outcome| {
                    self.telemetry.closed(outcome)
                });
        }
    }

    fn report(&mut self, now: MonoMs) {
        let Some(session) = &self.session else { return };
        if now < self.congested_until {
            return;
        }
        loop {
            if !session.link.has_room() {
                self.congested_until = now.after(CONGESTED);
                return;
            }
            let Some(outgoing) = self.fleet.poll(now, self.report_interval) else {
                return;
            };
            self.telemetry.reported(outgoing.report.event.as_ref());
            self.telemetry.repeated.increment(u64::from(outgoing.again));
            session.link.send(request(Request::Report(outgoing.report)));
        }
    }

    fn show(&self) {
        let connected = self.session.as_ref().is_some_and(Session::is_up);
        let active = self.fleet.active_endpoints();
        self.telemetry.connected.set(f64::from(u8::from(connected)));
        self.telemetry.held(active, self.fleet.len());
        let mut shown = self.shown.lock();
        shown.connected = connected;
        shown.active_endpoints = active;
        shown.draining = self.drain.is_some() || self.notice.reason().is_some();
        shown.drain_reason = match (&self.drain, self.notice.reason()) {
            (Some(_), _) => Some("told to end".to_owned()),
            (None, reason) => reason.map(str::to_owned),
        };
        let latest = self.resources();
        self.telemetry.resources(&latest);
        if let Some(load) = self.fleet.executors().load() {
            self.telemetry.generator(&load);
        }
        shown.resources = latest.into();
    }
}

impl Agent {
    /// What the worker has used of what it has. A generator of media has one core, and what it uses of that counts as CPU: it must not
    /// get more calls because other cores idle.
    fn resources(&self) -> HealthReport {
        let mut report = self.health.latest();
        if let Some(load) = self.fleet.executors().load() {
            report.cpu_percent = report.cpu_percent.max(load.percent);
        }
        report
    }
}

fn request(message: Request) -> SessionRequest {
    SessionRequest {
        message: Some(message),
    }
}
