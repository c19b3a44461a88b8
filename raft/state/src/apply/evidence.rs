//! Commands on evidence, and on the end of a run's life.

use std::sync::Arc;

use crate::apply::tx::Tx;
use crate::command::{ObjectKind, PurgeRun, RecordChunk, RecordSummary, Refusal, Reply};
use crate::definition;
use crate::record::{Manifest, ManifestKey, Run, RunSummary};
use crate::time::Time;
use crate::transition::run::RunStatus;

/// The run may be over and the epoch too: what was measured is evidence all the same, but then it is marked (D14).
pub(super) fn record_chunk(tx: &mut Tx<'_>, command: &RecordChunk) -> Result<Reply, Refusal> {
    let run = tx.run(command.run)?;
    let assignment = tx
        .state()
        .assignment_by_epoch(command.run, command.epoch)
        .filter(|assignment| assignment.worker == command.worker)
        .cloned()
        .ok_or_else(|| Refusal::NotFound {
            kind: ObjectKind::Assignment,
            id: format!("{} epoch {}", run.id, command.epoch.0),
        })?;
    if !assignment.started {
        return Err(Refusal::NotYet {
            run: run.id,
            rule: "the assignment has not started, there is no evidence of it".to_owned(),
        });
    }
    let violations = definition::validate_chunk(command);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    let key = ManifestKey {
        assignment: assignment.key,
        kind: command.kind,
        seq: command.seq,
    };
    if let Some(known) = tx.state().manifest(key) {
        if known.sha256 == command.sha256 {
            return Ok(Reply::Done);
        }
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Evidence,
            name: known.path.clone(),
        });
    }
    tx.put_manifest(Manifest {
        key,
        node: command.node,
        path: command.path.clone(),
        rows: command.rows,
        bytes: command.bytes,
        sha256: command.sha256,
        first_at: command.first_at,
        last_at: command.last_at,
        last: command.last,
        dropped: command.dropped,
        late: assignment.lost,
        recorded_at: tx.now(),
        revision: tx.revision(),
    });
    Ok(Reply::Done)
}

/// Once for each run: a planner that comes second, or after a failover, is refused.
pub(super) fn record_summary(tx: &mut Tx<'_>, command: &RecordSummary) -> Result<Reply, Refusal> {
    let run = tx.run(command.run)?;
    match run.life.status() {
        RunStatus::Completed | RunStatus::Failed => {}
        status @ (RunStatus::Pending
        | RunStatus::Queued
        | RunStatus::Running
        | RunStatus::CannotRunForNow) => {
            return Err(Refusal::WrongStatus {
                kind: ObjectKind::Run,
                id: run.id.to_string(),
                status: status.name().to_owned(),
                allowed: vec![
                    RunStatus::Completed.name().to_owned(),
                    RunStatus::Failed.name().to_owned(),
                ],
            });
        }
    }
    if tx.state().summary(run.id).is_some() {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Summary,
            name: run.id.to_string(),
        });
    }
    tx.put_summary(RunSummary {
        run: run.id,
        metrics: command.metrics.clone(),
        complete: command.complete,
        missing: command.missing.clone(),
        responses: command.responses.clone(),
        groups: command.groups.clone(),
        at: tx.now(),
        revision: tx.revision(),
    });
    Ok(Reply::Done)
}

/// A purge only after the time that was promised has passed.
pub(super) fn purge_run(tx: &mut Tx<'_>, command: &PurgeRun) -> Result<Reply, Refusal> {
    let run = tx.run(command.run)?;
    let due = ended_at(&run).is_some_and(|at| tx.now().since(at) >= command.retention);
    if !due {
        return Err(Refusal::NotYet {
            run: run.id,
            rule: format!("it is not over for {}", command.retention),
        });
    }
    if let Some(request) = &run.created_by {
        tx.remove_request(request);
    }
    tx.remove_run(&Arc::clone(&run));
    Ok(Reply::Done)
}

fn ended_at(run: &Run) -> Option<Time> {
    let last = run.life.timeline().last()?;
    last.status.is_terminal().then_some(last.at)
}
