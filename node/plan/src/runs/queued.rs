//! QUEUED: placement, then the barrier where every worker confirms that it is ready (R129, R132–R137).

use std::collections::BTreeSet;

use reeve_state::command::{BeginRun, Command, PlaceRun};
use reeve_state::record::{Assignment, ChangeKind, Run, Selector, SuggestedChange};
use reeve_state::time::Time;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::WorkerStatus;

use super::pending::invalid;
use super::{Pass, RunPlan};
use crate::Planned;
use crate::fleet::View;
use crate::placement::gaps::{self, Range};
use crate::placement::{Ask, LISTED_STORED, Unplaceable};

/// Rounds of replacement that a run gets.
const REPLACEMENTS: u32 = 1;

/// Most workers named in a message.
const NAMED: usize = 3;

impl Pass<'_> {
    /// Places it, or waits for capacity up to its queue deadline (D11).
    pub(super) fn unplaced(&mut self, run: &Run) -> RunPlan {
        if let Some(why) = invalid(self.state, &run.definition) {
            return self.reject(run, why);
        }
        let config = self.config;
        let queued_at = run.life.entered(RunStatus::Queued).unwrap_or(run.created_at);
        let deadline = run
            .queue_deadline
            .unwrap_or(queued_at + run.definition.queue_timeout);
        let now = self.now;
        let ask = Ask::whole(&run.definition);
        let fleet = self.fleet();
        if let Some(placements) = ask.place(fleet, ask.everyone(), config) {
            fleet.reserve(&run.definition, &placements);
            let reason = format!("{} assignments fit", placements.len());
            let command = PlaceRun {
                run: run.id,
                revision: run.revision,
                withdraw: Vec::new(),
                placements,
                ready_timeout: config.ready_timeout,
            };
            return self.act(Planned::new(Command::PlaceRun(command), reason));
        }
        if now >= deadline {
            let why = ask.explain(fleet, ask.everyone(), LISTED_STORED);
            return self.reject(run, why);
        }
        if now.since(queued_at) >= config.hold_after && !ask.hopeless(fleet) {
            ask.hold(fleet, config);
        }
        RunPlan::wait(deadline)
    }

    /// Begins once all are READY; replaces once what did not become ready; else gives up.
    pub(super) fn placed(&mut self, run: &Run) -> RunPlan {
        let judged = self.judged_at(
            run.ready_deadline
                .unwrap_or(run.created_at + self.config.ready_timeout),
        );
        let unready = self.unready(run, self.now >= judged);
        if !unready.ordinals.is_empty() || !unready.gaps.is_empty() {
            return self.replace(run, unready, judged);
        }
        let is_ready = |assignment: &Assignment| assignment.life.status() == AssignmentStatus::Ready;
        let mut current = self
            .state
            .assignments(run.id)
            .filter(|assignment| assignment.life.status().is_current());
        if !current.all(|assignment| is_ready(assignment)) {
            return RunPlan::wait(judged);
        }
        let start_delay = self.config.start_delay;
        let command = BeginRun {
            run: run.id,
            revision: run.revision,
            start_delay,
        };
        self.act(Planned::new(Command::BeginRun(command), "every worker confirmed"))
    }

    fn replace(&mut self, run: &Run, unready: Unready, judged: Time) -> RunPlan {
        let (state, config, now) = (self.state, self.config, self.now);
        let exclude = gaps::workers_of(state, run, &unready.ordinals);
        let ask = Ask::some(&run.definition, unready.gaps);
        let view = View {
            exclude: &exclude,
            use_held: true,
            sip: ask.has_sip(),
        };
        let fleet = self.fleet();
        let may_replace = run.replacements < REPLACEMENTS;
        if let Some(placements) = may_replace.then(|| ask.place(fleet, view, config)).flatten() {
            fleet.reserve(&run.definition, &placements);
            let command = PlaceRun {
                run: run.id,
                revision: run.revision,
                withdraw: unready.ordinals,
                placements,
                ready_timeout: config.ready_timeout,
            };
            return self.act(Planned::new(
                Command::PlaceRun(command),
                format!("replaces: {}", unready.why),
            ));
        }
        if may_replace && now < judged {
            return RunPlan::wait(judged);
        }
        let mut explanation = ask.explain(fleet, view, LISTED_STORED).explanation;
        if explanation.suggestion.is_empty() {
            explanation.suggestion = format!("workers that confirm within {}", config.ready_timeout);
            explanation.changes = vec![SuggestedChange {
                option: 1,
                kind: ChangeKind::StartAgain,
                endpoints: 0,
                groups: Vec::new(),
                place: Selector::default(),
                text: "start it again: there is capacity on other workers".to_owned(),
            }];
        }
        let message = format!("workers did not become ready: {}", unready.why);
        self.reject(
            run,
            Unplaceable {
                code: RunReasonCode::WorkersNotReady,
                message,
                explanation,
            },
        )
    }

    /// What did not become ready and is not replaced yet.
    fn unready(&self, run: &Run, late: bool) -> Unready {
        let assignments: Vec<&Assignment> = self.state.assignments(run.id).map(AsRef::as_ref).collect();
        let is_current = |assignment: &&&Assignment| assignment.life.status().is_current();
        let mut reasons: Vec<(u32, String)> = Vec::new();
        for assignment in assignments.iter().filter(is_current) {
            if let Some(reason) = self.why_unready(assignment, late) {
                reasons.push((assignment.key.ordinal, reason));
            }
        }
        let failing: Vec<u32> = reasons.iter().map(|(ordinal, _)| *ordinal).collect();
        let gaps = gaps::uncovered(self.state, run, &failing);
        // What ended and was replaced is covered again, so it meets no gap.
        let ended = assignments.iter().filter(|assignment| !is_current(assignment));
        for assignment in ended.filter(|assignment| gaps.iter().any(|gap| gap.meets(Range::of(assignment)))) {
            let detail = assignment
                .detail
                .as_deref()
                .unwrap_or("it ended before the start");
            reasons.push((
                assignment.key.ordinal,
                format!("{}: {detail}", self.name_of(assignment)),
            ));
        }
        reasons.sort_unstable();
        let distinct: BTreeSet<&str> = reasons.iter().map(|(_, reason)| reason.as_str()).collect();
        let mut why = distinct
            .iter()
            .take(NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
        if distinct.len() > NAMED {
            why = format!("{why}; and {} more", distinct.len() - NAMED);
        }
        Unready {
            ordinals: reasons.iter().map(|(ordinal, _)| *ordinal).collect(),
            gaps,
            why,
        }
    }

    /// Why a current assignment counts as not ready. A drain before READY does; READY stays READY.
    fn why_unready(&self, assignment: &Assignment, late: bool) -> Option<String> {
        match assignment.life.status() {
            AssignmentStatus::Offered => {}
            AssignmentStatus::Ready
            | AssignmentStatus::Started
            | AssignmentStatus::Stopping
            | AssignmentStatus::Lost
            | AssignmentStatus::Closed => return None,
        }
        let name = self.name_of(assignment);
        match self.state.worker(assignment.worker).map(|worker| worker.status()) {
            Some(WorkerStatus::Online) => late.then(|| format!("{name}: no confirmation in time")),
            Some(
                status @ (WorkerStatus::Offline
                | WorkerStatus::Draining
                | WorkerStatus::Error
                | WorkerStatus::Unreachable
                | WorkerStatus::Deleted),
            ) => Some(format!("{name}: {status} before it confirmed")),
            None => Some(format!("{name}: deleted before it confirmed")),
        }
    }

    fn name_of(&self, assignment: &Assignment) -> String {
        let worker = self.state.worker(assignment.worker);
        worker.map_or_else(|| assignment.worker.to_string(), |worker| worker.name.clone())
    }
}

/// What is to be replaced.
struct Unready {
    /// Assignments that are to be withdrawn.
    ordinals: Vec<u32>,
    /// The endpoints that have no worker then.
    gaps: Vec<Range>,
    /// For people.
    why: String,
}
