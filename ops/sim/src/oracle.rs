//! Watches every command that any node applies, and knows what workers and clients were told.

mod applied;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_state::State;
use reeve_state::id::{NodeId, RunId, SessionEpoch, TestId, TokenHash, WorkerId};

use applied::Fact;

use crate::coverage::Coverage;
use crate::trace::{Trace, Violation};

/// Shared by everything on the simulation's thread.
pub(crate) type Eye = Arc<Mutex<Oracle>>;

/// Where in the log: index of the entry, and number of the command in it.
type Position = (u64, u32);

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

    /// A node leads in a term. openraft orders votes by term and node, so that a term may have several leaders: the entries of all but the
    /// one with the highest id are no longer taken by a quorum, though another may hear of its own election later (ADR 18).
    pub(crate) fn leads(&mut self, node: NodeId, term: u64) {
        if !self.led.insert((term, node)) {
            return;
        }
        self.coverage.leaders += 1;
        if self
            .led
            .range((term, NodeId(0))..=(term, NodeId(u64::MAX)))
            .count()
            > 1
        {
            self.coverage.shared_terms += 1;
        }
        self.note(&format!("n{node} leads in term {term}"));
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
