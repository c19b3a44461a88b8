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

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket<'a> {
    /// Whose; `None`: a run that does not exist yet, younger than all others.
    pub(super) run: Option<RunId>,
    pub(super) project: &'a str,
    pub(super) endpoints: u32,
    /// It waited so long that capacity is held back for it.
    aged: bool,
}

impl<'a> Ticket<'a> {
    /// Of a run that would be started now.
    pub(super) fn newcomer(project: &'a str, endpoints: u32) -> Self {
        Self {
            run: None,
            project,
            endpoints,
            aged: false,
        }
    }

    fn of(run: &'a Run, now: Time, config: &PlanConfig) -> Self {
        let since = run.life.entered(RunStatus::Queued).unwrap_or(run.created_at);
        Self {
            run: Some(run.id),
            project: run.project.as_str(),
            endpoints: run.definition.endpoints(),
            aged: now.since(since) >= config.hold_after,
        }
    }

    /// Oldest first.
    fn age(&self) -> (bool, Option<RunId>) {
        (self.run.is_none(), self.run)
    }
}

/// The order in which these runs are served.
pub(super) fn in_order(state: &State, ids: BTreeSet<RunId>, now: Time, config: &PlanConfig) -> Vec<RunId> {
    let runs: Vec<&Run> = ids
        .into_iter()
        .filter_map(|id| state.run(id))
        .map(AsRef::as_ref)
        .collect();
    let (waiting, busy): (Vec<&Run>, Vec<&Run>) = runs.into_iter().partition(|run| waits(run));
    let waiting = waiting.into_iter().map(|run| Ticket::of(run, now, config));
    let served = queue(state, waiting.collect())
        .into_iter()
        .filter_map(|ticket| ticket.run);
    busy.into_iter().map(|run| run.id).chain(served).collect()
}

/// The order in which all runs that wait are served, and one more, if there is one.
pub(super) fn waiting<'a>(
    state: &'a State,
    newcomer: Option<Ticket<'a>>,
    now: Time,
    config: &PlanConfig,
) -> Vec<Ticket<'a>> {
    let waiting = state.live_runs().filter(|run| waits(run));
    let tickets = waiting.map(|run| Ticket::of(run, now, config)).chain(newcomer);
    queue(state, tickets.collect())
}

/// Tickets, oldest first, in the order in which they are served.
fn queue<'a>(state: &'a State, tickets: Vec<Ticket<'a>>) -> Vec<Ticket<'a>> {
    let mut queues: BTreeMap<&str, VecDeque<Ticket<'a>>> = BTreeMap::new();
    for ticket in tickets {
        queues.entry(ticket.project).or_default().push_back(ticket);
    }
    // One project needs no turns.
    let mut served = if queues.len() > 1 {
        in_use(state)
    } else {
        BTreeMap::new()
    };
    let mut order: Vec<Ticket<'a>> = Vec::new();
    for queue in queues.values_mut() {
        if let Some(ticket) = queue.pop_front_if(|ticket| ticket.aged) {
            *served.entry(ticket.project).or_default() += u64::from(ticket.endpoints);
            order.push(ticket);
        }
    }
    order.sort_by_key(Ticket::age);
    while let Some(ticket) = next(&mut queues, &served) {
        *served.entry(ticket.project).or_default() += u64::from(ticket.endpoints);
        order.push(ticket);
    }
    order
}

/// The oldest of the project that has the fewest endpoints; among equals the oldest of all.
fn next<'a>(
    queues: &mut BTreeMap<&'a str, VecDeque<Ticket<'a>>>,
    served: &BTreeMap<&str, u64>,
) -> Option<Ticket<'a>> {
    let fronts = queues.values().filter_map(VecDeque::front);
    let poorest = fronts
        .min_by_key(|ticket| (served.get(ticket.project).copied().unwrap_or(0), ticket.age()))?
        .project;
    queues.get_mut(poorest)?.pop_front()
}

/// Endpoints of each project that have capacity.
fn in_use(state: &State) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for run in state.live_runs().filter(|run| run.assignments > 0) {
        *sums.entry(run.project.as_str()).or_default() += u64::from(run.definition.endpoints());
    }
    sums
}
