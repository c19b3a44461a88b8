//! Watches every command that any node applies, and knows what workers and clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_state::change::Change;
use reeve_state::command::{Applied, Command, EntryMeta, Envelope, Refusal};
use reeve_state::id::{NodeId, RunId, SessionEpoch, TestId, TokenHash, WorkerId};
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::{Link, WorkerStatus};
use reeve_state::{Meta, State, Step, invariant};

use crate::coverage::Coverage;
use crate::setting::{DOWN, EXCHANGE, HEARTBEAT, SHED};
use crate::trace::{Trace, Violation};

/// Shared by everything on the simulation's thread.
pub(crate) type Eye = Arc<Mutex<Oracle>>;

/// Where in the log: index of the entry, and number of the command in it.
type Position = (u64, u32);

/// What a command did where it was applied first.
struct Fact {
    term: u64,
    stamp: reeve_state::time::Time,
    envelope: Envelope,
    applied: Applied,
    changes: Vec<Change>,
    before: Meta,
    after: State,
}

/// A worker as it knows itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    /// When the newest heartbeat that was acknowledged was sent.
    pub(crate) acked_ms: Option<u64>,
}

/// What is known of a simulation.
pub(crate) struct Oracle {
    pub(crate) now_ms: u64,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) violation: Option<Violation>,
    facts: BTreeMap<Position, Fact>,
    /// The last position of each node.
    at: BTreeMap<NodeId, Position>,
    pub(crate) workers: BTreeMap<WorkerId, Truth>,
    /// When a node was paused last.
    pub(crate) paused_ms: Option<u64>,
    given_up: BTreeSet<(WorkerId, SessionEpoch)>,
    tokens: BTreeMap<WorkerId, u64>,
    /// Which token a hash is of.
    pub(crate) hashes: BTreeMap<TokenHash, u64>,
    /// The newest leader of each term.
    leaders: BTreeMap<u64, NodeId>,
    led: BTreeSet<(u64, NodeId)>,
    pub(crate) acked_tests: BTreeSet<TestId>,
    pub(crate) acked_runs: BTreeSet<RunId>,
    pub(crate) deleted_tests: BTreeSet<TestId>,
}

impl Oracle {
    pub(crate) fn new(keep_all: bool) -> Self {
        Self {
            now_ms: 0,
            trace: Trace::new(keep_all),
            coverage: Coverage::default(),
            violation: None,
            facts: BTreeMap::new(),
            at: BTreeMap::new(),
            workers: BTreeMap::new(),
            paused_ms: None,
            given_up: BTreeSet::new(),
            tokens: BTreeMap::new(),
            hashes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            led: BTreeSet::new(),
            acked_tests: BTreeSet::new(),
            acked_runs: BTreeSet::new(),
            deleted_tests: BTreeSet::new(),
        }
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.trace.line(self.now_ms, text);
    }

    /// The first one counts.
    pub(crate) fn broken(&mut self, law: &str, detail: String) {
        if self.violation.is_none() {
            self.note(&format!("VIOLATION {law}: {detail}"));
            self.violation = Some(Violation {
                law: law.to_owned(),
                detail,
                at_ms: self.now_ms,
                step: self.trace.lines(),
            });
        }
    }

    /// A node starts with the state that it found on its disk.
    pub(crate) fn opens(&mut self, node: NodeId) {
        self.at.remove(&node);
    }

    /// A heartbeat was acknowledged.
    pub(crate) fn heard(&mut self, worker: WorkerId, sent_ms: u64) {
        self.coverage.heartbeats += 1;
        let truth = self.workers.entry(worker).or_default();
        truth.acked_ms = truth.acked_ms.max(Some(sent_ms));
    }

    /// How often a worker's token was regenerated.
    pub(crate) fn token_of(&self, worker: WorkerId) -> u64 {
        self.tokens.get(&worker).copied().unwrap_or(0)
    }

    /// A node leads in a term. openraft orders votes by term and node, so that a node may take a term over from one with a lower id,
    /// whose entries are then no longer taken: never the other way round.
    pub(crate) fn leads(&mut self, node: NodeId, term: u64) {
        match self.leaders.get(&term).copied() {
            Some(other) if other == node => return,
            Some(other) if other < node => {
                self.coverage.takeovers += 1;
                self.note(&format!("n{node} takes term {term} over from n{other}"));
            }
            Some(other) if self.led.contains(&(term, node)) => {
                // It does not know yet.
                let _ = other;
                return;
            }
            Some(other) => {
                let detail = format!("n{other} leads in term {term}, and then n{node}");
                self.broken(
                    "leaders of a term follow each other in the order of their ids",
                    detail,
                );
            }
            None => self.note(&format!("n{node} leads in term {term}")),
        }
        self.coverage.leaders += 1;
        self.led.insert((term, node));
        self.leaders.insert(term, node);
    }

    /// A node applied a command.
    pub(crate) fn applied(
        &mut self,
        node: NodeId,
        states: (&State, &State),
        meta: &EntryMeta,
        envelope: &Envelope,
        step: &Step,
    ) {
        let position = match self.at.get(&node) {
            Some((index, number)) if *index == meta.index => (meta.index, number + 1),
            Some((index, _)) if meta.index < *index => {
                let detail = format!("n{node} applies entry {} after {index}", meta.index);
                return self.broken("entries are applied in order", detail);
            }
            Some(_) | None => (meta.index, 0),
        };
        if let Some((index, _)) = self.at.insert(node, position)
            && index < meta.index
            && self.facts.range((index + 1, 0)..(meta.index, 0)).next().is_some()
        {
            self.coverage.installed += 1;
            self.note(&format!(
                "n{node} got a snapshot, and goes on at entry {}",
                meta.index
            ));
        }
        self.coverage.applied += 1;
        match self.facts.get(&position) {
            Some(fact) => {
                let differs = fact.differs(states.0, meta, envelope, step);
                self.note(&format!("n{node} applies {}.{}", position.0, position.1));
                if let Some(what) = differs {
                    let law = "equal entries at equal index, and equal states after them";
                    self.broken(law, format!("n{node} at {position:?}: {what}"));
                }
            }
            None => self.first(node, position, states, meta, envelope, step),
        }
    }

    fn first(
        &mut self,
        node: NodeId,
        position: Position,
        (before, after): (&State, &State),
        meta: &EntryMeta,
        envelope: &Envelope,
        step: &Step,
    ) {
        let outcome = match &step.applied.result {
            Ok(_) => "ok".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        };
        let name = envelope.command.name();
        self.note(&format!(
            "n{node} applies {}.{} first, term {}: {name} {outcome}, revision {}",
            position.0, position.1, meta.term, step.applied.revision
        ));
        self.coverage.entries += 1;
        if matches!(&step.applied.result, Err(Refusal::StaleTerm { .. })) {
            self.coverage.stale_plans += 1;
        }
        let broken = invariant::check(after)
            .into_iter()
            .chain(invariant::check_step(before, after));
        for violation in broken {
            let detail = format!("n{node} at {position:?}, {name}: {}", violation.detail);
            self.broken(violation.law, detail);
        }
        self.look_at_log(node, position, before, (meta, envelope), step);
        self.look_at_changes(envelope, step);
        if step.applied.result.is_ok() {
            self.look_at_command(&envelope.command);
        }
        self.facts.insert(
            position,
            Fact {
                term: meta.term,
                stamp: meta.stamp,
                envelope: envelope.clone(),
                applied: step.applied.clone(),
                changes: step.changes.clone(),
                before: *before.meta(),
                after: after.clone(),
            },
        );
    }

    fn look_at_log(
        &mut self,
        node: NodeId,
        position: Position,
        before: &State,
        (meta, envelope): (&EntryMeta, &Envelope),
        step: &Step,
    ) {
        let stale = envelope.fence_term.is_some_and(|term| term != meta.term);
        if stale && step.applied.result.is_ok() {
            let detail = format!(
                "n{node} at {position:?}: planned in term {:?}, applied in {}",
                envelope.fence_term, meta.term
            );
            self.broken("no plan of another term is applied", detail);
        }
        let Some((last, fact)) = self.facts.range(..position).next_back() else {
            return;
        };
        let (last, term, after) = (*last, fact.term, *fact.after.meta());
        if term > meta.term {
            let detail = format!("term {} at {position:?} after {term} at {last:?}", meta.term);
            self.broken("terms never go back in the log", detail);
        }
        if after != *before.meta() {
            let detail = format!("n{node} at {position:?}: {:?} after {after:?}", before.meta());
            self.broken("a state is what its log leads to", detail);
        }
    }

    fn look_at_command(&mut self, command: &Command) {
        if let Command::SetDrain(set) = command {
            self.coverage.drains += u64::from(set.drain.is_some());
        }
        if let Command::RegenerateToken(_) = command {
            self.coverage.tokens += 1;
        }
        if let Command::DeleteTest(delete) = command {
            self.deleted_tests.insert(delete.test);
        }
    }

    fn look_at_changes(&mut self, envelope: &Envelope, step: &Step) {
        for change in &step.changes {
            match change {
                Change::Run(delta) => {
                    let status = |row: &Option<Arc<reeve_state::record::Run>>| {
                        row.as_ref().map(|run| run.life.status())
                    };
                    let (was, is) = (status(&delta.before), status(&delta.after));
                    if was == is {
                        continue;
                    }
                    match is {
                        Some(RunStatus::Pending) => self.coverage.runs += 1,
                        Some(RunStatus::Completed) => self.coverage.completed += 1,
                        Some(RunStatus::Failed) => self.coverage.failed += 1,
                        Some(RunStatus::CannotRunForNow) => self.coverage.rejected += 1,
                        Some(RunStatus::Queued | RunStatus::Running) | None => {}
                    }
                }
                Change::Worker(delta) => {
                    let status =
                        |row: &Option<Arc<reeve_state::record::Worker>>| row.as_ref().map(|row| row.status());
                    if let Some(after) = &delta.after {
                        let hash = after.token_hash.as_ref();
                        if let Some(generation) = hash.and_then(|hash| self.hashes.get(hash)) {
                            self.tokens.insert(after.id, *generation);
                        }
                        let went = status(&delta.before) != Some(WorkerStatus::Offline)
                            && after.status() == WorkerStatus::Offline
                            && delta.before.is_some();
                        let link = |row: &reeve_state::record::Worker| row.facts.link.link;
                        if link(after) == Link::Suspect
                            && delta.before.as_deref().map(link) != Some(Link::Suspect)
                        {
                            self.coverage.suspects += 1;
                        }
                        if went {
                            self.went_offline(after, envelope);
                        }
                    }
                }
                Change::Test(_)
                | Change::Assignment(_)
                | Change::Chunk(_)
                | Change::Request(_)
                | Change::Event(_)
                | Change::Key(_)
                | Change::Webhook(_)
                | Change::Delivery(_)
                | Change::Probe(_)
                | Change::ProbeSlot(_)
                | Change::Manifest(_)
                | Change::Summary(_)
                | Change::Project(_) => {}
            }
        }
    }

    fn went_offline(&mut self, worker: &reeve_state::record::Worker, envelope: &Envelope) {
        self.coverage.offline += 1;
        let name = worker.name.clone();
        self.note(&format!("{name} is OFFLINE, {}", envelope.command.name()));
        if !self.given_up.insert((worker.id, worker.last_epoch)) {
            let detail = format!("{name}, session {}", worker.last_epoch.0);
            self.broken("OFFLINE once per outage", detail);
        }
        // A Goodbye, a new token, a tombstone: not for silence.
        if !matches!(&envelope.command, Command::SetLink(_)) {
            return;
        }
        let acked = self.workers.get(&worker.id).and_then(|truth| truth.acked_ms);
        let silent_ms = acked.map(|at| self.now_ms.saturating_sub(at));
        // By the clock of a node that was paused a worker is silent for longer than it is: but one that lives is heard again soon.
        let paused = self
            .paused_ms
            .is_some_and(|at| self.now_ms - at < DOWN.as_millis() as u64);
        let least_ms = if paused {
            HEARTBEAT.as_millis() as u64
        } else {
            LEAST_SILENCE_MS
        };
        if silent_ms.is_some_and(|silent| silent < least_ms) {
            let detail = format!(
                "{name}: a heartbeat of {} ms ago was acknowledged",
                silent_ms.unwrap_or(0)
            );
            self.broken("no healthy worker is OFFLINE", detail);
        }
    }

    /// The newest position that anybody applied, and the state after it.
    pub(crate) fn newest(&self) -> Option<(Position, &State)> {
        self.facts.iter().next_back().map(|(at, fact)| (*at, &fact.after))
    }

    /// The state after an entry.
    pub(crate) fn after_entry(&self, index: u64) -> Option<&State> {
        let last = self.facts.range(..=(index, u32::MAX)).next_back();
        last.map(|(_, fact)| &fact.after)
    }
}

/// A node answers heartbeats until it knows that no quorum hears it; so long the leader may not know of them.
const LEAST_SILENCE_MS: u64 = (DOWN.as_millis() - SHED.as_millis() - 2 * EXCHANGE.as_millis() - 500) as u64;

impl Fact {
    fn differs(&self, before: &State, meta: &EntryMeta, envelope: &Envelope, step: &Step) -> Option<String> {
        if (self.term, self.stamp) != (meta.term, meta.stamp) {
            return Some(format!(
                "term {} and stamp {:?}, elsewhere {} and {:?}",
                meta.term, meta.stamp, self.term, self.stamp
            ));
        }
        if self.envelope != *envelope {
            return Some(format!("{envelope:?}, elsewhere {:?}", self.envelope));
        }
        if self.before != *before.meta() {
            return Some(format!(
                "begins at {:?}, elsewhere {:?}",
                before.meta(),
                self.before
            ));
        }
        if self.applied != step.applied {
            return Some(format!("{:?}, elsewhere {:?}", step.applied, self.applied));
        }
        (self.changes != step.changes).then(|| format!("{:?}, elsewhere {:?}", step.changes, self.changes))
    }
}
