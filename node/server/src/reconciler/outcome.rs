//! What became of what a planner decided, and when to try again.

use std::collections::HashMap;

use reeve_state::command::Refusal;
use reeve_state::id::RunId;
use reeve_state::time::Millis;

/// Outcome of a plan, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was planned is committed.
    Success,
    /// The state had moved on: planned again at once.
    Requeue,
    /// It did not come through: planned again after a pause.
    Retry,
    /// There was nothing to do.
    Skip,
}

impl Outcome {
    /// The label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Requeue => "requeue",
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
}

/// The term is over: nothing more is planned in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostLead;

/// What a refusal means for the plan it belongs to.
pub fn of_refusal(refusal: &Refusal) -> Result<Outcome, LostLead> {
    match refusal {
        Refusal::StaleTerm { .. } => Err(LostLead),
        // The session or the object is gone, or changed after the snapshot was taken.
        Refusal::Stale { .. }
        | Refusal::NotFound { .. }
        | Refusal::WrongStatus { .. }
        | Refusal::SessionOver { .. }
        | Refusal::NotYet { .. }
        | Refusal::SlotNotOpen { .. }
        | Refusal::WorkerBusy { .. }
        | Refusal::OverPlan(_)
        | Refusal::SipUnavailable(_)
        | Refusal::Placement(_) => Ok(Outcome::Requeue),
        Refusal::AlreadyExists { .. }
        | Refusal::RequestIdReused { .. }
        | Refusal::Invalid { .. }
        | Refusal::TestInUse { .. }
        | Refusal::TestProbed { .. }
        | Refusal::TokenRejected
        | Refusal::TokenExpired { .. }
        | Refusal::KeyRejected { .. }
        | Refusal::RoleTooLow { .. }
        | Refusal::KeysExist
        | Refusal::LastAdminKey { .. }
        | Refusal::WorkerOfAnotherKey { .. }
        | Refusal::OtherProject { .. }
        | Refusal::ProjectInUse { .. }
        | Refusal::InUse { .. }
        | Refusal::WrongProfile { .. }
        | Refusal::EpochOver { .. }
        | Refusal::ReportOutOfOrder { .. }
        | Refusal::ReportInvalid { .. }
        | Refusal::ClusterVersion { .. } => Ok(Outcome::Retry),
    }
}

/// So often a plan is made again at once before it has to wait: a plan that is refused for ever must not spin.
const REQUEUES: u32 = 3;
/// First pause; doubled up to [`PAUSE_MOST`].
const PAUSE_FIRST: Millis = Millis(1_000);
const PAUSE_MOST: Millis = Millis(60_000);

/// How often the plans of each run failed in a row.
#[derive(Debug, Default)]
pub struct Failures {
    by_run: HashMap<RunId, u32>,
}

impl Failures {
    /// The run's plan came through, or there was none.
    pub fn clear(&mut self, run: RunId) {
        self.by_run.remove(&run);
    }

    /// The run's plan was refused because the state had moved on. `None`: at once again; else after this pause.
    pub fn requeue(&mut self, run: RunId) -> Option<Millis> {
        let failures = self.count(run);
        (failures > REQUEUES).then(|| pause(failures - REQUEUES))
    }

    /// The run's plan did not come through: the pause before the next.
    pub fn retry(&mut self, run: RunId) -> Millis {
        pause(self.count(run))
    }

    fn count(&mut self, run: RunId) -> u32 {
        let failures = self.by_run.entry(run).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }
}

/// 1 s × 2ⁿ, at most 60 s, for the n-th failure in a row, counted from 1.
fn pause(failure: u32) -> Millis {
    let doubled = PAUSE_FIRST
        .0
        .checked_shl(failure.saturating_sub(1))
        .filter(|_| failure < 32);
    Millis(doubled.unwrap_or(PAUSE_MOST.0).min(PAUSE_MOST.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId::from_bytes([1; 16]);

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut failures = Failures::default();
        let pauses: Vec<u64> = (0..8).map(|_| failures.retry(RUN).0 / 1_000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX), PAUSE_MOST);
        failures.clear(RUN);
        assert_eq!(failures.retry(RUN), PAUSE_FIRST);
    }

    #[test]
    fn a_plan_that_is_always_refused_does_not_spin() {
        let mut failures = Failures::default();
        let pauses: Vec<_> = (0..5).map(|_| failures.requeue(RUN)).collect();
        assert_eq!(
            pauses,
            [None, None, None, Some(Millis(1_000)), Some(Millis(2_000))]
        );
    }

    #[test]
    fn a_newer_term_ends_the_lead() {
        assert_eq!(
            of_refusal(&Refusal::StaleTerm {
                fence_term: 1,
                term: 2
            }),
            Err(LostLead)
        );
        let not_yet = Refusal::NotYet {
            run: RUN,
            rule: String::new(),
        };
        assert_eq!(of_refusal(&not_yet), Ok(Outcome::Requeue));
    }
}
