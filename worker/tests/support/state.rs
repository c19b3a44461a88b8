//! What the fake cluster knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use reeve_proto::v1::report::Event;
use reeve_proto::v1::session_response::Message;
use reeve_proto::v1::{
    EndpointPhase, HeldAssignment, Hello, LiveReport, Offer, Progress, PutChunkRequest, Report, ReportAck,
    Start, Stop,
};
use tokio::sync::broadcast;

use super::registry::Registry;

/// One assignment as the cluster sees it.
#[derive(Default)]
pub struct Assignment {
    pub offer: Offer,
    pub start: Option<Start>,
    pub stop: Option<Stop>,
    pub last_seq: u64,
    pub ready: bool,
    pub not_ready: Option<String>,
    pub closed: bool,
    /// Phase and outcome of each endpoint.
    pub endpoints: BTreeMap<u32, (u8, u8)>,
    pub closed_endpoints: u32,
    /// Reports that came again after they had been applied.
    pub repeated: u32,
    /// Endpoints that a report moved backwards or repeated.
    pub violations: u32,
}

impl Assignment {
    fn apply(&mut self, event: Option<Event>) {
        match event.expect("a report has an event") {
            Event::Ready(_) => self.ready = true,
            Event::NotReady(not_ready) => self.not_ready = Some(not_ready.reason),
            Event::Progress(progress) => self.progress(progress),
            Event::Closed(_) => self.closed = true,
            Event::StartedLate(_) => {}
        }
    }

    fn progress(&mut self, progress: Progress) {
        assert_eq!(progress.offsets.len(), progress.phases.len());
        assert_eq!(progress.offsets.len(), progress.outcomes.len());
        let changes = progress.phases.into_iter().zip(progress.outcomes);
        for (offset, change) in progress.offsets.into_iter().zip(changes) {
            let before = self.endpoints.insert(offset, change).unwrap_or_default();
            self.violations += u32::from(change.0 <= before.0);
            self.closed_endpoints += u32::from(change.0 == EndpointPhase::Closed as u8);
        }
    }

    pub fn outcomes(&self) -> BTreeMap<u8, u32> {
        let mut counts = BTreeMap::new();
        for (_, outcome) in self.endpoints.values() {
            *counts.entry(*outcome).or_default() += 1;
        }
        counts
    }

    pub fn in_phase(&self, phase: EndpointPhase) -> usize {
        self.endpoints
            .values()
            .filter(|(found, _)| *found == phase as u8)
            .count()
    }
}

/// The shared state.
#[derive(Default)]
pub struct State {
    /// Evidence that came.
    pub chunks: Vec<PutChunkRequest>,
    /// Seconds that came.
    pub live: Vec<LiveReport>,
    /// Evidence cannot be stored.
    pub stores_nothing: bool,
    pub assignments: BTreeMap<u64, Assignment>,
    /// Node, time and content of every Hello with a good token.
    pub hellos: Vec<(String, Instant, Hello)>,
    pub rejected: Vec<Instant>,
    pub heartbeats: u64,
    /// The last number of active endpoints that a heartbeat told.
    pub active: u32,
    pub drains: u32,
    pub goodbyes: u32,
    pub goodbye_reason: String,
    /// Answers to reports get lost.
    pub drop_acks: bool,
    /// No node has a leader.
    pub no_leader: bool,
    /// The worker is a tombstone.
    pub deleted: bool,
    /// The worker's token; None: the one of always.
    pub token: Option<String>,
    /// The reason for refusing a token.
    pub rejects_with: Option<&'static str>,
    /// How far off the worker's clock is said to be.
    pub clock_skew_ms: i64,
    /// Ping workers.
    pub registry: Registry,
}

#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    pub push: broadcast::Sender<Message>,
}

pub fn cluster_time_ms() -> i64 {
    // Far from any other clock of the test, so that a mix-up would show.
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(unix.as_millis()).unwrap() + 86_400_000
}

impl Cluster {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            push: broadcast::channel(64).0,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A question about one assignment.
    pub fn of<T>(&self, epoch: u64, ask: impl FnOnce(&Assignment) -> T) -> T {
        ask(self.state().assignments.get(&epoch).expect("was offered"))
    }

    pub fn offer(&self, offer: Offer) {
        let assignment = Assignment {
            offer: offer.clone(),
            ..Assignment::default()
        };
        self.state().assignments.insert(offer.epoch, assignment);
        let _ = self.push.send(Message::Offer(offer));
    }

    pub fn start(&self, epoch: u64, start_at_ms: i64) {
        let start = Start {
            run_id: "run-1".to_owned(),
            epoch,
            start_at_ms,
            cluster_time_ms: 0,
        };
        self.state().assignments.get_mut(&epoch).unwrap().start = Some(start.clone());
        let _ = self.push.send(Message::Start(start));
    }

    pub fn stop(&self, epoch: u64, abandon: bool) {
        let stop = Stop {
            run_id: "run-1".to_owned(),
            epoch,
            abandon,
            ..Stop::default()
        };
        self.state().assignments.get_mut(&epoch).unwrap().stop = Some(stop.clone());
        let _ = self.push.send(Message::Stop(stop));
    }

    /// What a session is told after Welcome: everything that the worker may have missed.
    pub fn pending(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        for assignment in self
            .state()
            .assignments
            .values()
            .filter(|assignment| !assignment.closed)
        {
            messages.push(Message::Offer(assignment.offer.clone()));
            messages.extend(assignment.start.clone().map(Message::Start));
            messages.extend(assignment.stop.clone().map(Message::Stop));
        }
        messages
    }

    pub fn resumed(&self, hello: &Hello) -> Vec<HeldAssignment> {
        let state = self.state();
        let counts = |held: &HeldAssignment| {
            let assignment = state
                .assignments
                .get(&held.epoch)
                .filter(|assignment| !assignment.closed)?;
            Some(HeldAssignment {
                acked_seq: assignment.last_seq,
                ..held.clone()
            })
        };
        hello.held.iter().filter_map(counts).collect()
    }

    /// Applies a report and gives the answer, unless it gets lost.
    pub fn report(&self, report: Report) -> Option<Message> {
        let mut state = self.state();
        let drop_acks = state.drop_acks;
        let assignment = state.assignments.get_mut(&report.epoch).expect("was offered");
        let mut refused = String::new();
        let abandoned = assignment.stop.as_ref().is_some_and(|stop| stop.abandon);
        if abandoned && !matches!(report.event, Some(Event::Closed(_))) {
            "EPOCH_OVER".clone_into(&mut refused);
        } else if report.seq == assignment.last_seq + 1 {
            assignment.last_seq = report.seq;
            assignment.apply(report.event);
        } else {
            assignment.repeated += u32::from(report.seq <= assignment.last_seq);
        }
        let acked_seq = assignment.last_seq;
        let ack = ReportAck {
            run_id: report.run_id,
            epoch: report.epoch,
            acked_seq,
            over: false,
            refused,
        };
        (!drop_acks).then_some(Message::ReportAck(ack))
    }
}
