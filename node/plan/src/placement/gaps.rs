//! Which endpoints of a run no assignment covers.

use std::collections::BTreeSet;

use reeve_state::State;
use reeve_state::id::WorkerId;
use reeve_state::record::{Assignment, Run};

/// Endpoints `first .. first + count` of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) group: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Range {
    fn end(self) -> u32 {
        self.first.saturating_add(self.count)
    }

    /// Whether the two have an endpoint in common.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.group == other.group && self.first < other.end() && other.first < self.end()
    }

    pub(crate) fn of(assignment: &Assignment) -> Self {
        Self {
            group: assignment.group,
            first: assignment.first,
            count: assignment.count,
        }
    }
}

/// Endpoints of the run that its current assignments do not cover, those in `withdraw` left aside; by group, then first.
pub(crate) fn uncovered(state: &State, run: &Run, withdraw: &[u32]) -> Vec<Range> {
    let kept = |assignment: &&Assignment| {
        assignment.life.status().is_current() && !withdraw.contains(&assignment.key.ordinal)
    };
    let assignments = state.assignments(run.id).map(AsRef::as_ref).filter(kept);
    let mut covered: Vec<Range> = assignments.map(Range::of).collect();
    covered.sort_unstable_by_key(|range| (range.group, range.first));
    let mut covered = covered.into_iter().peekable();
    let mut gaps = Vec::new();
    for (group, index) in run.definition.groups.iter().zip(0..) {
        let mut next = 0;
        while let Some(range) = covered.next_if(|range| range.group == index) {
            push(&mut gaps, index, next, range.first);
            next = range.end();
        }
        push(&mut gaps, index, next, group.endpoints);
    }
    gaps
}

fn push(gaps: &mut Vec<Range>, group: u32, from: u32, to: u32) {
    if from < to {
        gaps.push(Range {
            group,
            first: from,
            count: to - from,
        });
    }
}

/// The workers of some of a run's assignments.
pub(crate) fn workers_of(state: &State, run: &Run, ordinals: &[u32]) -> BTreeSet<WorkerId> {
    let named = |assignment: &&std::sync::Arc<Assignment>| ordinals.contains(&assignment.key.ordinal);
    state
        .assignments(run.id)
        .filter(named)
        .map(|assignment| assignment.worker)
        .collect()
}
