//! Passes of the planner of runs over what is dirty or due, on one snapshot.

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_plan::runs::{PassPlan, RunPlan, plan_pass};
use reeve_plan::{PlanConfig, Planned};
use reeve_state::id::RunId;
use reeve_state::time::{Millis, Time};
use reeve_store::outside;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::dirty::Dirty;
use super::outcome::{Failures, LostLead, Outcome};
use super::propose::propose;
use super::settings::plan_config;
use crate::context::Context;

const PLANNER: &str = "runs";
/// A run that did not change is not looked at sooner than this again.
const SOONEST: Millis = Millis(10);

/// Which runs to look at, and when.
pub(super) struct RunPlanner {
    context: Context,
    term: u64,
    leader_since: Time,
    config: PlanConfig,
    deadlines: Deadlines,
    failures: Failures,
    /// What the last plan took to make.
    planning: Duration,
}

impl RunPlanner {
    pub(super) fn new(context: &Context, term: u64, leader_since: Time) -> Self {
        Self {
            term,
            leader_since,
            config: plan_config(&context.config),
            deadlines: Deadlines::default(),
            failures: Failures::default(),
            planning: Duration::ZERO,
            context: context.clone(),
        }
    }

    /// What the last plan took to make.
    pub(super) fn planning(&self) -> Duration {
        self.planning
    }

    /// Forgets every deadline: everything is looked at anyway.
    pub(super) fn reset(&mut self) {
        self.deadlines.clear();
    }

    /// When a run is due.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Plans what is dirty or due and proposes it. What is to be planned again at once is left in `dirty`.
    pub(super) async fn pass(&mut self, dirty: &mut Dirty) -> Result<(), LostLead> {
        let now = self.context.store.cluster_now();
        dirty.runs.extend(self.deadlines.take_due(now));
        if !dirty.wants_pass() {
            return Ok(());
        }
        let begun = Instant::now();
        let runs = std::mem::take(&mut dirty.runs);
        dirty.fleet = false;
        let Some(plan) = self.plan(runs.clone(), now).await else {
            // A bug in the planner: what it was asked about is not forgotten.
            for run in runs {
                let pause = self.failures.retry(run);
                self.deadlines.set(run, Some(now + pause));
            }
            return Ok(());
        };
        self.planning = begun.elapsed();
        let outcomes = self.commit(&plan).await?;
        let now = self.context.store.cluster_now();
        for ((run, plan), outcome) in plan.runs.iter().zip(outcomes) {
            self.settle(*run, plan, outcome, now, dirty);
        }
        metrics::histogram!("reeve_reconcile_seconds", "planner" => PLANNER)
            .record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Placement can take a while: it has a thread of its own.
    async fn plan(&self, runs: BTreeSet<RunId>, now: Time) -> Option<PassPlan> {
        let (state, config, leader_since) = (self.context.store.local(), self.config, self.leader_since);
        let planned = outside::blocking(move || plan_pass(&state, runs, now, leader_since, &config)).await;
        planned
            .inspect_err(|error| tracing::error!(%error, "the planner of runs failed"))
            .ok()
    }

    /// One outcome a run.
    async fn commit(&self, plan: &PassPlan) -> Result<Vec<Outcome>, LostLead> {
        let commands: Vec<Planned> = plan
            .runs
            .iter()
            .flat_map(|(_, plan)| plan.commands.iter().cloned())
            .collect();
        let mut outcomes = propose(&self.context.store, self.term, PLANNER, commands)
            .await?
            .into_iter();
        let of_run = |plan: &RunPlan| {
            outcomes
                .by_ref()
                .take(plan.commands.len())
                .fold(Outcome::Skip, worse)
        };
        Ok(plan.runs.iter().map(|(_, plan)| plan).map(of_run).collect())
    }

    fn settle(&mut self, run: RunId, plan: &RunPlan, outcome: Outcome, now: Time, dirty: &mut Dirty) {
        metrics::counter!("reeve_reconcile_total", "planner" => PLANNER, "outcome" => outcome.name())
            .increment(1);
        let next = match outcome {
            Outcome::Success | Outcome::Skip => {
                self.failures.clear(run);
                plan.next_wake
            }
            Outcome::Requeue => match self.failures.requeue(run) {
                None => {
                    dirty.runs.insert(run);
                    plan.next_wake
                }
                Some(pause) => Some(now + pause),
            },
            Outcome::Retry => Some(now + self.failures.retry(run)),
        };
        self.deadlines.set(run, next.map(|at| at.max(now + SOONEST)));
    }
}

/// The outcome of a plan is that of its command that fared worst.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Skip => 0,
        Outcome::Success => 1,
        Outcome::Requeue => 2,
        Outcome::Retry => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_as_good_as_its_worst_command() {
        use Outcome as O;
        let of = |outcomes: &[O]| outcomes.iter().copied().fold(O::Skip, worse);
        assert_eq!(of(&[]), O::Skip);
        assert_eq!(of(&[O::Success, O::Success]), O::Success);
        assert_eq!(of(&[O::Success, O::Requeue]), O::Requeue);
        assert_eq!(of(&[O::Retry, O::Success, O::Requeue]), O::Retry);
    }
}
