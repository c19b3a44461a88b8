//! Everything that this process holds: what the cluster says about assignments goes in here, and reports come out.
//! Decides without I/O; executors are told at once.

mod ledger;
mod reporter;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1::{EndpointOutcome, EndpointPhase, HeldAssignment, Offer, ReportAck, Start, Stop};
use tracing::{info, warn};

use crate::clock::{ClusterClock, MonoMs};
use crate::executor::{AssignmentKey, Event, Executors, Work};

pub use ledger::{BYTES_PER_ENDPOINT, MOST_PER_REPORT};
pub use reporter::{Outgoing, Progressed, Reporter};

/// A start that comes so long after its instant is reported; less is what networks and schedulers do every day.
const LATE_FROM: Duration = Duration::from_millis(200);

/// How far an assignment is on this worker.
#[derive(Debug, PartialEq)]
enum Stage {
    /// The executor gets ready; a start that came meanwhile is kept (cluster time).
    Preparing { start_at_ms: Option<i64> },
    /// Waits for the common start instant.
    Ready,
    /// Endpoints run.
    Started,
    /// Endpoints were told to hang up.
    Stopping,
    /// Nothing is held; only the last reports are still to be confirmed.
    LetGo,
}

#[derive(Debug)]
struct Held {
    /// None: it never was held here.
    work: Option<Arc<Work>>,
    stage: Stage,
    reporter: Reporter,
}

/// The assignments of this process.
pub struct Fleet {
    capacity: u32,
    /// Of those; none: any.
    sip_capacity: Option<u32>,
    executors: Executors,
    held: BTreeMap<AssignmentKey, Held>,
    draining: bool,
    notes: Vec<Note>,
}

/// What whoever writes evidence down has to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Endpoints execute from the common start instant on.
    Started(Arc<Work>, MonoMs),
    /// Every endpoint is CLOSED.
    Complete(AssignmentKey),
    /// Nothing is held any more.
    LetGo(AssignmentKey),
}

impl Fleet {
    /// Holds nothing.
    #[must_use]
    pub fn new(capacity: u32, sip_capacity: Option<u32>, executors: Executors) -> Self {
        Self {
            capacity,
            sip_capacity,
            executors,
            held: BTreeMap::new(),
            draining: false,
            notes: Vec::new(),
        }
    }

    /// What does the work.
    #[must_use]
    pub fn executors(&self) -> &Executors {
        &self.executors
    }

    /// What happened since the last call, in order.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Closed waits for the evidence of the assignment, but not beyond `until`.
    pub fn hold_closed(&mut self, key: &AssignmentKey, until: MonoMs) {
        if let Some(held) = self.held.get_mut(key) {
            held.reporter.hold_closed(until);
        }
    }

    /// The evidence is stored: Closed need not wait.
    pub fn evidence_stored(&mut self, key: &AssignmentKey) {
        if let Some(held) = self.held.get_mut(key) {
            held.reporter.release_closed();
        }
    }

    /// Takes nothing new from now on (R26).
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// How many assignments there are, those included whose last report is not confirmed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held and everything is confirmed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Endpoints that began and have not closed (R61).
    #[must_use]
    pub fn active_endpoints(&self) -> u32 {
        self.held
            .values()
            .map(|held| held.reporter.active())
            .fold(0, u32::saturating_add)
    }

    /// For Hello: what this process still has to do with.
    #[must_use]
    pub fn hello(&self) -> Vec<HeldAssignment> {
        let entry = |(key, held): (&AssignmentKey, &Held)| HeldAssignment {
            run_id: key.run_id.to_string(),
            epoch: key.epoch,
            acked_seq: held.reporter.acked(),
        };
        self.held.iter().map(entry).collect()
    }

    /// From Welcome: what still counts. Everything else is over and dropped (D14).
    pub fn resume(&mut self, resumed: &[HeldAssignment]) {
        let acked: BTreeMap<AssignmentKey, u64> = resumed
            .iter()
            .map(|entry| (AssignmentKey::new(&entry.run_id, entry.epoch), entry.acked_seq))
            .collect();
        let keys: Vec<AssignmentKey> = self.held.keys().cloned().collect();
        for key in keys {
            let finished = match (self.held.get_mut(&key), acked.get(&key)) {
                (Some(held), Some(acked)) => held.reporter.resumed(*acked) == Progressed::Finished,
                (Some(_), None) => {
                    info!(assignment = %key, "over while we were away; dropped");
                    true
                }
                (None, _) => false,
            };
            if finished {
                self.forget(&key);
            }
        }
    }

    /// A new assignment. One that is known already is answered by its reports.
    pub fn offer(&mut self, offer: Offer) {
        let key = AssignmentKey::new(&offer.run_id, offer.epoch);
        if self.held.contains_key(&key) {
            return;
        }
        match self.admit(offer) {
            Ok(work) => {
                let reporter = Reporter::new(key.clone(), work.endpoints);
                info!(assignment = %key, group = %work.group, endpoints = work.endpoints, "offered");
                let stage = Stage::Preparing { start_at_ms: None };
                self.held.insert(
                    key,
                    Held {
                        work: Some(Arc::clone(&work)),
                        stage,
                        reporter,
                    },
                );
                self.executors.of(&work).prepare(&work);
            }
            Err(reason) => {
                warn!(assignment = %key, reason, "not taken");
                let mut reporter = Reporter::new(key.clone(), 0);
                reporter.not_ready(reason);
                self.held.insert(
                    key,
                    Held {
                        work: None,
                        stage: Stage::LetGo,
                        reporter,
                    },
                );
            }
        }
    }

    fn admit(&self, offer: Offer) -> Result<Arc<Work>, String> {
        if self.draining {
            return Err("draining".to_owned());
        }
        let work = Work::from_offer(offer)?;
        let fits = |kind: &str, reserved: u64, capacity: u32| {
            if reserved + u64::from(work.endpoints) > u64::from(capacity) {
                return Err(format!(
                    "{kind}: {} more endpoints do not fit, {reserved} of {capacity} are reserved",
                    work.endpoints
                ));
            }
            Ok(())
        };
        fits("capacity", self.reserved(|_| true), self.capacity)?;
        if let Some(capacity) = self.sip_capacity.filter(|_| !work.is_simulated()) {
            fits(
                "SIP capacity",
                self.reserved(|held| !held.is_simulated()),
                capacity,
            )?;
        }
        Ok(Arc::new(work))
    }

    /// Endpoints of what is held.
    fn reserved(&self, counts: impl Fn(&Work) -> bool) -> u64 {
        let works = self.held.values().filter_map(|held| held.work.as_ref());
        works
            .filter(|work| counts(work))
            .map(|work| u64::from(work.endpoints))
            .sum()
    }

    /// The common start instant is set. Repeated starts change nothing.
    pub fn start(&mut self, start: &Start, cluster: &ClusterClock, now: MonoMs) {
        let key = AssignmentKey::new(&start.run_id, start.epoch);
        let Some(held) = self.held.get_mut(&key) else {
            warn!(assignment = %key, "start of an assignment that is not held");
            return;
        };
        match &mut held.stage {
            Stage::Preparing { start_at_ms } => *start_at_ms = Some(start.start_at_ms),
            Stage::Ready => self
                .notes
                .extend(held.begin(&self.executors, start.start_at_ms, cluster, now)),
            Stage::Started | Stage::Stopping | Stage::LetGo => {}
        }
    }

    /// Hang up and report to the end, or drop everything at once.
    pub fn stop(&mut self, stop: &Stop) {
        let key = AssignmentKey::new(&stop.run_id, stop.epoch);
        info!(assignment = %key, abandon = stop.abandon, reason = %stop.reason, "told to stop");
        let Some(held) = self.held.get_mut(&key) else {
            // Offered on a session that broke before the offer came through: say that nothing is held.
            let mut reporter = Reporter::new(key.clone(), 0);
            reporter.abandon();
            self.held.insert(
                key,
                Held {
                    work: None,
                    stage: Stage::LetGo,
                    reporter,
                },
            );
            return;
        };
        if stop.abandon {
            held.let_go(&self.executors);
            self.notes.push(Note::LetGo(key));
            return;
        }
        let outcome = EndpointOutcome::try_from(stop.outcome).unwrap_or_default();
        held.hang_up(
            &self.executors,
            (outcome != EndpointOutcome::Unspecified).then_some(outcome),
        );
    }

    /// The drain deadline passed: whatever still runs ends with OSERROR (D5a). What was not started is given back
    /// untouched: its endpoints never began, so there is nothing to report about them.
    pub fn hang_up_all(&mut self) {
        for (key, held) in &mut self.held {
            match held.stage {
                Stage::Preparing { .. } | Stage::Ready => {
                    held.let_go(&self.executors);
                    self.notes.push(Note::LetGo(key.clone()));
                }
                Stage::Started | Stage::Stopping => {
                    held.hang_up(&self.executors, Some(EndpointOutcome::Oserror));
                }
                Stage::LetGo => {}
            }
        }
    }

    /// What an executor has to say. Calls `closed` for each endpoint that ended.
    pub fn event(
        &mut self,
        event: Event,
        cluster: &ClusterClock,
        now: MonoMs,
        mut closed: impl FnMut(EndpointOutcome),
    ) {
        match event {
            Event::Prepared(key, answer) => self.prepared(&key, answer, cluster, now),
            Event::Changed(key, _, changes) => {
                let Some(held) = self.held.get_mut(&key) else {
                    return;
                };
                let mut ended = false;
                for change in changes {
                    if held.reporter.record(change) && change.phase == EndpointPhase::Closed {
                        closed(change.outcome);
                        ended = true;
                    }
                }
                if ended && held.reporter.all_closed() {
                    self.notes.push(Note::Complete(key));
                }
            }
            Event::Sampled(..) | Event::Traced(..) => {}
        }
    }

    fn prepared(
        &mut self,
        key: &AssignmentKey,
        answer: Result<(), String>,
        cluster: &ClusterClock,
        now: MonoMs,
    ) {
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        match answer {
            Ok(()) => held.reporter.ready(),
            Err(reason) => {
                warn!(assignment = %key, reason, "cannot be prepared");
                held.reporter.not_ready(reason);
                held.work = None;
                held.stage = Stage::LetGo;
            }
        }
        if let Stage::Preparing { start_at_ms } = held.stage {
            held.stage = Stage::Ready;
            if let Some(start_at_ms) = start_at_ms {
                self.notes
                    .extend(held.begin(&self.executors, start_at_ms, cluster, now));
            }
        }
    }

    /// A report was answered.
    pub fn acknowledged(&mut self, ack: &ReportAck, now: MonoMs) {
        let key = AssignmentKey::new(&ack.run_id, ack.epoch);
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        let refused = !ack.refused.is_empty();
        if refused {
            warn!(assignment = %key, reason = %ack.refused, over = ack.over, "report refused");
        }
        if ack.over || held.reporter.acknowledged(ack.acked_seq, refused, now) == Progressed::Finished {
            self.forget(&key);
        }
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self, interval: Duration) -> Option<MonoMs> {
        self.held
            .values()
            .filter_map(|held| held.reporter.due(interval))
            .min()
    }

    /// A report that is due, if there is one.
    pub fn poll(&mut self, now: MonoMs, interval: Duration) -> Option<Outgoing> {
        self.held
            .values_mut()
            .find_map(|held| held.reporter.poll(now, interval))
    }

    fn forget(&mut self, key: &AssignmentKey) {
        if let Some(work) = self.held.remove(key).and_then(|held| held.work) {
            self.executors.of(&work).release(key);
            self.notes.push(Note::LetGo(key.clone()));
        }
    }
}

impl Held {
    fn begin(
        &mut self,
        executors: &Executors,
        start_at_ms: i64,
        cluster: &ClusterClock,
        now: MonoMs,
    ) -> Option<Note> {
        let work = self.work.as_ref()?;
        // A start comes over a session, so that cluster time is known.
        let start = cluster.to_monotonic(start_at_ms)?;
        let late = Duration::from_millis(u64::try_from(now.0.saturating_sub(start.0)).unwrap_or(0));
        if late >= LATE_FROM {
            warn!(assignment = %work.key, start_at_ms, ?late, "started late: the order came after the start instant");
            self.reporter.started_late(late);
        } else {
            info!(assignment = %work.key, start_at_ms, "started");
        }
        self.stage = Stage::Started;
        executors.of(work).start(&work.key, start);
        Some(Note::Started(Arc::clone(work), start))
    }

    /// Drops everything at once; only Closed is still to be reported.
    fn let_go(&mut self, executors: &Executors) {
        if let Some(work) = self.work.take() {
            executors.of(&work).release(&work.key);
        }
        self.stage = Stage::LetGo;
        self.reporter.abandon();
    }

    fn hang_up(&mut self, executors: &Executors, outcome: Option<EndpointOutcome>) {
        let Some(work) = &self.work else { return };
        match self.stage {
            // A second order changes nothing for endpoints that already hang up, but may hurry the rest.
            Stage::Preparing { .. } | Stage::Ready | Stage::Started | Stage::Stopping => {
                self.stage = Stage::Stopping;
                executors.of(work).hang_up(&work.key, outcome);
            }
            Stage::LetGo => {}
        }
    }
}

#[cfg(test)]
mod tests;
