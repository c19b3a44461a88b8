//! Commands on workers: they write facts, never a status (D2).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::apply::assignment::{Ending, end, end_all};
use crate::apply::drain;
use crate::apply::tx::Tx;
use crate::command::{
    ConnectWorker, CreateWorker, DisconnectWorker, ObjectKind, Refusal, Reply, Resumed, SessionGrant,
    SetHealth, SetLink,
};
use crate::definition;
use crate::id::{SessionEpoch, WorkerId};
use crate::record::{Assignment, ConnectAttempt, ObjectRef, RequestKey, Session, Worker};
use crate::time::Time;
use crate::transition::assignment::{AssignmentEvent, AssignmentStatus};
use crate::transition::endpoint::EndpointOutcome;
use crate::transition::worker::{
    DrainActor, Facts, HealthFact, HealthIssue, Link, LinkFact, LivenessProfile, Resource, WorkerStatus,
};

pub(super) fn create(
    tx: &mut Tx<'_>,
    command: &CreateWorker,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let mut violations =
        definition::validate_worker(&command.name, &command.region, &command.labels, command.capacity);
    violations.extend(definition::validate_ttl("token_ttl_s", command.token_ttl));
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    let taken = tx.state().worker_named(&command.name).is_some()
        || tx.state().worker(command.id).is_some()
        || tx.state().worker_by_token(command.token_hash).is_some();
    if taken {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Worker,
            name: command.name.clone(),
        });
    }
    let now = tx.now();
    // Ping workers prove who they are with a caller's key (D27a): a token would be a second way in.
    let session = command.profile == LivenessProfile::Session;
    tx.put_worker(Worker {
        id: command.id,
        name: command.name.clone(),
        kind: command.kind,
        profile: command.profile,
        region: command.region.clone(),
        labels: command.labels.clone(),
        configured_capacity: command.capacity,
        reported_capacity: None,
        sip_capacity: None,
        token_hash: session.then_some(command.token_hash),
        token_expires_at: command.token_ttl.filter(|_| session).map(|ttl| now + ttl),
        function_blocks: BTreeSet::new(),
        version: String::new(),
        ip_address: String::new(),
        registered_by: None,
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

/// The answer to a command that is about a worker.
pub(super) fn object(worker: WorkerId, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Worker(worker),
        created,
        replayed: false,
    }
}

/// The newest session wins. What the process does not hold any more is over.
pub(super) fn connect(tx: &mut Tx<'_>, command: &ConnectWorker) -> Result<Reply, Refusal> {
    let worker = tx
        .state()
        .worker_by_token(command.token_hash)
        .cloned()
        .ok_or(Refusal::TokenRejected)?;
    let now = tx.now();
    if worker.token_expires_at.is_some_and(|at| at <= now) {
        return Err(Refusal::TokenExpired { worker: worker.id });
    }
    let attempt = newest(&worker, command)?;
    let epoch = SessionEpoch(worker.last_epoch.0 + 1);
    let resumed = reconcile_held(tx, worker.id, command)?;
    let reason = format!("connected to node {}", command.node);
    tx.put_worker(Worker {
        reported_capacity: Some(command.capacity),
        sip_capacity: command.sip_capacity,
        version: command.version.clone(),
        session: Some(Session {
            epoch,
            node: command.node,
            incarnation: command.incarnation,
            since: now,
        }),
        last_epoch: epoch,
        attempt,
        facts: Facts {
            link: LinkFact {
                link: Link::Up,
                reason,
                since: now,
            },
            health: health_fact(&worker.facts.health, &command.health, now),
            drain: drain::on_connect(&worker, command, now),
            credential_rejected: None,
            deleted_at: None,
        },
        ..Worker::clone(&worker)
    });
    Ok(Reply::Session(SessionGrant {
        worker: worker.id,
        epoch,
        resumed,
    }))
}

/// A process asks one node after the other, and what it asked first may be granted last: it held less then than it does now, and
/// what it does not name counts as dropped. The attempt that it made last is the one that counts.
fn newest(worker: &Worker, command: &ConnectWorker) -> Result<Option<ConnectAttempt>, Refusal> {
    let this = ConnectAttempt {
        incarnation: command.incarnation,
        number: command.attempt,
    };
    let late = |granted: ConnectAttempt| {
        granted.incarnation == this.incarnation && this.number != 0 && this.number <= granted.number
    };
    if worker.attempt.is_some_and(late) {
        return Err(Refusal::SessionOver {
            worker: worker.id,
            epoch: worker.last_epoch,
        });
    }
    Ok((this.number != 0).then_some(this))
}

fn reconcile_held(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    command: &ConnectWorker,
) -> Result<Vec<Resumed>, Refusal> {
    let mut resumed = Vec::new();
    for assignment in assignments_of(tx, worker) {
        let held = command.held.contains(&(assignment.key.run, assignment.epoch));
        match assignment.life.status() {
            AssignmentStatus::Offered if !held => {} // it is offered again
            AssignmentStatus::Offered
            | AssignmentStatus::Ready
            | AssignmentStatus::Started
            | AssignmentStatus::Stopping
            | AssignmentStatus::Lost
                if held =>
            {
                resumed.push(Resumed {
                    run: assignment.key.run,
                    epoch: assignment.epoch,
                    acked_seq: assignment.acked_seq,
                });
            }
            AssignmentStatus::Offered
            | AssignmentStatus::Ready
            | AssignmentStatus::Started
            | AssignmentStatus::Stopping
            | AssignmentStatus::Lost => {
                let ending = Ending {
                    event: AssignmentEvent::Close,
                    outcome: EndpointOutcome::Oserror,
                    detail: if assignment.life.status().is_current() {
                        "the worker restarted"
                    } else {
                        ""
                    },
                };
                end(tx, &assignment, &ending)?;
            }
            AssignmentStatus::Closed => {}
        }
    }
    Ok(resumed)
}

pub(super) fn disconnect(tx: &mut Tx<'_>, command: &DisconnectWorker) -> Result<Reply, Refusal> {
    let worker = in_session(tx, command.worker, command.epoch)?;
    take_down(tx, &worker, &format!("left: {}", command.reason))?;
    Ok(Reply::Done)
}

pub(super) fn set_link(tx: &mut Tx<'_>, command: &SetLink) -> Result<Reply, Refusal> {
    let worker = in_session(tx, command.worker, command.epoch)?;
    match command.link {
        Link::Never => Err(wrong_status(&worker, &[])),
        Link::Down => take_down(tx, &worker, &command.reason).map(|()| Reply::Done),
        link @ (Link::Up | Link::Suspect) => {
            if worker.facts.link.link != link {
                let now = tx.now();
                let mut next = Worker::clone(&worker);
                next.facts.link = LinkFact {
                    link,
                    reason: command.reason.clone(),
                    since: now,
                };
                tx.put_worker(next);
            }
            Ok(Reply::Done)
        }
    }
}

/// The session is over: its endpoints are accounted for here and now, whatever the worker says later (D14).
pub(super) fn take_down(tx: &mut Tx<'_>, worker: &Worker, reason: &str) -> Result<(), Refusal> {
    let assignments = assignments_of(tx, worker.id);
    end_all(tx, &assignments, reason)?;
    let mut next = worker.clone();
    next.facts.link = LinkFact {
        link: Link::Down,
        reason: reason.to_owned(),
        since: tx.now(),
    };
    next.facts.drain = worker.facts.drain.clone().filter(|drain| match &drain.actor {
        DrainActor::Worker(_) => false,
        // Complete: nothing was left to finish (D5a).
        DrainActor::Admin(_) | DrainActor::Platform => !assignments.is_empty(),
    });
    next.session = None;
    tx.put_worker(next);
    Ok(())
}

pub(super) fn set_health(tx: &mut Tx<'_>, command: &SetHealth) -> Result<Reply, Refusal> {
    let worker = in_session(tx, command.worker, command.epoch)?;
    let next = health_fact(&worker.facts.health, &command.issues, tx.now());
    if next != worker.facts.health {
        tx.put_worker(Worker {
            facts: Facts {
                health: next,
                ..worker.facts.clone()
            },
            ..Worker::clone(&worker)
        });
    }
    Ok(Reply::Done)
}

/// Only a change of which resources are above their thresholds is a change.
pub(super) fn health_fact(before: &HealthFact, issues: &[HealthIssue], now: Time) -> HealthFact {
    let resources = |issues: &[HealthIssue]| -> BTreeSet<Resource> {
        issues.iter().map(|issue| issue.resource).collect()
    };
    if resources(&before.issues) == resources(issues) {
        before.clone()
    } else {
        HealthFact {
            issues: issues.to_vec(),
            since: now,
        }
    }
}

fn in_session(tx: &Tx<'_>, id: WorkerId, epoch: SessionEpoch) -> Result<Arc<Worker>, Refusal> {
    let worker = tx.worker(id)?;
    match worker.session {
        Some(session) if session.epoch == epoch => Ok(worker),
        Some(_) | None => Err(Refusal::SessionOver { worker: id, epoch }),
    }
}

pub(super) fn assignments_of(tx: &Tx<'_>, worker: WorkerId) -> Vec<Arc<Assignment>> {
    tx.state().worker_assignments(worker).cloned().collect()
}

pub(super) fn wrong_status(worker: &Worker, allowed: &[WorkerStatus]) -> Refusal {
    Refusal::WrongStatus {
        kind: ObjectKind::Worker,
        id: worker.id.to_string(),
        status: worker.status().to_string(),
        allowed: allowed.iter().map(ToString::to_string).collect(),
    }
}
