//! Drains: who may ask for one, and what is left of one when processes come and go (D5a).

use crate::apply::tx::Tx;
use crate::apply::worker::{object, wrong_status};
use crate::command::{ConnectWorker, DrainOrder, Refusal, Reply, SetDrain};
use crate::definition;
use crate::id::Incarnation;
use crate::record::Worker;
use crate::time::Time;
use crate::transition::worker::{AfterDrain, Drain, DrainActor, Facts, WorkerStatus};

pub(super) fn set(tx: &mut Tx<'_>, command: &SetDrain) -> Result<Reply, Refusal> {
    let worker = tx.worker(command.worker)?;
    let drain = match &command.drain {
        None => taken_back(&worker)?,
        Some(order) => Some(ordered(tx, &worker, order)?),
    };
    if drain != worker.facts.drain {
        tx.put_worker(Worker {
            facts: Facts {
                drain,
                ..worker.facts.clone()
            },
            ..Worker::clone(&worker)
        });
    }
    Ok(object(worker.id, false))
}

fn taken_back(worker: &Worker) -> Result<Option<Drain>, Refusal> {
    match worker.status() {
        WorkerStatus::Deleted => Err(wrong_status(worker, &[WorkerStatus::Draining])),
        WorkerStatus::Online
        | WorkerStatus::Offline
        | WorkerStatus::Draining
        | WorkerStatus::Error
        | WorkerStatus::Unreachable => Ok(None),
    }
}

fn ordered(tx: &Tx<'_>, worker: &Worker, order: &DrainOrder) -> Result<Drain, Refusal> {
    match worker.status() {
        WorkerStatus::Offline | WorkerStatus::Deleted => {
            let allowed = [
                WorkerStatus::Online,
                WorkerStatus::Draining,
                WorkerStatus::Error,
                WorkerStatus::Unreachable,
            ];
            return Err(wrong_status(worker, &allowed));
        }
        WorkerStatus::Online | WorkerStatus::Draining | WorkerStatus::Error | WorkerStatus::Unreachable => {}
    }
    let violations = definition::validate_drain(&order.reason, order.timeout);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    let before = worker.facts.drain.as_ref();
    // A process that is stopping cannot take work again, whoever else drains it.
    let stopping = before.is_some_and(|drain| !outlives_process(drain));
    let asked = Drain {
        actor: order.actor.clone(),
        reason: order.reason.clone(),
        deadline: tx.now() + order.timeout,
        then: if stopping {
            AfterDrain::Disconnect
        } else {
            order.then
        },
        since: before.map_or(tx.now(), |drain| drain.since),
    };
    if let DrainActor::Worker(incarnation) = order.actor {
        same_process(worker, incarnation)?;
        if let Some(kept) = worker.facts.drain.clone().filter(outlives_process) {
            return Ok(hurried(kept, &asked));
        }
    }
    Ok(asked)
}

/// A drain that a worker asked for ends with that process; a process that says it drains does (D5a).
pub(super) fn on_connect(worker: &Worker, command: &ConnectWorker, now: Time) -> Option<Drain> {
    let kept = worker.facts.drain.clone().filter(|drain| match &drain.actor {
        DrainActor::Worker(incarnation) => *incarnation == command.incarnation,
        DrainActor::Admin(_) | DrainActor::Platform => true,
    });
    let Some(timeout) = command.draining else {
        return kept;
    };
    let own = Drain {
        actor: DrainActor::Worker(command.incarnation),
        reason: "the worker is shutting down".to_owned(),
        deadline: now + timeout,
        then: AfterDrain::Disconnect,
        since: now,
    };
    match kept {
        Some(kept) if outlives_process(&kept) => Some(hurried(kept, &own)),
        Some(kept) => Some(kept),
        None => Some(own),
    }
}

/// A process that is told to stop cannot end what an administrator asked for, only hurry it (D5a). It leaves in any case, so
/// that nothing new may come once it is done.
fn hurried(kept: Drain, own: &Drain) -> Drain {
    Drain {
        deadline: kept.deadline.min(own.deadline),
        then: AfterDrain::Disconnect,
        ..kept
    }
}

fn outlives_process(drain: &Drain) -> bool {
    match drain.actor {
        DrainActor::Worker(_) => false,
        DrainActor::Admin(_) | DrainActor::Platform => true,
    }
}

fn same_process(worker: &Worker, incarnation: Incarnation) -> Result<(), Refusal> {
    match worker.session {
        Some(session) if session.incarnation == incarnation => Ok(()),
        Some(_) | None => Err(Refusal::SessionOver {
            worker: worker.id,
            epoch: worker.last_epoch,
        }),
    }
}
