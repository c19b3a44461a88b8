//! PENDING: validation, before any capacity is taken (R117, R123, R128).

use std::sync::Arc;

use reeve_state::command::{Command, PlanFault, QueueRun, RejectRun};
use reeve_state::record::{Explanation, Run, Usage};
use reeve_state::transition::run::{RunReason, RunReasonCode};
use reeve_state::transition::worker::WorkerStatus;

use super::{Pass, RunPlan};
use crate::Planned;
use crate::placement::{Ask, EVERYONE, Unplaceable};

impl Pass<'_> {
    /// QUEUED if the workers that are ONLINE could take it, were they idle; else CANNOT_RUN_FOR_NOW.
    pub(super) fn pending(&mut self, run: &Run) -> RunPlan {
        if let Some(message) = self.names_a_worker_that_is_gone(run) {
            let reason = RunReason {
                code: RunReasonCode::InvalidConfiguration,
                message,
            };
            let command = RejectRun {
                run: run.id,
                revision: run.revision,
                reason,
                explanation: None,
            };
            return self.act(Planned::new(
                Command::RejectRun(command),
                "the definition became wrong",
            ));
        }
        // Registrars, accounts and media of SIP groups are references too: their checks belong here (R120–R122).
        if let Err(fault) = self.state.admit(run, Usage::default()) {
            return self.reject(run, not_allowed(&fault));
        }
        let Ok(reserved) = self.state.admit(run, self.queued_before(run)) else {
            // Only because of runs that this pass queues: judged when it is known whether they are.
            return RunPlan::wait(self.now);
        };
        let ask = Ask::whole(&run.definition);
        let fleet = self.fleet();
        if ask.hopeless(fleet) {
            let why = ask.explain(fleet, EVERYONE);
            return self.reject(run, why);
        }
        self.note_queued(run, reserved);
        let command = QueueRun {
            run: run.id,
            revision: run.revision,
        };
        self.act(Planned::new(
            Command::QueueRun(command),
            "validated: the ONLINE workers could take it",
        ))
    }

    /// What the runs of its project take up that this pass has queued already: two runs do not pass one limit.
    fn queued_before(&self, run: &Run) -> Usage {
        self.queued.get(&run.project).copied().unwrap_or_default()
    }

    fn note_queued(&mut self, run: &Run, reserved: Option<u64>) {
        let usage = self.queued.entry(run.project.clone()).or_default();
        usage.runs += 1;
        usage.endpoints += u64::from(run.definition.endpoints());
        usage.reserved += reserved.unwrap_or(0);
    }

    /// Ends a run that cannot be placed, with the typed reason and its explanation (D10).
    pub(super) fn reject(&self, run: &Run, why: Unplaceable) -> RunPlan {
        let log = if why.explanation.suggestion.is_empty() {
            why.message.clone()
        } else {
            format!("{} (needed: {})", why.message, why.explanation.suggestion)
        };
        let command = RejectRun {
            run: run.id,
            revision: run.revision,
            reason: RunReason {
                code: why.code,
                message: why.message,
            },
            explanation: Some(Arc::new(why.explanation)),
        };
        self.act(Planned::new(Command::RejectRun(command), log))
    }

    /// An unknown worker is refused at submission, so one that is missing now was deleted since (D9, D10).
    fn names_a_worker_that_is_gone(&self, run: &Run) -> Option<String> {
        let gone = |id| {
            self.state
                .worker(id)
                .is_none_or(|worker| worker.status() == WorkerStatus::Deleted)
        };
        run.definition.groups.iter().find_map(|group| {
            let id = group.selector.worker.filter(|id| gone(*id))?;
            Some(format!(
                "group {} names worker {id}, which was deleted",
                group.name
            ))
        })
    }
}

/// Why the project's plan does not let a run be queued, and the smallest change that would (R124, R190, R191, R195).
fn not_allowed(fault: &PlanFault) -> Unplaceable {
    Unplaceable {
        code: fault.code(),
        message: fault.to_string(),
        explanation: Explanation {
            groups: Vec::new(),
            suggestion: fault.suggestion(),
        },
    }
}
