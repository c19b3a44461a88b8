//! The laws that hold in every state, by name, and those that hold between a state and the next.
//!
//! Checked after every step in tests and in chaos runs. A violation names the law that was broken.

mod probe;
mod projects;
mod sip;
mod webhook;

use std::collections::BTreeMap;

use crate::command::MAX_LATE_ENDPOINTS;
use crate::record::{Assignment, EndpointCounts, KEPT_EVENTS, Run};
use crate::state::State;
use crate::transition::endpoint::{EndpointPhase, EndpointState};
use crate::transition::run::RunStatus;
use crate::transition::worker::WorkerStatus;

use probe::{cursor_forward, health_of_last_slot, one_run_a_slot, slots_in_order};

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law.
    pub law: &'static str,
    /// Where, and how.
    pub detail: String,
}

type Law = fn(&State, &mut Vec<String>);
type StepLaw = fn(&State, &State, &mut Vec<String>);

/// Laws of every state.
pub const LAWS: [(&str, Law); 22] = [
    (
        "endpoints are conserved: the sum over phases is the size",
        endpoints_conserved,
    ),
    (
        "a run that began covers each endpoint exactly once",
        endpoints_covered,
    ),
    (
        "one epoch at a time: no endpoint is in two current assignments",
        one_epoch_at_a_time,
    ),
    ("a terminal run has no open endpoints", terminal_is_settled),
    ("indexes agree with the tables", indexes_agree),
    (
        "a worker has a session exactly while its link is up or suspect",
        session_while_linked,
    ),
    (
        "a worker's newest events are kept, without gaps",
        events_without_gaps,
    ),
    (
        "a worker's history tells every change of its status",
        history_tells_statuses,
    ),
    ("a deleted worker holds nothing", deleted_hold_nothing),
    (
        "a slot of a probe has at most one run, and a run at most one slot",
        one_run_a_slot,
    ),
    (
        "a probe's newest slots are kept, none later than its cursor",
        slots_in_order,
    ),
    (
        "a probe's health is what its last measured slot said",
        health_of_last_slot,
    ),
    (
        "evidence belongs to an assignment that started",
        evidence_has_an_assignment,
    ),
    (
        "only a run that executed and ended has a summary",
        summaries_after_the_end,
    ),
    (
        "a run that began has as many endpoints in phases as it has endpoints",
        runs_conserved,
    ),
    (
        "late reports are kept of lost epochs only, and in bounds",
        late_reports_bounded,
    ),
    (
        "a project's usage is the sum over its runs",
        projects::usage_is_the_sum,
    ),
    (
        "credits are reserved while a run is queued or running, and settled at its end",
        projects::credits_settled,
    ),
    (
        "the outbox of a webhook keeps its caps, and its numbers count up",
        webhook::outbox_is_bounded,
    ),
    (
        "what may be sent is what no earlier event of its order holds up",
        webhook::order_is_kept,
    ),
    (
        "an account is used by at most one active run, and by none that ended",
        sip::one_run_an_account,
    ),
    (
        "a run that is queued or running has an account for each SIP endpoint, and its registrars and media exist",
        sip::runs_have_what_they_need,
    ),
];

/// Laws between a state and the next.
pub const STEP_LAWS: [(&str, StepLaw); 12] = [
    ("revision and cluster time never go back", time_goes_forward),
    ("terminal is final, and timelines only grow", timelines_only_grow),
    ("no allocation above capacity", no_overcommit),
    ("no new work on a worker that is not ONLINE", new_work_only_online),
    (
        "closed endpoints never change, phases only move forward",
        endpoints_forward,
    ),
    ("a probe's cursor never goes back", cursor_forward),
    ("evidence and summaries never change", evidence_is_final),
    (
        "no run is queued above its project's plan",
        projects::queued_within_plan,
    ),
    (
        "credits are neither made nor lost by runs",
        projects::credits_conserved,
    ),
    (
        "an event that arrived is never sent again, and events say for ever what they said",
        webhook::deliveries_go_forward,
    ),
    (
        "every status that a run enters is told to every webhook that wants it, or counted",
        webhook::transitions_are_told,
    ),
    (
        "every change of a probe's health is counted, and told to every webhook that wants it",
        webhook::health_changes_are_told,
    ),
];

/// Every law that a state breaks.
pub fn check(state: &State) -> Vec<Violation> {
    let broken = LAWS.iter().flat_map(|(law, holds)| {
        let mut details = Vec::new();
        holds(state, &mut details);
        details.into_iter().map(|detail| Violation { law, detail })
    });
    broken.collect()
}

/// Every law that a step breaks.
pub fn check_step(before: &State, after: &State) -> Vec<Violation> {
    let broken = STEP_LAWS.iter().flat_map(|(law, holds)| {
        let mut details = Vec::new();
        holds(before, after, &mut details);
        details.into_iter().map(|detail| Violation { law, detail })
    });
    broken.collect()
}

fn endpoints_conserved(state: &State, broken: &mut Vec<String>) {
    for assignment in state.assignments.values() {
        let mut counts = EndpointCounts::default();
        if assignment.started {
            counts = EndpointCounts::begin(assignment.count);
            for offset in 0..assignment.count {
                if let Some(endpoint) = state.endpoint(assignment, offset) {
                    counts.moved(EndpointState::BEGIN, endpoint);
                }
            }
        }
        if counts != assignment.counts {
            broken.push(format!(
                "{:?}: counted {counts:?}, recorded {:?}",
                assignment.key, assignment.counts
            ));
        }
    }
}

fn endpoints_covered(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values().filter(|run| run.start_at.is_some()) {
        let started = ranges(state, run, |assignment| assignment.started);
        for (group, definition) in (0u32..).zip(&run.definition.groups) {
            let mut next = 0;
            for (first, count) in started.get(&group).into_iter().flatten() {
                if *first != next {
                    broken.push(format!(
                        "{:?} group {group}: expected {next}, found {first}",
                        run.id
                    ));
                }
                next = first + count;
            }
            if next != definition.endpoints {
                broken.push(format!(
                    "{:?} group {group}: {next} of {}",
                    run.id, definition.endpoints
                ));
            }
        }
    }
}

fn one_epoch_at_a_time(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values() {
        for (group, ranges) in ranges(state, run, |assignment| assignment.life.status().is_current()) {
            for pair in ranges.windows(2) {
                if pair[0].0 + pair[0].1 > pair[1].0 {
                    broken.push(format!("{:?} group {group}: {pair:?}", run.id));
                }
            }
        }
    }
}

/// The ranges of a run's assignments by group, sorted.
fn ranges(state: &State, run: &Run, wanted: fn(&Assignment) -> bool) -> BTreeMap<u32, Vec<(u32, u32)>> {
    let mut by_group: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for assignment in state.assignments(run.id).filter(|assignment| wanted(assignment)) {
        by_group
            .entry(assignment.group)
            .or_default()
            .push((assignment.first, assignment.count));
    }
    by_group.values_mut().for_each(|ranges| ranges.sort_unstable());
    by_group
}

fn terminal_is_settled(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values() {
        let status = run.life.status();
        for assignment in state.assignments(run.id) {
            let settled = match status {
                RunStatus::Pending | RunStatus::Queued | RunStatus::Running => true,
                RunStatus::Completed => !assignment.started || assignment.all_closed(),
                RunStatus::Failed => {
                    !assignment.life.status().is_current() && (!assignment.started || assignment.all_closed())
                }
                RunStatus::CannotRunForNow => !assignment.life.status().is_current() && !assignment.started,
            };
            if !settled {
                broken.push(format!(
                    "{:?} is {status}, assignment {} is not settled",
                    run.id, assignment.key.ordinal
                ));
            }
        }
    }
}

fn indexes_agree(state: &State, broken: &mut Vec<String>) {
    let rebuilt = State::from_rows(state.meta, state.rows());
    if rebuilt.index != state.index {
        broken.push(format!("rebuilt {:?}, kept {:?}", rebuilt.index, state.index));
    }
}

fn session_while_linked(state: &State, broken: &mut Vec<String>) {
    use crate::transition::worker::Link;
    for worker in state.workers.values() {
        let linked = match worker.facts.link.link {
            Link::Up | Link::Suspect => true,
            Link::Never | Link::Down => false,
        };
        if linked != worker.session.is_some() {
            broken.push(format!(
                "{:?}: link {:?}, session {:?}",
                worker.id, worker.facts.link.link, worker.session
            ));
        }
    }
}

fn events_without_gaps(state: &State, broken: &mut Vec<String>) {
    let mut kept = 0;
    for worker in state.workers.values() {
        let seqs: Vec<u64> = state
            .worker_events(worker.id)
            .map(|event| event.key.seq)
            .collect();
        let first = worker.events.saturating_sub(KEPT_EVENTS) + 1;
        if !(first..=worker.events).eq(seqs.iter().copied()) {
            broken.push(format!(
                "{:?}: {} events, kept {seqs:?}",
                worker.id, worker.events
            ));
        }
        kept += seqs.len();
    }
    if kept != state.events.len() {
        broken.push(format!("{} events of unknown workers", state.events.len() - kept));
    }
}

/// Each event begins with the status that the one before ended with, and the last ends with the status that is.
fn history_tells_statuses(state: &State, broken: &mut Vec<String>) {
    for worker in state.workers.values() {
        let mut before = None;
        for event in state.worker_events(worker.id) {
            if event.key.seq > 1 && before.is_some() && event.status_before != before {
                broken.push(format!("{:?} after {before:?}: {event:?}", worker.id));
            }
            before = Some(event.status);
        }
        if before.is_some_and(|last| last != worker.status()) {
            broken.push(format!("{:?} is {}, told {before:?}", worker.id, worker.status()));
        }
    }
}

fn deleted_hold_nothing(state: &State, broken: &mut Vec<String>) {
    for worker in state.workers.values() {
        let held = state.worker_assignments(worker.id).count();
        if worker.facts.deleted_at.is_some() && (held > 0 || worker.session.is_some()) {
            broken.push(format!(
                "{:?} holds {held} assignments, session {:?}",
                worker.id, worker.session
            ));
        }
    }
}

fn evidence_has_an_assignment(state: &State, broken: &mut Vec<String>) {
    for row in state.manifests.values() {
        let assignment = state.assignments.get(&row.key.assignment);
        if !assignment.is_some_and(|assignment| assignment.started) {
            broken.push(format!("{:?}: assignment {assignment:?}", row.key));
        }
    }
    for key in state.assignments.keys() {
        if !state.runs.contains_key(&key.run) {
            broken.push(format!("{key:?} of a run that does not exist"));
        }
    }
    for key in state.chunks.keys() {
        if !state.assignments.contains_key(&key.assignment) {
            broken.push(format!("{key:?} of an assignment that does not exist"));
        }
    }
}

fn summaries_after_the_end(state: &State, broken: &mut Vec<String>) {
    for row in state.summaries.values() {
        let status = state.runs.get(&row.run).map(|run| run.life.status());
        if !matches!(status, Some(RunStatus::Completed | RunStatus::Failed)) {
            broken.push(format!("{:?} is {status:?}", row.run));
        }
    }
}

fn time_goes_forward(before: &State, after: &State, broken: &mut Vec<String>) {
    if after.meta.revision < before.meta.revision || after.meta.cluster_time < before.meta.cluster_time {
        broken.push(format!("{:?} after {:?}", after.meta, before.meta));
    }
}

fn timelines_only_grow(before: &State, after: &State, broken: &mut Vec<String>) {
    for was in before.runs.values() {
        let Some(is) = after.runs.get(&was.id) else {
            if !was.life.status().is_terminal() {
                broken.push(format!("{:?} is gone", was.id));
            }
            continue;
        };
        let grown = is.life.timeline().starts_with(was.life.timeline());
        if !grown || (was.life.status().is_terminal() && is.life != was.life) {
            broken.push(format!("{:?}: {:?} became {:?}", was.id, was.life, is.life));
        }
    }
}

fn evidence_is_final(before: &State, after: &State, broken: &mut Vec<String>) {
    for (key, was) in &before.manifests {
        let is = after.manifests.get(key);
        if is != Some(was) && after.runs.contains_key(&key.assignment.run) {
            broken.push(format!("{key:?}: {was:?} became {is:?}"));
        }
    }
    for (run, was) in &before.summaries {
        let is = after.summaries.get(run);
        if is != Some(was) && after.runs.contains_key(run) {
            broken.push(format!("{run:?}: {was:?} became {is:?}"));
        }
    }
}

fn no_overcommit(before: &State, after: &State, broken: &mut Vec<String>) {
    for (id, worker) in &after.workers {
        let (was, is) = (before.reserved(*id), after.reserved(*id));
        if is > was && is > worker.capacity() {
            broken.push(format!("{id:?}: {is} reserved of {}", worker.capacity()));
        }
        let (was, is) = (before.sip_reserved(*id), after.sip_reserved(*id));
        if is > was && is > worker.sip_capacity() {
            let most = worker.sip_capacity();
            broken.push(format!("{id:?}: {is} reserved for SIP of {most}"));
        }
    }
}

fn new_work_only_online(before: &State, after: &State, broken: &mut Vec<String>) {
    for (key, assignment) in &after.assignments {
        if before.assignments.contains_key(key) {
            continue;
        }
        let status = before.worker(assignment.worker).map(|worker| worker.status());
        if status != Some(WorkerStatus::Online) {
            broken.push(format!("{key:?} on {:?}, which is {status:?}", assignment.worker));
        }
    }
}

fn endpoints_forward(before: &State, after: &State, broken: &mut Vec<String>) {
    for was in before.assignments.values() {
        let Some(is) = after.assignments.get(&was.key) else {
            if after.runs.contains_key(&was.key.run) {
                broken.push(format!("{:?} is gone", was.key));
            }
            continue;
        };
        if was == is {
            continue;
        }
        for offset in 0..was.count {
            let (Some(old), Some(new)) = (before.endpoint(was, offset), after.endpoint(is, offset)) else {
                continue;
            };
            if old.observe(new.phase(), new.outcome()) != new {
                broken.push(format!("{:?} endpoint {offset}: {old:?} became {new:?}", was.key));
            }
        }
    }
}

/// At every index, the size of a run is the sum over phases; before the start there are no endpoints.
fn runs_conserved(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values() {
        let expected = match run.start_at {
            Some(_) => run.definition.endpoints(),
            None => 0,
        };
        let counts = state.run_counts(run.id);
        let closed = counts.phase(EndpointPhase::Closed);
        let outcomes: u32 = counts.outcomes.iter().sum();
        if counts.total() != expected || outcomes < closed {
            broken.push(format!(
                "{:?}: {} of {expected} endpoints are in phases, {closed} closed, {outcomes} outcomes",
                run.id,
                counts.total()
            ));
        }
        for assignment in state.assignments(run.id) {
            let settled = assignment.counts.phase(EndpointPhase::Closed);
            if assignment.lost != (assignment.interrupted > 0) || assignment.interrupted > settled {
                broken.push(format!(
                    "{:?}: lost {}, {} interrupted of {settled} closed",
                    assignment.key, assignment.lost, assignment.interrupted
                ));
            }
        }
    }
}

fn late_reports_bounded(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values() {
        let mut kept = 0;
        for assignment in state.assignments(run.id) {
            kept += assignment.late.len();
            let sorted = assignment
                .late
                .windows(2)
                .all(|pair| pair[0].offset < pair[1].offset);
            let inside = assignment.late.iter().all(|late| late.offset < assignment.count);
            if !sorted || !inside || (!assignment.late.is_empty() && !assignment.lost) {
                broken.push(format!("{:?}: {:?}", assignment.key, assignment.late));
            }
        }
        if kept > MAX_LATE_ENDPOINTS {
            broken.push(format!("{:?}: {kept} late reports", run.id));
        }
    }
}
