//! What the loss of workers means for a run in RUNNING: one answer, for the planner that proposes and for apply (D12).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::WorkerId;
use crate::record::{Assignment, OnWorkerLoss, Run};
use crate::transition::run::{RunReason, RunReasonCode};

const WHOLE_PPM: u64 = 1_000_000;

/// Why a run in RUNNING has to fail for the workers that it lost; `None`: it goes on. A user's stop wins (D8).
pub fn failure<'a>(run: &Run, assignments: impl Iterator<Item = &'a Arc<Assignment>>) -> Option<RunReason> {
    if run.stop_requested_at.is_some() {
        return None;
    }
    let loss = Loss::count(assignments)?;
    if loss.all {
        return Some(RunReason {
            code: RunReasonCode::AllWorkersDisconnected,
            message: "All workers disconnected".to_owned(),
        });
    }
    let limit = match run.definition.on_worker_loss {
        OnWorkerLoss::Continue => return None,
        OnWorkerLoss::Fail => "the run is to fail at the first".to_owned(),
        OnWorkerLoss::FailAbove { share_ppm } if loss.share_ppm() > u64::from(share_ppm) => {
            format!("the limit is {}", percent(u64::from(share_ppm)))
        }
        OnWorkerLoss::FailAbove { .. } => return None,
    };
    Some(RunReason {
        code: RunReasonCode::WorkerLost,
        message: format!(
            "{} of {} workers lost: {} of endpoints, {limit}",
            loss.workers_lost,
            loss.workers,
            percent(loss.share_ppm())
        ),
    })
}

/// What a run lost so far.
struct Loss {
    workers: usize,
    workers_lost: usize,
    endpoints: u64,
    interrupted: u64,
    /// No assignment that started has its worker any more.
    all: bool,
}

impl Loss {
    /// `None` if nothing was lost.
    fn count<'a>(assignments: impl Iterator<Item = &'a Arc<Assignment>>) -> Option<Self> {
        let mut loss = Self {
            workers: 0,
            workers_lost: 0,
            endpoints: 0,
            interrupted: 0,
            all: true,
        };
        let mut workers: BTreeSet<WorkerId> = BTreeSet::new();
        let mut lost: BTreeSet<WorkerId> = BTreeSet::new();
        for assignment in assignments.filter(|assignment| assignment.started) {
            workers.insert(assignment.worker);
            loss.endpoints += u64::from(assignment.count);
            loss.all &= assignment.lost;
            if assignment.lost {
                lost.insert(assignment.worker);
                loss.interrupted += u64::from(assignment.interrupted);
            }
        }
        loss.workers = workers.len();
        loss.workers_lost = lost.len();
        (loss.workers_lost > 0).then_some(loss)
    }

    /// Rounded up, so that a share that is above a limit never looks equal to it.
    fn share_ppm(&self) -> u64 {
        (self.interrupted * WHOLE_PPM).div_ceil(self.endpoints.max(1))
    }
}

/// Parts per million as per cent, with at most two decimals.
fn percent(ppm: u64) -> String {
    let hundredths = ppm.div_ceil(100);
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => format!("{whole} %"),
        (whole, part) if part % 10 == 0 => format!("{whole}.{} %", part / 10),
        (whole, part) => format!("{whole}.{part:02} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_written_as_per_cent() {
        for (ppm, text) in [
            (0, "0 %"),
            (400_000, "40 %"),
            (125_000, "12.5 %"),
            (123_456, "12.35 %"),
            (1, "0.01 %"),
            (1_000_000, "100 %"),
        ] {
            assert_eq!(percent(ppm), text);
        }
    }
}
