//! Commands on a worker's registration: ping workers (D4), tokens (D5b), deletion (D7).

use std::sync::Arc;

use crate::apply::assignment::{Ending, end};
use crate::apply::tx::Tx;
use crate::apply::worker::{assignments_of, health_fact, object, take_down};
use crate::command::{
    DeleteWorker, ExpireToken, ObjectKind, PingWorker, PurgeWorker, Refusal, RegenerateToken, RegisterWorker,
    Reply, UnregisterWorker,
};
use crate::definition;
use crate::id::{Incarnation, SessionEpoch, WorkerId};
use crate::record::{RequestKey, Session, Worker, WorkerKind};
use crate::transition::assignment::AssignmentEvent;
use crate::transition::endpoint::EndpointOutcome;
use crate::transition::worker::{CredentialRejected, Facts, Link, LinkFact, LivenessProfile, WorkerStatus};

/// Ping workers have no process that names itself: a new epoch is all that tells one from the next.
const NO_PROCESS: Incarnation = Incarnation([0; 16]);

pub(super) fn register(
    tx: &mut Tx<'_>,
    command: &RegisterWorker,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let mut violations =
        definition::validate_worker(&command.name, &command.region, &command.labels, command.capacity);
    violations.extend(definition::validate_registration(
        &command.version,
        &command.ip_address,
        &command.function_blocks,
    ));
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    if let Some(worker) = tx.state().worker_named(&command.name).cloned() {
        return again(tx, &worker, command);
    }
    if tx.state().worker(command.id).is_some() {
        return Err(name_taken(command));
    }
    let now = tx.now();
    tx.put_worker(Worker {
        id: command.id,
        name: command.name.clone(),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Ping,
        region: command.region.clone(),
        labels: command.labels.clone(),
        configured_capacity: command.capacity,
        reported_capacity: None,
        sip_capacity: None,
        token_hash: None,
        token_expires_at: None,
        function_blocks: command.function_blocks.clone(),
        version: command.version.clone(),
        ip_address: command.ip_address.clone(),
        registered_by: tx.principal(),
        flaps: 0,
        events: 0,
        facts: Facts::registered(now),
        session: None,
        last_epoch: SessionEpoch(0),
        attempt: None,
        created_at: now,
        created_by,
        revision: tx.revision(),
    });
    Ok(object(command.id, true))
}

/// A worker that comes back keeps its id; what it says of itself replaces what it said before (D4a, R353).
fn again(tx: &mut Tx<'_>, worker: &Arc<Worker>, command: &RegisterWorker) -> Result<Reply, Refusal> {
    let online = worker.status() == WorkerStatus::Online;
    if online || worker.profile != LivenessProfile::Ping {
        return Err(name_taken(command));
    }
    let registered_by = match tx.principal() {
        Some(key) => {
            tx.state().may_speak_for(key, worker, tx.now())?;
            Some(key)
        }
        None => worker.registered_by,
    };
    let next = Worker {
        registered_by,
        region: command.region.clone(),
        labels: command.labels.clone(),
        configured_capacity: command.capacity,
        function_blocks: command.function_blocks.clone(),
        version: command.version.clone(),
        ip_address: command.ip_address.clone(),
        ..Worker::clone(worker)
    };
    if next != **worker {
        tx.put_worker(next);
    }
    Ok(object(worker.id, false))
}

fn name_taken(command: &RegisterWorker) -> Refusal {
    Refusal::AlreadyExists {
        kind: ObjectKind::Worker,
        name: command.name.clone(),
    }
}

/// A ping worker that is not deleted, and that the caller may speak for.
fn ping_worker(tx: &Tx<'_>, id: WorkerId) -> Result<Arc<Worker>, Refusal> {
    let worker = tx.living_worker(id)?;
    of_profile(&worker, LivenessProfile::Ping)?;
    if let Some(key) = tx.principal() {
        tx.state().may_speak_for(key, &worker, tx.now())?;
    }
    Ok(worker)
}

fn of_profile(worker: &Worker, wanted: LivenessProfile) -> Result<(), Refusal> {
    if worker.profile == wanted {
        return Ok(());
    }
    Err(Refusal::WrongProfile {
        worker: worker.id,
        is: worker.profile,
        wanted,
    })
}

/// Of a worker that was given up, or never heard, a new session begins; of any other the link is up again (R325, R327, R329).
pub(super) fn ping(tx: &mut Tx<'_>, command: &PingWorker) -> Result<Reply, Refusal> {
    let worker = ping_worker(tx, command.worker)?;
    let now = tx.now();
    let mut next = Worker::clone(&worker);
    next.facts.health = health_fact(&worker.facts.health, &command.health, now);
    let up = |reason: String| LinkFact {
        link: Link::Up,
        reason,
        since: now,
    };
    match worker.facts.link.link {
        Link::Up => {}
        Link::Suspect => next.facts.link = up("heard again".to_owned()),
        Link::Never | Link::Down => {
            next.last_epoch = SessionEpoch(worker.last_epoch.0 + 1);
            next.facts.link = up(format!("heard by node {}", command.node));
            next.session = Some(Session {
                epoch: next.last_epoch,
                node: command.node,
                incarnation: NO_PROCESS,
                since: now,
            });
        }
    }
    if next != *worker {
        tx.put_worker(next);
    }
    Ok(object(worker.id, false))
}

/// OFFLINE at once; what it registered stays (R351, R352).
pub(super) fn unregister(tx: &mut Tx<'_>, command: &UnregisterWorker) -> Result<Reply, Refusal> {
    let worker = ping_worker(tx, command.worker)?;
    if worker.session.is_some() {
        take_down(tx, &worker, "left: unregistered")?;
    }
    Ok(object(worker.id, false))
}

/// The old token is refused from here on. The session that used it is told to end; what the worker holds goes on (D5b).
pub(super) fn regenerate_token(tx: &mut Tx<'_>, command: &RegenerateToken) -> Result<Reply, Refusal> {
    let worker = tx.living_worker(command.worker)?;
    let violations = definition::validate_ttl("token_ttl_s", command.token_ttl);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    of_profile(&worker, LivenessProfile::Session)?;
    if tx.state().worker_by_token(command.token_hash).is_some() {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Worker,
            name: worker.name.clone(),
        });
    }
    let now = tx.now();
    let mut next = Worker::clone(&worker);
    next.token_hash = Some(command.token_hash);
    next.token_expires_at = command.token_ttl.map(|ttl| now + ttl);
    // Without a session there is nothing that the old token still holds.
    next.facts.credential_rejected = worker.session.map(|_| CredentialRejected {
        reason: "the token was regenerated; the worker still runs with the old one".to_owned(),
        since: now,
    });
    tx.put_worker(next);
    Ok(object(worker.id, false))
}

/// A live connection whose token ran out (R42). Told twice, it changes nothing the second time.
pub(super) fn expire_token(tx: &mut Tx<'_>, command: &ExpireToken) -> Result<Reply, Refusal> {
    let worker = tx.living_worker(command.worker)?;
    let now = tx.now();
    if worker.facts.credential_rejected.is_some() {
        return Ok(Reply::Done);
    }
    if worker.token_expires_at.is_none_or(|at| now < at) {
        return Err(not_yet(&worker, "one whose token ran out".to_owned()));
    }
    let mut next = Worker::clone(&worker);
    next.facts.credential_rejected = Some(CredentialRejected {
        reason: "the token has expired; regenerate it".to_owned(),
        since: now,
    });
    tx.put_worker(next);
    Ok(Reply::Done)
}

pub(super) fn delete(tx: &mut Tx<'_>, command: &DeleteWorker) -> Result<Reply, Refusal> {
    let worker = tx.living_worker(command.worker)?;
    let now = tx.now();
    if let Some(least) = command.offline_for {
        let long_enough = now.since(worker.facts.link.since) >= least;
        if worker.status() != WorkerStatus::Offline || !long_enough {
            return Err(not_yet(&worker, format!("{} for {least}", WorkerStatus::Offline)));
        }
    }
    let open = assignments_of(tx, worker.id)
        .iter()
        .filter(|assignment| assignment.life.status().is_current())
        .count();
    if open > 0 && !command.force {
        return Err(Refusal::WorkerBusy {
            worker: worker.id,
            assignments: u32::try_from(open).unwrap_or(u32::MAX),
        });
    }
    if worker.session.is_some() {
        take_down(tx, &worker, "the worker was deleted")?;
    }
    release(tx, worker.id)?;
    let mut next = Worker::clone(&*tx.worker(worker.id)?);
    next.facts.deleted_at = Some(now);
    next.facts.drain = None;
    next.facts.credential_rejected = None;
    // Its name is free: the request that created it may create another.
    if let Some(request) = next.created_by.take() {
        tx.remove_request(&request);
    }
    tx.put_worker(next);
    Ok(object(worker.id, false))
}

fn not_yet(worker: &Worker, needed: String) -> Refusal {
    Refusal::WrongStatus {
        kind: ObjectKind::Worker,
        id: worker.id.to_string(),
        status: worker.status().to_string(),
        allowed: vec![needed],
    }
}

/// A deleted worker says no Hello any more that could disown what it was given up with.
fn release(tx: &mut Tx<'_>, worker: WorkerId) -> Result<(), Refusal> {
    for assignment in assignments_of(tx, worker) {
        let ending = Ending {
            event: AssignmentEvent::Close,
            outcome: EndpointOutcome::Oserror,
            detail: "",
        };
        end(tx, &assignment, &ending)?;
    }
    Ok(())
}

/// Nothing is held by a deleted worker; what it did in finished runs goes on naming its id.
pub(super) fn purge(tx: &mut Tx<'_>, command: &PurgeWorker) -> Result<Reply, Refusal> {
    let worker = tx.worker(command.worker)?;
    let now = tx.now();
    let due = worker
        .facts
        .deleted_at
        .is_some_and(|at| now.since(at) >= command.retention);
    if !due {
        let needed = format!("{} for {}", WorkerStatus::Deleted, command.retention);
        return Err(not_yet(&worker, needed));
    }
    tx.remove_worker(&worker);
    Ok(Reply::Done)
}
