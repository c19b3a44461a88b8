//! RUNNING: how a run ends (R146, R147, R152, R166–R170, D8, D12).

use reeve_state::command::{AbandonAssignments, Command, CompleteRun, FailRun};
use reeve_state::loss;
use reeve_state::record::{Assignment, Run};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::{RunReason, RunReasonCode, RunStatus};

use super::{Pass, RunPlan};
use crate::Planned;

impl Pass<'_> {
    pub(super) fn running(&mut self, run: &Run) -> RunPlan {
        let assignments = self.state.assignments(run.id).map(AsRef::as_ref);
        let started: Vec<&Assignment> = assignments
            .filter(|assignment: &&Assignment| assignment.started)
            .collect();
        if started.is_empty() {
            let code = RunReasonCode::UnrecoverablePlatformError;
            return self.fail(
                run,
                code,
                "Unrecoverable platform error",
                EndpointOutcome::Oserror,
            );
        }
        // D12: this wins over “all endpoints closed”, but not over a user's stop (D8).
        if let Some(reason) = loss::failure(run, self.state.assignments(run.id)) {
            return self.fail(run, reason.code, &reason.message, EndpointOutcome::Oserror);
        }
        if started.iter().all(|assignment| assignment.all_closed()) {
            let command = CompleteRun {
                run: run.id,
                revision: run.revision,
            };
            return self.act(Planned::new(
                Command::CompleteRun(command),
                "every endpoint is CLOSED",
            ));
        }
        let began = run
            .start_at
            .or(run.life.entered(RunStatus::Running))
            .unwrap_or(run.created_at);
        let limit = self.judged_at(
            run.execution_deadline
                .unwrap_or(began + run.definition.max_execution),
        );
        if self.now >= limit {
            let code = RunReasonCode::ExecutionTimeoutExceeded;
            return self.fail(run, code, "Execution timeout exceeded", EndpointOutcome::Timeout);
        }
        let Some(stop) = run.stop_deadline.map(|deadline| self.judged_at(deadline)) else {
            return RunPlan::wait(limit);
        };
        if self.now < stop {
            return RunPlan::wait(limit.min(stop));
        }
        self.abandon(run, &started)
    }

    /// Gives up on what was told to stop and did not (D8).
    fn abandon(&self, run: &Run, started: &[&Assignment]) -> RunPlan {
        let open = started
            .iter()
            .filter(|assignment| assignment.life.status().is_current() && !assignment.all_closed());
        let command = AbandonAssignments {
            run: run.id,
            revision: run.revision,
            ordinals: open.map(|assignment| assignment.key.ordinal).collect(),
            detail: "stop_deadline".to_owned(),
        };
        let reason = format!("{} assignments did not stop in time", command.ordinals.len());
        self.act(Planned::new(Command::AbandonAssignments(command), reason))
    }

    fn fail(&self, run: &Run, code: RunReasonCode, message: &str, outcome: EndpointOutcome) -> RunPlan {
        let reason = RunReason {
            code,
            message: message.to_owned(),
        };
        let command = FailRun {
            run: run.id,
            revision: run.revision,
            reason,
            outcome,
        };
        self.act(Planned::new(Command::FailRun(command), message))
    }
}
