//! The laws of projects: usage, plans and credits.

use std::collections::BTreeMap;

use crate::id::ProjectName;
use crate::record::{Run, Usage};
use crate::state::State;
use crate::transition::run::RunStatus;

fn takes_up(run: &Run) -> bool {
    matches!(run.life.status(), RunStatus::Queued | RunStatus::Running)
}

pub(super) fn usage_is_the_sum(state: &State, broken: &mut Vec<String>) {
    let mut counted: BTreeMap<&ProjectName, Usage> = BTreeMap::new();
    for run in state.runs.values().filter(|run| !run.life.status().is_terminal()) {
        let usage = counted.entry(&run.project).or_default();
        usage.live += 1;
        if takes_up(run) {
            usage.runs += 1;
            usage.endpoints += u64::from(run.definition.endpoints());
            usage.reserved += run.credits_reserved.unwrap_or(0);
        }
    }
    let kept: BTreeMap<&ProjectName, Usage> =
        state.index.usage.iter().map(|(name, sum)| (name, *sum)).collect();
    if counted != kept {
        broken.push(format!("counted {counted:?}, kept {kept:?}"));
    }
}

pub(super) fn credits_settled(state: &State, broken: &mut Vec<String>) {
    for run in state.runs.values() {
        let status = run.life.status();
        let (reserved, used) = (run.credits_reserved, run.credits_used);
        let good = match status {
            RunStatus::Pending => reserved.is_none() && used.is_none(),
            RunStatus::Queued | RunStatus::Running => used.is_none(),
            RunStatus::CannotRunForNow => used == reserved.map(|_| 0),
            RunStatus::Completed | RunStatus::Failed => {
                used.is_some() == reserved.is_some() && used.unwrap_or(0) <= reserved.unwrap_or(0)
            }
        };
        if !good {
            broken.push(format!(
                "{:?} {status}: reserved {reserved:?}, used {used:?}",
                run.id
            ));
        }
    }
}

pub(super) fn queued_within_plan(before: &State, after: &State, broken: &mut Vec<String>) {
    for (name, usage) in &after.index.usage {
        let was = before.usage(name);
        if usage.runs <= was.runs {
            continue;
        }
        let Some(project) = after.project(name) else {
            if !name.is_default() {
                broken.push(format!("{name:?} does not exist and has {} runs", usage.runs));
            }
            continue;
        };
        let plan = project.plan;
        let above = |limit: Option<u32>, used: u64| limit.is_some_and(|limit| used > u64::from(limit));
        if above(plan.max_concurrent_endpoints, usage.endpoints)
            || above(plan.max_concurrent_runs, usage.runs)
            || above(plan.max_run_endpoints, usage.endpoints - was.endpoints)
            || !plan.subscription_active
        {
            broken.push(format!("{name:?}: {usage:?} above {plan:?}"));
        }
    }
}

/// What is left, reserved and spent stays the same sum, unless somebody changes the credits.
pub(super) fn credits_conserved(before: &State, after: &State, broken: &mut Vec<String>) {
    for (name, is) in &after.projects {
        let Some(was) = before.projects.get(name) else {
            continue;
        };
        if is.last_adjustment != was.last_adjustment {
            continue;
        }
        // Runs that were queued while credits were not counted, or before they were counted anew, only give back what they took.
        let sum = |state: &State, left: u64, spent: u64| {
            u128::from(left) + u128::from(state.usage(name).reserved) + u128::from(spent)
        };
        match (was.credits, is.credits) {
            (None, None) => {}
            (Some(left), Some(now)) => {
                let (old, new) = (
                    sum(before, left, was.credits_spent),
                    sum(after, now, is.credits_spent),
                );
                if old != new {
                    broken.push(format!("{name:?}: {old} became {new}"));
                }
            }
            (None, Some(_)) | (Some(_), None) => {
                broken.push(format!("{name:?}: {:?} became {:?}", was.credits, is.credits));
            }
        }
    }
}
