//! Passes of the planner of probes.

use reeve_plan::probes::{self, ProbeConfig};
use reeve_state::time::Time;
use tokio::time::Instant;

use super::dirty::Dirty;
use super::outcome::LostLead;
use super::propose::propose;
use crate::context::Context;

const PLANNER: &str = "probes";

/// When probes are to be looked at.
pub(super) struct ProbePlanner {
    context: Context,
    term: u64,
    config: ProbeConfig,
    next_wake: Option<Time>,
}

impl ProbePlanner {
    pub(super) fn new(context: &Context, term: u64) -> Self {
        Self {
            term,
            config: ProbeConfig::default(),
            next_wake: None,
            context: context.clone(),
        }
    }

    pub(super) fn reset(&mut self) {
        self.next_wake = None;
    }

    /// When a slot is due, or the summary of a run is waited for no longer.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.next_wake
    }

    /// Looks at what is due. It costs what is due, and is bounded: it needs no thread of its own.
    pub(super) async fn pass(&mut self, dirty: &mut Dirty) -> Result<(), LostLead> {
        let now = self.context.store.cluster_now();
        if !dirty.probes && self.next_wake.is_none_or(|at| now < at) {
            return Ok(());
        }
        dirty.probes = false;
        let begun = Instant::now();
        let plan = probes::plan(&self.context.store.local(), now, &self.config);
        self.next_wake = plan.next_wake;
        // What is refused or fails is planned again: what is refused because the state moved on by the change that moved it, and
        // anything else by the wake that every plan with commands has.
        for outcome in propose(&self.context.store, self.term, PLANNER, plan.commands).await? {
            metrics::counter!("reeve_reconcile_total", "planner" => PLANNER, "outcome" => outcome.name())
                .increment(1);
        }
        metrics::histogram!("reeve_reconcile_seconds", "planner" => PLANNER)
            .record(begun.elapsed().as_secs_f64());
        Ok(())
    }
}
