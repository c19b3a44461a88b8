//! One pass over several runs, on one snapshot: no two plans take the same capacity.
//!
//! Projects take turns, the one that has least first (`in_order`); within a project runs are looked at oldest first. A run that waits for capacity could starve, if younger and smaller runs took what
//! becomes free each time before it is enough. So once it has waited longer than `hold_after`, what it could use is held
//! back from younger runs: all that is free where it is short, what it asks for elsewhere. Capacity lies idle for that, at
//! most until the run's own queue deadline. Nothing is held for a run that even the idle workers could not take. A
//! replacement may use what is held: its gang has capacity already, and it happens once.

use std::collections::BTreeSet;

use reeve_state::State;
use reeve_state::id::RunId;
use reeve_state::record::Run;
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;

use super::order::in_order;
use super::{Pass, RunPlan};
use crate::config::PlanConfig;

/// What is to be done about the runs of one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassPlan {
    /// A plan for each run that was looked at, in the order in which they were served.
    pub runs: Vec<(RunId, RunPlan)>,
}

impl PassPlan {
    /// When to look again if nothing changes: the earliest wish of all runs.
    pub fn next_wake(&self) -> Option<Time> {
        self.runs.iter().filter_map(|(_, plan)| plan.next_wake).min()
    }
}

/// Plans the runs in `dirty` and every run that waits for capacity.
///
/// `now` and `leader_since` are cluster time. O(live runs + what there is to plan × workers).
pub fn plan_pass(
    state: &State,
    dirty: impl IntoIterator<Item = RunId>,
    now: Time,
    leader_since: Time,
    config: &PlanConfig,
) -> PassPlan {
    let mut ids: BTreeSet<RunId> = dirty.into_iter().collect();
    ids.extend(state.live_runs().filter(|run| waits(run)).map(|run| run.id));
    let mut pass = Pass::new(state, now, leader_since, config);
    let runs = in_order(state, ids, now, config)
        .into_iter()
        .filter_map(|id| state.run(id))
        .map(|run| (run.id, pass.plan(run)))
        .collect();
    PassPlan { runs }
}

/// Plans one run. Runs that wait for capacity and are served first come first, as in [`plan_pass`], so their plans are made and dropped:
/// with many runs to plan, `plan_pass` is cheaper and gives the same.
pub fn plan(state: &State, run: &Run, now: Time, leader_since: Time, config: &PlanConfig) -> RunPlan {
    let mut pass = Pass::new(state, now, leader_since, config);
    if waits(run) {
        let waiting = state
            .live_runs()
            .filter(|other| waits(other))
            .map(|other| other.id);
        for id in in_order(state, waiting.collect(), now, config) {
            if id == run.id {
                break;
            }
            if let Some(earlier) = state.run(id) {
                pass.plan(earlier);
            }
        }
    }
    pass.plan(run)
}

/// Whether a run waits for capacity.
pub(super) fn waits(run: &Run) -> bool {
    run.life.status() == RunStatus::Queued && run.assignments == 0
}
