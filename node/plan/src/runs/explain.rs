//! Why a run is where it is, and what would become of a definition: the planner's own steps, taken and thrown away.
//!
//! What a run waits for is worked out afresh from the state, with the same functions that plan it. A run that was refused
//! keeps the explanation of that moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use reeve_state::State;
use reeve_state::admission::AccountNeeds;
use reeve_state::command::Placement;
use reeve_state::definition::expected_execution;
use reeve_state::id::{ProjectName, RunId, WorkerId};
use reeve_state::record::{
    Assignment, ChangeKind, Explanation, Run, Selector, SuggestedChange, TestDefinition, Usage,
};
use reeve_state::time::Time;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::run::{RunReason, RunReasonCode, RunStatus};

use super::limits::not_allowed;
use super::order::{Ticket, waiting};
use super::sip::unavailable;
use super::{Pass, pending};
use crate::config::PlanConfig;
use crate::fleet::{Fleet, Reservations};
use crate::placement::{Ask, LISTED_LIVE, Unplaceable};

/// Most runs that are named as holding the capacity that another waits for.
const HOLDERS: usize = 10;

/// What stands between a run and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it would be placed now.
    CanStart,
    /// Capacity that other runs have; it waits in QUEUED as long as its definition allows.
    Waits,
    /// Something that waiting does not change.
    CannotStart,
    /// It was placed.
    Placed,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CanStart, Self::Waits, Self::CannotStart, Self::Placed];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CanStart => "CAN_START",
            Self::Waits => "WAITS",
            Self::CannotStart => "CANNOT_START",
            Self::Placed => "PLACED",
        }
    }
}

/// Endpoints of a group on a worker, as they are or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where.
    pub placement: Placement,
    /// The worker's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Most endpoints at once on it.
    pub capacity: u32,
    /// Endpoints reserved on it, these included while they are held.
    pub reserved: u32,
}

/// A run that has capacity which another one could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub run: RunId,
    /// The name of its test.
    pub test: String,
    /// Endpoints that it reserves on the workers in question.
    pub endpoints: u64,
    /// When it should be over, if it has begun.
    pub expected_end: Option<Time>,
}

/// Why a run is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// In a word.
    pub verdict: Verdict,
    /// The typed code, where something stands in the way.
    pub reason: Option<RunReason>,
    /// In a sentence.
    pub message: String,
    /// Filter by filter, worker by worker, with what would help.
    pub explanation: Explanation,
    /// Where its endpoints are or would be.
    pub parts: Vec<Part>,
    /// Runs that waited longer and are served first.
    pub ahead: Vec<RunId>,
    /// Who has the capacity that it waits for, those with most of it first.
    pub holders: Vec<Holder>,
    /// Until when it waits.
    pub until: Option<Time>,
}

/// What would become of a run of this definition, were it started now.
pub fn explain_definition(
    state: &State,
    definition: &TestDefinition,
    project: &ProjectName,
    now: Time,
    config: &PlanConfig,
) -> Explained {
    let mut pass = Pass::new(state, now, Time(0), config);
    let newcomer = Ticket::newcomer(project.as_str(), definition.endpoints());
    let ahead = pass.serve_before(Some(newcomer), None);
    if let Err(fault) = state.admit_sip(project, definition, &AccountNeeds::new()) {
        return refused(unavailable(&fault, definition));
    }
    if let Err(fault) = state.admit_definition(project, definition, Usage::default()) {
        return refused(not_allowed(&fault, definition));
    }
    let until = now + definition.queue_timeout;
    pass.explain_asking(definition, ahead, Some(until))
}

/// Why a run is where it is. `now` is cluster time.
pub fn explain_run(state: &State, run: &Run, now: Time, config: &PlanConfig) -> Explained {
    let mut pass = Pass::new(state, now, Time(0), config);
    match run.life.status() {
        RunStatus::Pending => {
            if let Err(fault) = state.admit_sip(&run.project, &run.definition, &AccountNeeds::new()) {
                return refused(unavailable(&fault, &run.definition));
            }
            if let Err(fault) = state.admit(run, Usage::default()) {
                return refused(not_allowed(&fault, &run.definition));
            }
            let newcomer = Ticket::newcomer(run.project.as_str(), run.definition.endpoints());
            let ahead = pass.serve_before(Some(newcomer), None);
            pass.explain_asking(&run.definition, ahead, None)
        }
        RunStatus::Queued if run.assignments == 0 => {
            let ahead = pass.serve_before(None, Some(run.id));
            pass.explain_asking(&run.definition, ahead, run.queue_deadline)
        }
        RunStatus::Queued | RunStatus::Running | RunStatus::Completed | RunStatus::Failed => {
            pass.explain_placed(run)
        }
        RunStatus::CannotRunForNow => kept(run),
    }
}

impl Pass<'_> {
    /// Serves the runs that wait and come before this one, or before a newcomer; those that still wait then.
    fn serve_before(&mut self, newcomer: Option<Ticket<'_>>, run: Option<RunId>) -> Vec<RunId> {
        let order = waiting(self.state, newcomer, self.now, self.config);
        let mut ahead = Vec::new();
        for id in order.into_iter().map_while(|ticket| ticket.run) {
            if run == Some(id) {
                break;
            }
            let Some(other) = self.state.run(id) else { continue };
            if self.plan(other).commands.is_empty() {
                ahead.push(id);
            }
        }
        ahead
    }

    fn explain_asking(
        &mut self,
        definition: &TestDefinition,
        ahead: Vec<RunId>,
        until: Option<Time>,
    ) -> Explained {
        if let Some(why) = pending::invalid(self.state, definition) {
            return refused(why);
        }
        let (state, config) = (self.state, self.config);
        let ask = Ask::whole(definition);
        let fleet = self.fleet();
        let why = ask.explain(fleet, ask.everyone(), LISTED_LIVE);
        if let Some(placements) = ask.place(fleet, ask.everyone(), config) {
            fleet.reserve(definition, &placements);
            let parts = parts(fleet, &placements);
            return Explained {
                verdict: Verdict::CanStart,
                reason: None,
                message: fits(&parts),
                explanation: why.explanation,
                parts,
                ahead,
                holders: Vec::new(),
                until: None,
            };
        }
        if ask.hopeless(fleet) {
            return Explained {
                ahead,
                ..refused(why)
            };
        }
        let wanted: BTreeSet<WorkerId> = ask.candidates(fleet).collect();
        Explained {
            verdict: Verdict::Waits,
            message: waits_for(&why, &ahead),
            reason: Some(RunReason {
                code: why.code,
                message: why.message,
            }),
            explanation: why.explanation,
            parts: Vec::new(),
            ahead,
            holders: holders(state, &wanted),
            until,
        }
    }

    /// The workers one by one are those of now, with what the run itself holds given back.
    fn explain_placed(&mut self, run: &Run) -> Explained {
        let state = self.state;
        let held = |assignment: &&Assignment| assignment.life.status().holds_capacity();
        let own: Vec<&Assignment> = state.assignments(run.id).map(AsRef::as_ref).collect();
        let mut fleet = Fleet::new(state, &Reservations::default());
        let all: Vec<Placement> = own.iter().map(|assignment| placement(assignment)).collect();
        let parts = parts(&fleet, &all);
        for assignment in own.iter().copied().filter(held) {
            fleet.give_back(&run.definition, &placement(assignment));
        }
        let ask = Ask::whole(&run.definition);
        let explanation = ask.explain(&fleet, ask.everyone(), LISTED_LIVE).explanation;
        Explained {
            verdict: Verdict::Placed,
            reason: run.life.reason().cloned(),
            message: placed(run, &own, &parts),
            explanation: Explanation {
                suggestion: String::new(),
                changes: Vec::new(),
                ..explanation
            },
            parts,
            ahead: Vec::new(),
            holders: Vec::new(),
            until: match run.life.status() {
                RunStatus::Queued => run.ready_deadline,
                RunStatus::Running => run.execution_deadline,
                RunStatus::Pending
                | RunStatus::Completed
                | RunStatus::Failed
                | RunStatus::CannotRunForNow => None,
            },
        }
    }
}

/// The explanation that a refused run keeps.
fn kept(run: &Run) -> Explained {
    let reason = run.life.reason().cloned().unwrap_or(RunReason {
        code: RunReasonCode::UnrecoverablePlatformError,
        message: String::new(),
    });
    let mut explanation = run.explanation.as_deref().cloned().unwrap_or_default();
    if reason.code == RunReasonCode::Cancelled && explanation.changes.is_empty() {
        explanation.suggestion = "start it again: only a user's wish stood in its way".to_owned();
        explanation.changes = vec![SuggestedChange {
            option: 1,
            kind: ChangeKind::StartAgain,
            endpoints: 0,
            groups: Vec::new(),
            place: Selector::default(),
            text: explanation.suggestion.clone(),
        }];
    }
    refused(Unplaceable {
        code: reason.code,
        message: reason.message,
        explanation,
    })
}

fn refused(why: Unplaceable) -> Explained {
    Explained {
        verdict: Verdict::CannotStart,
        message: why.message.clone(),
        reason: Some(RunReason {
            code: why.code,
            message: why.message,
        }),
        explanation: why.explanation,
        parts: Vec::new(),
        ahead: Vec::new(),
        holders: Vec::new(),
        until: None,
    }
}

fn placement(assignment: &Assignment) -> Placement {
    Placement {
        worker: assignment.worker,
        group: assignment.group,
        first: assignment.first,
        count: assignment.count,
    }
}

/// Where placements are; a worker that is gone has no name any more.
fn parts(fleet: &Fleet<'_>, placements: &[Placement]) -> Vec<Part> {
    let part = |placement: &Placement| {
        let seat = fleet.seat(placement.worker);
        Part {
            placement: *placement,
            name: seat.map_or_else(|| placement.worker.to_string(), |seat| seat.worker.name.clone()),
            region: seat.map_or_else(String::new, |seat| seat.worker.region.clone()),
            capacity: seat.map_or(0, |seat| seat.capacity),
            reserved: seat.map_or(0, |seat| seat.used),
        }
    };
    placements.iter().map(part).collect()
}

/// Who reserves endpoints on these workers.
fn holders(state: &State, workers: &BTreeSet<WorkerId>) -> Vec<Holder> {
    let mut sums: BTreeMap<RunId, u64> = BTreeMap::new();
    let held = workers
        .iter()
        .flat_map(|worker| state.worker_assignments(*worker));
    for assignment in held {
        *sums.entry(assignment.key.run).or_default() += u64::from(assignment.count);
    }
    let mut holders: Vec<Holder> = sums
        .into_iter()
        .filter_map(|(id, endpoints)| {
            let run = state.run(id)?;
            Some(Holder {
                run: id,
                test: run.definition.name.clone(),
                endpoints,
                expected_end: run.start_at.map(|at| at + expected_execution(&run.definition)),
            })
        })
        .collect();
    holders.sort_by_key(|holder| (Reverse(holder.endpoints), holder.run));
    holders.truncate(HOLDERS);
    holders
}

fn workers(parts: &[Part]) -> String {
    let distinct: BTreeSet<WorkerId> = parts.iter().map(|part| part.placement.worker).collect();
    match distinct.len() {
        1 => "1 worker".to_owned(),
        several => format!("{several} workers"),
    }
}

fn fits(parts: &[Part]) -> String {
    let endpoints: u64 = parts.iter().map(|part| u64::from(part.placement.count)).sum();
    format!("it can start now: {endpoints} endpoints on {}", workers(parts))
}

fn waits_for(why: &Unplaceable, ahead: &[RunId]) -> String {
    match ahead.len() {
        0 => why.message.clone(),
        1 => format!("{}; 1 run that waited longer comes first", why.message),
        several => format!("{}; {several} runs that waited longer come first", why.message),
    }
}

fn placed(run: &Run, own: &[&Assignment], parts: &[Part]) -> String {
    let on = workers(parts);
    let silent = own
        .iter()
        .filter(|assignment| assignment.life.status() == AssignmentStatus::Offered)
        .count();
    match run.life.status() {
        RunStatus::Queued if silent > 0 => {
            format!(
                "placed on {on}; {silent} of {} assignments are not confirmed yet",
                own.len()
            )
        }
        RunStatus::Queued => format!("placed on {on}; every worker confirmed, the start instant comes next"),
        RunStatus::Running => format!("it runs on {on}"),
        RunStatus::Completed | RunStatus::Failed => format!("it ran on {on}"),
        RunStatus::Pending | RunStatus::CannotRunForNow => String::new(),
    }
}
