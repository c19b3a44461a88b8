//! What would help a run that its project's plan does not allow (R190, R191, R195).

use std::cmp::Reverse;

use reeve_state::command::PlanFault;
use reeve_state::definition::expected_execution;
use reeve_state::record::{ChangeKind, Explanation, Selector, SuggestedChange, TestDefinition};

use crate::placement::Unplaceable;

/// Why the project's plan does not let a run be queued, and the smallest changes that would.
pub(super) fn not_allowed(fault: &PlanFault, definition: &TestDefinition) -> Unplaceable {
    Unplaceable {
        code: fault.code(),
        message: fault.to_string(),
        explanation: Explanation {
            groups: Vec::new(),
            suggestion: fault.suggestion(),
            changes: changes(fault, definition),
        },
    }
}

fn changes(fault: &PlanFault, definition: &TestDefinition) -> Vec<SuggestedChange> {
    let asked = u64::from(definition.endpoints());
    let (raise, less, wait) = match fault {
        PlanFault::NoProject { project } => {
            let text = format!("create project {project}, or run it in another one");
            return vec![step(1, ChangeKind::ChangeDefinition, asked, text)];
        }
        PlanFault::SubscriptionInactive { project } => {
            let text = format!("activate the subscription of project {project}");
            return vec![step(1, ChangeKind::RaiseLimit, 0, text)];
        }
        PlanFault::RunEndpoints {
            project,
            limit,
            asked,
        } => {
            let over = u64::from(asked.saturating_sub(*limit));
            let text = format!("a limit of {asked} endpoints in one run for project {project}");
            ((over, text), over, None)
        }
        PlanFault::ConcurrentEndpoints {
            project,
            limit,
            in_use,
            runs: _,
            asked,
        } => {
            let sum = in_use.saturating_add(u64::from(*asked));
            let over = sum.saturating_sub(u64::from(*limit));
            let text = format!("a limit of {sum} endpoints at once for project {project}");
            // However many end, a run that is larger than the limit does not fit.
            let fits = u64::from(*asked) <= u64::from(*limit);
            ((over, text), over, fits.then_some(over.min(*in_use)))
        }
        PlanFault::ConcurrentRuns { project, in_use, .. } => {
            let text = format!(
                "a limit of {} runs at once for project {project}",
                in_use.saturating_add(1)
            );
            ((0, text), 0, (*in_use > 0).then_some(0))
        }
        PlanFault::Credits {
            project,
            left,
            reserved,
            needed,
        } => {
            let more = needed.saturating_sub(*left);
            let text = format!("{more} more endpoint-minutes for project {project}");
            // At most all that is reserved comes back.
            let enough = *reserved > 0 && *needed <= left.saturating_add(*reserved);
            let wait = enough.then_some(0);
            (
                (0, text),
                asked.saturating_sub(affordable(*left, definition)),
                wait,
            )
        }
    };
    let raise = vec![step(0, ChangeKind::RaiseLimit, raise.0, raise.1)];
    let wait = wait.map(|endpoints| {
        let text = "wait until other runs of the project end".to_owned();
        vec![step(0, ChangeKind::Wait, endpoints, text)]
    });
    let options = [Some(raise), fewer(definition, less), wait];
    (1..)
        .zip(options.into_iter().flatten())
        .flat_map(|(option, steps)| {
            steps
                .into_iter()
                .map(move |step| SuggestedChange { option, ..step })
        })
        .collect()
}

/// Most endpoints for which so many endpoint-minutes are enough.
fn affordable(left: u64, definition: &TestDefinition) -> u64 {
    left.saturating_mul(60_000) / expected_execution(definition).0.max(1)
}

/// Fewer endpoints in the largest groups, each keeping at least one; `None` if that is not possible or not needed.
fn fewer(definition: &TestDefinition, less: u64) -> Option<Vec<SuggestedChange>> {
    let mut groups: Vec<_> = definition.groups.iter().collect();
    groups.sort_by_key(|group| Reverse(group.endpoints));
    let mut rest = less;
    let mut steps = Vec::new();
    for group in groups {
        let count = rest.min(u64::from(group.endpoints.saturating_sub(1)));
        if count > 0 {
            let noun = if count == 1 { "endpoint" } else { "endpoints" };
            let text = format!("{count} {noun} fewer in group {}", group.name);
            let mut step = step(0, ChangeKind::ReduceEndpoints, count, text);
            step.groups = vec![group.name.clone()];
            steps.push(step);
            rest -= count;
        }
    }
    (less > 0 && rest == 0).then_some(steps)
}

pub(super) fn step(option: u32, kind: ChangeKind, endpoints: u64, text: String) -> SuggestedChange {
    SuggestedChange {
        option,
        kind,
        endpoints,
        groups: Vec::new(),
        place: Selector::default(),
        text,
    }
}
