//! What a node applied: checked against the laws where it is applied first, and against that everywhere else.

use std::sync::Arc;

use reeve_state::change::Change;
use reeve_state::command::{Applied, Command, EntryMeta, Envelope, Refusal};
use reeve_state::id::NodeId;
use reeve_state::record::{Run, Worker};
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::{Link, WorkerStatus};
use reeve_state::{Meta, State, Step, invariant};

use super::{Oracle, Position};
use crate::setting::{DOWN, EXCHANGE, HEARTBEAT, SHED};

/// What a command did where it was applied first.
pub(super) struct Fact {
    term: u64,
    stamp: Time,
    envelope: Envelope,
    applied: Applied,
    changes: Vec<Change>,
    before: Meta,
    pub(super) after: State,
}

impl Oracle {
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
        if matches!(command, Command::SetDrain(set) if set.drain.is_some()) {
            self.coverage.drains += 1;
        }
        if matches!(command, Command::RegenerateToken(_)) {
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
                    let status = |row: &Option<Arc<Run>>| row.as_ref().map(|run| run.life.status());
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
                    let status = |row: &Option<Arc<Worker>>| row.as_ref().map(|row| row.status());
                    if let Some(after) = &delta.after {
                        let hash = after.token_hash.as_ref();
                        if let Some(generation) = hash.and_then(|hash| self.hashes.get(hash)) {
                            self.tokens.insert(after.id, *generation);
                        }
                        let went = status(&delta.before) != Some(WorkerStatus::Offline)
                            && after.status() == WorkerStatus::Offline
                            && delta.before.is_some();
                        let link = |row: &Worker| row.facts.link.link;
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
                | Change::Project(_)
                | Change::Registrar(_)
                | Change::SipAccount(_)
                | Change::SipLease(_)
                | Change::Media(_) => {}
            }
        }
    }

    fn went_offline(&mut self, worker: &Worker, envelope: &Envelope) {
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
