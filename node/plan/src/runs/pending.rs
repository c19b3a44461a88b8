//! PENDING: validation, before any capacity is taken (R117, R123, R128).

use std::sync::Arc;

use reeve_state::State;
use reeve_state::admission::{AccountNeeds, accounts_needed};
use reeve_state::command::{Command, QueueRun, RejectRun};
use reeve_state::record::{
    ChangeKind, Explanation, Group, Run, Selector, SuggestedChange, TestDefinition, Usage,
};
use reeve_state::transition::run::{RunReason, RunReasonCode};
use reeve_state::transition::worker::WorkerStatus;

use super::limits::not_allowed;
use super::sip::unavailable;
use super::{Pass, RunPlan};
use crate::Planned;
use crate::placement::{Ask, LISTED_STORED, Unplaceable};

impl Pass<'_> {
    /// QUEUED if the workers that are ONLINE could take it, were they idle; else CANNOT_RUN_FOR_NOW.
    pub(super) fn pending(&mut self, run: &Run) -> RunPlan {
        if let Some(why) = invalid(self.state, &run.definition) {
            return self.reject(run, why);
        }
        if let Err(fault) = self
            .state
            .admit_sip(&run.project, &run.definition, &AccountNeeds::new())
        {
            return self.reject(run, unavailable(&fault, &run.definition));
        }
        if let Err(fault) = self.state.admit(run, Usage::default()) {
            return self.reject(run, not_allowed(&fault, &run.definition));
        }
        let Ok(reserved) = self.state.admit(run, self.queued_before(run)) else {
            // Only because of runs that this pass queues: judged when it is known whether they are.
            return RunPlan::wait(self.now);
        };
        if self
            .state
            .admit_sip(&run.project, &run.definition, &self.accounts)
            .is_err()
        {
            return RunPlan::wait(self.now);
        }
        let ask = Ask::whole(&run.definition);
        let fleet = self.fleet();
        if ask.hopeless(fleet) {
            let why = ask.explain(fleet, ask.everyone(), LISTED_STORED);
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
        for (pool, count) in accounts_needed(&run.project, &run.definition) {
            *self.accounts.entry(pool).or_default() += count;
        }
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
}

/// An unknown worker is refused at submission, so one that is missing now was deleted since (D9, D10).
pub(crate) fn invalid(state: &State, definition: &TestDefinition) -> Option<Unplaceable> {
    let gone = |id| {
        state
            .worker(id)
            .is_none_or(|worker| worker.status() == WorkerStatus::Deleted)
    };
    let named = |group: &&Group| group.selector.worker.is_some_and(gone);
    let group = definition.groups.iter().find(named)?;
    let id = group.selector.worker?;
    let suggestion = format!(
        "name another worker in group {}, or leave its worker out",
        group.name
    );
    let change = SuggestedChange {
        option: 1,
        kind: ChangeKind::ChangeDefinition,
        endpoints: u64::from(group.endpoints),
        groups: vec![group.name.clone()],
        place: Selector::default(),
        text: suggestion.clone(),
    };
    Some(Unplaceable {
        code: RunReasonCode::InvalidConfiguration,
        message: format!("group {} names worker {id}, which was deleted", group.name),
        explanation: Explanation {
            groups: Vec::new(),
            suggestion,
            changes: vec![change],
        },
    })
}
