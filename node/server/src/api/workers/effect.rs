//! What a drain would mean for the runs that wait: each is placed before and after, as the planner would.

use reeve_plan::placement::{self, Unplaceable};
use reeve_plan::{PlanConfig, Reservations};
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::WorkerId;
use reeve_state::record::Run;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::run::{RunReasonCode, RunStatus};

use crate::api::call::Caller;
use crate::api::read::OTHERS;
use crate::convert::enums;

/// Whether a run can be placed, and why not.
type Fit = Result<(), Unplaceable>;

/// The effect on each run that is PENDING or QUEUED, oldest first. No two runs take the same capacity. O(runs × workers).
pub(super) fn of_drain(
    before: &State,
    after: &State,
    worker: WorkerId,
    caller: &Caller,
) -> Vec<v1::DrainEffect> {
    let (mut taken_before, mut taken_after) = (Reservations::default(), Reservations::default());
    before
        .live_runs()
        .filter(|run| waits(run))
        .map(|run| {
            let was = fit(before, run, None, &mut taken_before);
            let is = fit(after, run, Some(worker), &mut taken_after);
            let effect = effect(run, &was, is);
            if caller.sees(&run.project) {
                effect
            } else {
                nameless(effect)
            }
        })
        .collect()
}

fn waits(run: &Run) -> bool {
    match run.life.status() {
        RunStatus::Pending | RunStatus::Queued => true,
        RunStatus::Running | RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => false,
    }
}

/// A run that has its workers already loses those that drain before they confirmed; these are replaced, if they can be.
fn fit(state: &State, run: &Run, drains: Option<WorkerId>, taken: &mut Reservations) -> Fit {
    let config = PlanConfig::default();
    let placements = if run.assignments == 0 {
        placement::place(state, &run.definition, taken, &config)?
    } else {
        let lost = unconfirmed(state, run, drains);
        if lost.is_empty() {
            return Ok(());
        }
        placement::replace(state, run, &lost, taken, &config).map_err(|why| Unplaceable {
            code: RunReasonCode::WorkersNotReady,
            ..why
        })?
    };
    taken.add(&run.definition, &placements);
    Ok(())
}

fn unconfirmed(state: &State, run: &Run, drains: Option<WorkerId>) -> Vec<u32> {
    state
        .assignments(run.id)
        .filter(|assignment| Some(assignment.worker) == drains)
        .filter(|assignment| assignment.life.status() == AssignmentStatus::Offered)
        .map(|assignment| assignment.key.ordinal)
        .collect()
}

fn effect(run: &Run, before: &Fit, after: Fit) -> v1::DrainEffect {
    let fits_after = after.is_ok();
    let (reason, message) = match after {
        Ok(()) => (v1::RunReasonCode::Unspecified, String::new()),
        Err(why) => (enums::run_reason(why.code), explained(why)),
    };
    v1::DrainEffect {
        run_id: run.id.to_string(),
        test: run.definition.name.clone(),
        run_status: enums::run_status(run.life.status()).into(),
        fits_before: before.is_ok(),
        fits_after,
        reason: reason.into(),
        message,
    }
}

/// Workers are shared by all projects: that a run of another one loses its place is told, and which it is not (D27a).
fn nameless(effect: v1::DrainEffect) -> v1::DrainEffect {
    v1::DrainEffect {
        run_id: String::new(),
        test: OTHERS.to_owned(),
        message: String::new(),
        ..effect
    }
}

fn explained(why: Unplaceable) -> String {
    if why.explanation.suggestion.is_empty() {
        why.message
    } else {
        format!("{} (needed: {})", why.message, why.explanation.suggestion)
    }
}
