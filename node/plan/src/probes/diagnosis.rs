//! What the last executions of a probe have in common (R224–R227): words for people, and nothing depends on them.

use reeve_state::record::{ProbeSlot, SkipReason, SlotEnd};
use reeve_state::transition::run::{RunReasonCode, RunStatus};

/// How many executions are looked at, newest first.
const LOOKED_AT: usize = 10;
/// So many in a row are a pattern.
const IN_A_ROW: usize = 3;
/// So often the end has to change between COMPLETED and FAILED.
const CHANGES: usize = 3;
/// A run has many errors if at least one in so many of its endpoints did not succeed.
const MANY_ERRORS: u32 = 5;

/// A pattern in the ends of executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Again and again CANNOT_RUN_FOR_NOW for want of workers (R224).
    WorkersMissing,
    /// Again and again CANNOT_RUN_FOR_NOW for the account's sake (R224).
    Billing,
    /// Again and again FAILED because workers were lost (R225).
    WorkersUnstable,
    /// Again and again FAILED for other reasons.
    Failing,
    /// Now COMPLETED, now FAILED (R226).
    Intermittent,
    /// COMPLETED with many endpoints that did not succeed (R227).
    FarSide,
    /// Slots are skipped because runs last longer than the interval.
    TooLong,
    /// Slots were missed because nobody led.
    Missed,
}

impl Pattern {
    /// One line for people: what was seen, and where to look.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::WorkersMissing => {
                "the last runs could not be placed: workers are lasting short; add workers or capacity where the test wants them"
            }
            Self::Billing => "the last runs were refused for the plan, the credits or the subscription",
            Self::WorkersUnstable => {
                "the last runs failed because their workers disconnected: look at the workers and at the network between them and the \
                 nodes"
            }
            Self::Failing => "the last runs failed; see the reasons of the runs",
            Self::Intermittent => {
                "runs complete and fail in turn: something comes and goes, such as the network or load; compare the times of the failures"
            }
            Self::FarSide => {
                "runs complete, but many of their endpoints end in errors: look at the side that is called, not at the platform"
            }
            Self::TooLong => {
                "runs last longer than the interval, so slots are skipped: shorten the test or run it less often"
            }
            Self::Missed => "slots were missed: the cluster had no leader when they were due",
        }
    }
}

/// The pattern of the newest slots; `slots` begin with the newest. `None`: there is none.
pub fn diagnose<'a>(slots: impl IntoIterator<Item = &'a ProbeSlot>) -> Option<Pattern> {
    let slots: Vec<&ProbeSlot> = slots
        .into_iter()
        .filter(|slot| slot.end.is_some() || slot.skipped.is_some())
        .take(LOOKED_AT)
        .collect();
    if slots.len() >= IN_A_ROW && slots.iter().take(IN_A_ROW).all(|slot| slot.skipped.is_some()) {
        return slots
            .first()
            .and_then(|slot| slot.skipped)
            .map(|reason| match reason {
                SkipReason::PreviousStillRunning => Pattern::TooLong,
                SkipReason::Missed => Pattern::Missed,
            });
    }
    let ends: Vec<&SlotEnd> = slots.iter().filter_map(|slot| slot.end.as_ref()).collect();
    let lasting = ends.first_chunk::<IN_A_ROW>().and_then(lasting);
    lasting.or_else(|| alternating(&ends)).or_else(|| {
        let newest = ends.first_chunk::<IN_A_ROW>()?;
        newest
            .iter()
            .all(|end| many_errors(end))
            .then_some(Pattern::FarSide)
    })
}

fn lasting(ends: &[&SlotEnd; IN_A_ROW]) -> Option<Pattern> {
    let all = |status: RunStatus| ends.iter().all(|end| end.status == Some(status));
    if all(RunStatus::CannotRunForNow) {
        let cancelled = ends
            .iter()
            .any(|end| end.reason == Some(RunReasonCode::Cancelled));
        let billed = ends.iter().all(|end| end.reason.is_some_and(is_billing));
        return match (cancelled, billed) {
            (true, _) => None,
            (false, true) => Some(Pattern::Billing),
            (false, false) => Some(Pattern::WorkersMissing),
        };
    }
    if all(RunStatus::Failed) {
        let lost = ends
            .iter()
            .all(|end| end.reason == Some(RunReasonCode::AllWorkersDisconnected));
        return Some(if lost {
            Pattern::WorkersUnstable
        } else {
            Pattern::Failing
        });
    }
    None
}

/// What could not run says nothing about the far side and is left out.
fn alternating(ends: &[&SlotEnd]) -> Option<Pattern> {
    let told: Vec<bool> = ends
        .iter()
        .filter_map(|end| match end.status? {
            RunStatus::Completed => Some(true),
            RunStatus::Failed => Some(false),
            RunStatus::CannotRunForNow | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => None,
        })
        .collect();
    let changes = told.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (changes >= CHANGES).then_some(Pattern::Intermittent)
}

fn many_errors(end: &SlotEnd) -> bool {
    end.status == Some(RunStatus::Completed)
        && end.errors > 0
        && end.errors.saturating_mul(MANY_ERRORS) >= end.endpoints
}

const fn is_billing(reason: RunReasonCode) -> bool {
    match reason {
        RunReasonCode::PlanLimitExceeded
        | RunReasonCode::CreditsExhausted
        | RunReasonCode::SubscriptionInactive => true,
        RunReasonCode::NoOnlineWorkers
        | RunReasonCode::WorkersBusy
        | RunReasonCode::InsufficientCapacity
        | RunReasonCode::InvalidConfiguration
        | RunReasonCode::WorkersNotReady
        | RunReasonCode::Cancelled
        | RunReasonCode::StoppedByUser
        | RunReasonCode::AllWorkersDisconnected
        | RunReasonCode::WorkerLost
        | RunReasonCode::AccountsUnavailable
        | RunReasonCode::ExecutionTimeoutExceeded
        | RunReasonCode::UnrecoverablePlatformError => false,
    }
}

#[cfg(test)]
mod tests;
