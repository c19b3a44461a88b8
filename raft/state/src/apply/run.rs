//! Commands on runs. Statuses change only through [`crate::transition::run`].

mod placement;

use std::sync::Arc;

use crate::apply::assignment::{Ending, advance, end};
use crate::apply::tx::Tx;
use crate::apply::{project, sip};
use crate::command::{
    AbandonAssignments, BeginRun, CompleteRun, FailRun, ObjectKind, QueueRun, Refusal, RejectRun, Reply,
    StartRun, StopRun,
};
use crate::id::{ProbeId, Revision, RunId, TestId};
use crate::loss;
use crate::mutant::{self, Mutant};
use crate::record::{Assignment, EndpointCounts, ObjectRef, RequestKey, Run, Usage};
use crate::transition::assignment::{AssignmentEvent, AssignmentStatus};
use crate::transition::endpoint::EndpointOutcome;
use crate::transition::run::{RunLife, RunReason, RunReasonCode, RunStatus};

pub(super) use placement::place;

pub(super) fn start(
    tx: &mut Tx<'_>,
    command: &StartRun,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    create(tx, command.run, command.test, None, created_by)
}

/// A run in PENDING, whoever starts it.
pub(super) fn create(
    tx: &mut Tx<'_>,
    run: RunId,
    test: TestId,
    probe: Option<ProbeId>,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let test = tx.test(test)?;
    if tx.state().run(run).is_some() {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Run,
            name: run.to_string(),
        });
    }
    let now = tx.now();
    tx.put_run(Run {
        id: run,
        test: test.id,
        project: test.project.clone(),
        test_version: test.version,
        definition: Arc::clone(&test.definition),
        life: RunLife::begin(now),
        created_at: now,
        queue_deadline: None,
        ready_deadline: None,
        start_at: None,
        execution_deadline: None,
        stop_requested_at: None,
        stop_deadline: None,
        assignments: 0,
        replacements: 0,
        explanation: None,
        credits_reserved: None,
        credits_used: None,
        probe,
        created_by,
        revision: tx.revision(),
    });
    Ok(about(run, true))
}

/// A user's stop is not a status (D8): before RUNNING it cancels, in RUNNING the endpoints hang up.
pub(super) fn stop(tx: &mut Tx<'_>, command: &StopRun) -> Result<Reply, Refusal> {
    let run = tx.run(command.run)?;
    match run.life.status() {
        RunStatus::Pending | RunStatus::Queued => cancel(tx, &run)?,
        RunStatus::Running if run.stop_requested_at.is_some() => {}
        RunStatus::Running => {
            let now = tx.now();
            for assignment in of_run(tx, run.id, |a| a.life.status() == AssignmentStatus::Started) {
                step(tx, &assignment, AssignmentEvent::Stop)?;
            }
            tx.put_run(Run {
                stop_requested_at: Some(now),
                stop_deadline: Some(now + command.grace),
                ..Run::clone(&run)
            });
        }
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow
            if mutant::is(Mutant::StatusWithoutDag) =>
        {
            cancel(tx, &run)?;
        }
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => {
            return Err(wrong_status(
                &run,
                &[RunStatus::Pending, RunStatus::Queued, RunStatus::Running],
            ));
        }
    }
    Ok(about(run.id, false))
}

fn cancel(tx: &mut Tx<'_>, run: &Run) -> Result<(), Refusal> {
    let message = "Cancelled by the user before it ran".to_owned();
    let reason = RunReason {
        code: RunReasonCode::Cancelled,
        message,
    };
    withdraw_all(tx, run.id, "run cancelled")?;
    enter(tx, run.clone(), RunStatus::CannotRunForNow, Some(reason))
}

/// The project's plan and the SIP accounts are checked here and not before, so that two runs cannot pass one limit or have one
/// account together (R121, R124, R195).
pub(super) fn queue(tx: &mut Tx<'_>, command: &QueueRun) -> Result<Reply, Refusal> {
    let run = planned(tx, command.run, command.revision, &[RunStatus::Pending])?;
    let credits = tx
        .state()
        .admit(&run, Usage::default())
        .map_err(Refusal::OverPlan)?;
    let mut next = Run {
        queue_deadline: Some(tx.now() + run.definition.queue_timeout),
        ..Run::clone(&run)
    };
    sip::lease(tx, &run)?;
    project::reserve(tx, &mut next, credits)?;
    enter(tx, next, RunStatus::Queued, None)?;
    Ok(about(run.id, false))
}

pub(super) fn begin(tx: &mut Tx<'_>, command: &BeginRun) -> Result<Reply, Refusal> {
    let run = planned(tx, command.run, command.revision, &[RunStatus::Queued])?;
    let current = of_run(tx, run.id, |a| a.life.status().is_current());
    placement::covered(&run, current.iter().map(|a| (a.group, a.first, a.count)))?;
    if let Some(waiting) = current
        .iter()
        .find(|a| a.life.status() != AssignmentStatus::Ready)
    {
        let rule = format!(
            "assignment {} is {}, not READY",
            waiting.key.ordinal,
            waiting.life.status()
        );
        return Err(Refusal::NotYet { run: run.id, rule });
    }
    for assignment in &current {
        let mut started = Assignment::clone(assignment);
        advance(&mut started, AssignmentEvent::Start)?;
        started.started = true;
        started.counts = EndpointCounts::begin(started.count);
        tx.put_assignment(started);
    }
    let start_at = tx.now() + command.start_delay;
    let next = Run {
        start_at: Some(start_at),
        execution_deadline: Some(start_at + run.definition.max_execution),
        ready_deadline: None,
        ..Run::clone(&run)
    };
    enter(tx, next, RunStatus::Running, None)?;
    Ok(about(run.id, false))
}

pub(super) fn complete(tx: &mut Tx<'_>, command: &CompleteRun) -> Result<Reply, Refusal> {
    let run = planned(tx, command.run, command.revision, &[RunStatus::Running])?;
    let started = of_run(tx, run.id, |a| a.started);
    let not_yet = |rule: String| Err(Refusal::NotYet { run: run.id, rule });
    if let Some(open) = started.iter().find(|a| !a.all_closed()) {
        return not_yet(format!(
            "assignment {} has endpoints that are not CLOSED",
            open.key.ordinal
        ));
    }
    // D12: this wins over “all endpoints closed”, but not over a user's stop (D8).
    if let Some(reason) = loss::failure(&run, started.iter()) {
        return not_yet(format!("{}, so it can only FAIL", reason.message));
    }
    let reason = run.stop_requested_at.map(|_| RunReason {
        code: RunReasonCode::StoppedByUser,
        message: "Stopped by the user".to_owned(),
    });
    enter(tx, Run::clone(&run), RunStatus::Completed, reason)?;
    Ok(about(run.id, false))
}

pub(super) fn fail(tx: &mut Tx<'_>, command: &FailRun) -> Result<Reply, Refusal> {
    let run = planned(tx, command.run, command.revision, &[RunStatus::Running])?;
    failing_is_due(tx, &run, command.reason.code)?;
    for assignment in of_run(tx, run.id, |a| a.life.status().is_current()) {
        let ending = Ending {
            event: AssignmentEvent::Lose,
            outcome: command.outcome,
            detail: "run failed",
        };
        end(tx, &assignment, &ending)?;
    }
    enter(
        tx,
        Run::clone(&run),
        RunStatus::Failed,
        Some(command.reason.clone()),
    )?;
    Ok(about(run.id, false))
}

/// A run fails for lost workers only if it lost as many as its definition does not bear.
fn failing_is_due(tx: &Tx<'_>, run: &Run, code: RunReasonCode) -> Result<(), Refusal> {
    let for_workers = matches!(
        code,
        RunReasonCode::AllWorkersDisconnected | RunReasonCode::WorkerLost
    );
    let due = loss::failure(run, tx.state().assignments(run.id)).map(|reason| reason.code);
    if for_workers && due != Some(code) {
        let rule = "the workers that it lost are no reason to fail".to_owned();
        return Err(Refusal::NotYet { run: run.id, rule });
    }
    Ok(())
}

pub(super) fn reject(tx: &mut Tx<'_>, command: &RejectRun) -> Result<Reply, Refusal> {
    let run = planned(
        tx,
        command.run,
        command.revision,
        &[RunStatus::Pending, RunStatus::Queued],
    )?;
    withdraw_all(tx, run.id, "run rejected")?;
    let next = Run {
        explanation: command.explanation.clone(),
        ..Run::clone(&run)
    };
    enter(tx, next, RunStatus::CannotRunForNow, Some(command.reason.clone()))?;
    Ok(about(run.id, false))
}

pub(super) fn abandon(tx: &mut Tx<'_>, command: &AbandonAssignments) -> Result<Reply, Refusal> {
    let run = planned(tx, command.run, command.revision, &[RunStatus::Running])?;
    for assignment in of_run(tx, run.id, |a| command.ordinals.contains(&a.key.ordinal)) {
        if assignment.life.status().is_current() {
            let ending = Ending {
                event: AssignmentEvent::Lose,
                outcome: EndpointOutcome::Oserror,
                detail: &command.detail,
            };
            end(tx, &assignment, &ending)?;
        }
    }
    Ok(about(run.id, false))
}

/// The run that a planner decided about, if it is still as it was then.
fn planned(tx: &Tx<'_>, id: RunId, revision: Revision, allowed: &[RunStatus]) -> Result<Arc<Run>, Refusal> {
    let run = tx.run(id)?;
    if !allowed.contains(&run.life.status()) {
        return Err(wrong_status(&run, allowed));
    }
    if run.revision != revision {
        return Err(Refusal::Stale {
            kind: ObjectKind::Run,
            id: id.to_string(),
            planned: revision,
            actual: run.revision,
        });
    }
    Ok(run)
}

fn enter(tx: &mut Tx<'_>, mut run: Run, to: RunStatus, reason: Option<RunReason>) -> Result<(), Refusal> {
    let now = tx.now();
    match run.life.enter(to, now, reason) {
        Ok(()) => {
            if to.is_terminal() {
                project::settle(tx, &mut run, to);
                sip::release(tx, run.id);
            }
            tx.put_run(run);
            Ok(())
        }
        Err(illegal) => Err(wrong_status(&run, &[illegal.to])),
    }
}

fn withdraw_all(tx: &mut Tx<'_>, run: RunId, detail: &str) -> Result<(), Refusal> {
    for assignment in of_run(tx, run, |a| a.life.status().is_current()) {
        end(
            tx,
            &assignment,
            &Ending {
                event: AssignmentEvent::Lose,
                outcome: EndpointOutcome::Oserror,
                detail,
            },
        )?;
    }
    Ok(())
}

fn of_run(tx: &Tx<'_>, run: RunId, wanted: impl Fn(&Assignment) -> bool) -> Vec<Arc<Assignment>> {
    tx.state()
        .assignments(run)
        .filter(|assignment| wanted(assignment))
        .cloned()
        .collect()
}

fn step(tx: &mut Tx<'_>, assignment: &Assignment, event: AssignmentEvent) -> Result<(), Refusal> {
    let mut next = assignment.clone();
    advance(&mut next, event)?;
    tx.put_assignment(next);
    Ok(())
}

fn wrong_status(run: &Run, allowed: &[RunStatus]) -> Refusal {
    Refusal::WrongStatus {
        kind: ObjectKind::Run,
        id: run.id.to_string(),
        status: run.life.status().to_string(),
        allowed: allowed.iter().map(ToString::to_string).collect(),
    }
}

fn about(run: RunId, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Run(run),
        created,
        replayed: false,
    }
}
