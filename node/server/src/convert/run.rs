//! A run with its assignments and endpoints on the wire.

use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::start_offset;
use reeve_state::id::Revision;
use reeve_state::record::{
    Assignment, EndpointCounts, Explanation, GroupExplanation, Run, SuggestedChange, WorkerVerdict,
};
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase, EndpointState};
use reeve_state::transition::run::{RunReason, TimelineEntry};

use super::{definition, enums, time};

/// To the wire, with what the state knows of its assignments.
pub fn run(state: &State, run: &Run) -> v1::Run {
    let assignments: Vec<_> = state.assignments(run.id).cloned().collect();
    run_with(state, run, &assignments)
}

/// The same with these assignments, which may not be those that it has now.
pub fn run_with(state: &State, run: &Run, assignments: &[Arc<Assignment>]) -> v1::Run {
    let mut sum = EndpointCounts::default();
    for assignment in assignments {
        sum.add(&assignment.counts);
    }
    v1::Run {
        id: run.id.to_string(),
        test_id: run.test.to_string(),
        test_name: run.definition.name.clone(),
        test_version: run.test_version,
        status: enums::run_status(run.life.status()).into(),
        reason: run.life.reason().map(reason),
        created_at: Some(time::timestamp(run.created_at)),
        timeline: run.life.timeline().iter().map(timeline_entry).collect(),
        endpoints: Some(counts(run.definition.endpoints(), &sum)),
        assignments: assignments
            .iter()
            .map(|row| assignment(state, run, row))
            .collect(),
        stop_requested_at: run.stop_requested_at.map(time::timestamp),
        start_at: run.start_at.map(time::timestamp),
        queue_deadline: run.queue_deadline.map(time::timestamp),
        execution_deadline: run.execution_deadline.map(time::timestamp),
        revision: assignments
            .iter()
            .map(|row| row.revision)
            .fold(run.revision, Revision::max)
            .0,
        explanation: run.explanation.as_deref().map(explanation),
        definition: Some(definition::encode(&run.definition)),
        project: run.project.to_string(),
        credits_reserved: run.credits_reserved,
        credits_used: run.credits_used,
        probe_id: run.probe.map(|probe| probe.to_string()).unwrap_or_default(),
    }
}

/// The last change of the run or of an assignment of it (D28).
pub fn revision(state: &State, run: &Run) -> Revision {
    state
        .assignments(run.id)
        .map(|row| row.revision)
        .fold(run.revision, Revision::max)
}

pub(super) fn reason(reason: &RunReason) -> v1::RunReason {
    v1::RunReason {
        code: enums::run_reason(reason.code).into(),
        message: reason.message.clone(),
    }
}

fn timeline_entry(entry: &TimelineEntry) -> v1::TimelineEntry {
    v1::TimelineEntry {
        status: enums::run_status(entry.status).into(),
        at: Some(time::timestamp(entry.at)),
        reason: entry.reason.as_ref().map(reason),
    }
}

/// Phases and outcomes are listed, every one in order, from the start on: before it there are no endpoints.
pub(super) fn counts(total: u32, counts: &EndpointCounts) -> v1::EndpointCounts {
    if counts.total() == 0 {
        return v1::EndpointCounts {
            total,
            by_phase: Vec::new(),
            by_outcome: Vec::new(),
        };
    }
    let phase = |phase| v1::PhaseCount {
        phase: enums::phase(phase).into(),
        count: counts.phase(phase),
    };
    let outcome = |outcome| v1::OutcomeCount {
        outcome: enums::outcome(outcome).into(),
        count: counts.outcome(outcome),
    };
    v1::EndpointCounts {
        total,
        by_phase: EndpointPhase::ALL.into_iter().map(phase).collect(),
        by_outcome: EndpointOutcome::ALL.into_iter().map(outcome).collect(),
    }
}

fn assignment(state: &State, run: &Run, row: &Assignment) -> v1::Assignment {
    v1::Assignment {
        worker_id: row.worker.to_string(),
        worker_name: state
            .worker(row.worker)
            .map(|worker| worker.name.clone())
            .unwrap_or_default(),
        group: group_name(run, row),
        first_endpoint: row.first,
        endpoints: row.count,
        epoch: row.epoch.0,
        status: enums::assignment_status(row.life.status()).into(),
        detail: row.detail.clone().unwrap_or_default(),
        counts: Some(counts(row.count, &row.counts)),
        completed: row.completed(),
        interrupted: row.interrupted,
        start_offset: Some(time::duration(start_offset(&run.definition, row.group as usize))),
        start_late: row.start_late.map(time::duration),
        late_endpoints: u32::try_from(row.late.len())
            .unwrap_or(u32::MAX)
            .saturating_add(row.late_left_out),
    }
}

fn group_name(run: &Run, row: &Assignment) -> String {
    let group = usize::try_from(row.group)
        .ok()
        .and_then(|index| run.definition.groups.get(index));
    group.map(|group| group.name.clone()).unwrap_or_default()
}

/// One endpoint of an assignment.
pub fn endpoint(run: &Run, row: &Assignment, offset: u32, state: EndpointState) -> v1::Endpoint {
    v1::Endpoint {
        group: group_name(run, row),
        index: row.first.saturating_add(offset),
        worker_id: row.worker.to_string(),
        epoch: row.epoch.0,
        phase: enums::phase(state.phase()).into(),
        outcome: state
            .outcome()
            .map_or(v1::EndpointOutcome::Unspecified, enums::outcome)
            .into(),
        late: row.late_report(offset).map(|late| v1::LateReport {
            phase: enums::phase(late.phase).into(),
            outcome: late
                .outcome
                .map_or(v1::EndpointOutcome::Unspecified, enums::outcome)
                .into(),
        }),
    }
}

/// To the wire.
pub fn explanation(explanation: &Explanation) -> v1::Explanation {
    v1::Explanation {
        groups: explanation.groups.iter().map(group_explanation).collect(),
        suggestion: explanation.suggestion.clone(),
        changes: explanation.changes.iter().map(change).collect(),
    }
}

fn change(change: &SuggestedChange) -> v1::SuggestedChange {
    v1::SuggestedChange {
        option: change.option,
        kind: change.kind.name().to_owned(),
        endpoints: change.endpoints,
        groups: change.groups.clone(),
        place: definition::encode_selector(&change.place),
        text: change.text.clone(),
    }
}

fn verdict(verdict: &WorkerVerdict) -> v1::WorkerVerdict {
    v1::WorkerVerdict {
        worker_id: verdict.worker.to_string(),
        worker_name: verdict.name.clone(),
        region: verdict.region.clone(),
        status: enums::worker_status(verdict.status).into(),
        filter: verdict
            .filter
            .map(|filter| filter.name().to_owned())
            .unwrap_or_default(),
        capacity: verdict.capacity,
        free: verdict.free,
        held: verdict.held,
    }
}

fn group_explanation(group: &GroupExplanation) -> v1::GroupExplanation {
    v1::GroupExplanation {
        group: group.group.clone(),
        endpoints: group.endpoints,
        workers_considered: group.workers_considered,
        removed: group
            .removed
            .iter()
            .map(|count| v1::FilterCount {
                filter: count.filter.name().to_owned(),
                workers: count.workers,
            })
            .collect(),
        capacity_total: group.capacity_total,
        capacity_free: group.capacity_free,
        workers: group.workers.iter().map(verdict).collect(),
        workers_left_out: group.workers_left_out,
    }
}
