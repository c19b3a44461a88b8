//! Commands on workers and keys.

use prost::bytes::Bytes;
use reeve_proto::internal as wire;
use wire::drain_actor::Actor;

use super::world::{
    ADMIN, CLOSED, DOWN, Drain, Id, Key, LOST, NEVER, OFFERED, OSERROR, Refused, RequestId, SUSPECT, Touched,
    UP, WORKER_ROLE, Worker, WorkerStatus, World,
};

type Done = Result<(), Refused>;

/// How a worker is heard: on a session, or by pings.
const SESSION: u32 = 1;
const PING: u32 = 2;
/// What follows a drain: the worker leaves.
const DISCONNECT: u32 = 1;

impl World {
    pub fn create_worker(&mut self, command: &wire::CreateWorker, by: Option<RequestId>) -> Done {
        let taken = self.worker_named(&command.name).is_some()
            || self.workers.contains_key(&command.id)
            || self.worker_by_token(&command.token_hash).is_some();
        if taken {
            return Err(Refused::Taken);
        }
        let session = command.profile == SESSION;
        let worker = Worker {
            name: command.name.clone(),
            profile: command.profile,
            region: command.region.clone(),
            labels: command.labels.clone(),
            configured: command.capacity,
            token: session.then(|| command.token_hash.clone()),
            token_expires: command.token_ttl_ms.filter(|_| session).map(|ttl| self.now + ttl),
            link: NEVER,
            link_since: self.now,
            created_by: by,
            ..Worker::default()
        };
        self.put_worker(command.id.clone(), worker);
        Ok(())
    }

    pub fn connect(&mut self, command: &wire::ConnectWorker) -> Done {
        let id = self
            .worker_by_token(&command.token_hash)
            .ok_or(Refused::Session)?;
        let mut worker = self.worker(&id)?;
        if worker.token_expires.is_some_and(|at| at <= self.now) {
            return Err(Refused::Session);
        }
        let granted = worker
            .attempt
            .as_ref()
            .filter(|(of, _)| *of == command.incarnation);
        if command.attempt != 0 && granted.is_some_and(|(_, number)| command.attempt <= *number) {
            return Err(Refused::Session);
        }
        worker.attempt = (command.attempt != 0).then(|| (command.incarnation.clone(), command.attempt));
        for (key, row) in self.of_worker(&id) {
            let held = command
                .held
                .iter()
                .any(|held| held.run == key.0 && held.epoch == row.epoch);
            if !held && row.status != OFFERED {
                self.end(key, row, CLOSED, OSERROR);
            }
        }
        worker.drain = self.drain_on_connect(&worker, command);
        worker.reported = Some(command.capacity);
        worker.said.0.clone_from(&command.version);
        worker.last_epoch += 1;
        worker.session = Some((worker.last_epoch, command.incarnation.clone()));
        worker.link = UP;
        worker.link_since = self.now;
        worker.issues = command.health.iter().map(|issue| issue.resource).collect();
        worker.rejected = false;
        worker.deleted_at = None;
        self.put_worker(id, worker);
        Ok(())
    }

    fn drain_on_connect(&self, worker: &Worker, command: &wire::ConnectWorker) -> Option<Drain> {
        let kept = worker.drain.clone().filter(|drain| match &drain.actor {
            Actor::Worker(incarnation) => *incarnation == command.incarnation,
            Actor::Admin(_) | Actor::Platform(_) => true,
        });
        let Some(timeout) = command.draining_ms else {
            return kept;
        };
        let own = Drain {
            actor: Actor::Worker(command.incarnation.clone()),
            reason: "the worker is shutting down".to_owned(),
            deadline: self.now + timeout,
            then: DISCONNECT,
            since: self.now,
        };
        match kept {
            Some(kept) if kept.outlives_process() => Some(hurried(kept, &own)),
            Some(kept) => Some(kept),
            None => Some(own),
        }
    }

    pub fn disconnect(&mut self, command: &wire::DisconnectWorker) -> Done {
        self.in_session(&command.worker, command.epoch)?;
        self.take_down(&command.worker)
    }

    pub fn set_link(&mut self, command: &wire::SetLink) -> Done {
        let mut worker = self.in_session(&command.worker, command.epoch)?;
        match command.link {
            DOWN => self.take_down(&command.worker),
            UP | SUSPECT => {
                if worker.link != command.link {
                    worker.link = command.link;
                    worker.link_since = self.now;
                    self.put_worker(command.worker.clone(), worker);
                }
                Ok(())
            }
            _ => Err(Refused::Status),
        }
    }

    /// The session is over: what the worker held is accounted for at once.
    fn take_down(&mut self, id: &Id) -> Done {
        let mut worker = self.worker(id)?;
        let held = self.of_worker(id);
        let nothing_held = held.is_empty();
        for (key, row) in held {
            if row.is_current() {
                let status = if row.all_closed() { CLOSED } else { LOST };
                self.end(key, row, status, OSERROR);
            }
        }
        worker.link = DOWN;
        worker.link_since = self.now;
        worker.drain = worker
            .drain
            .filter(|drain| drain.outlives_process() && !nothing_held);
        worker.session = None;
        self.put_worker(id.clone(), worker);
        Ok(())
    }

    pub fn set_health(&mut self, command: &wire::SetHealth) -> Done {
        let mut worker = self.in_session(&command.worker, command.epoch)?;
        let issues = command.issues.iter().map(|issue| issue.resource).collect();
        if worker.issues != issues {
            worker.issues = issues;
            self.put_worker(command.worker.clone(), worker);
        }
        Ok(())
    }

    pub fn set_drain(&mut self, command: &wire::SetDrain) -> Done {
        let mut worker = self.worker(&command.worker)?;
        let drain = match &command.drain {
            None if worker.deleted_at.is_some() => return Err(Refused::Status),
            None => None,
            Some(order) => Some(self.ordered(&worker, order)?),
        };
        if worker.drain != drain {
            worker.drain = drain;
            self.put_worker(command.worker.clone(), worker);
        }
        Ok(())
    }

    fn ordered(&self, worker: &Worker, order: &wire::DrainOrder) -> Result<Drain, Refused> {
        if matches!(worker.status(), WorkerStatus::Offline | WorkerStatus::Deleted) {
            return Err(Refused::Status);
        }
        let actor = order.actor.as_ref().and_then(|actor| actor.actor.clone());
        let actor = actor.ok_or(Refused::Status)?;
        let before = worker.drain.as_ref();
        let stopping = before.is_some_and(|drain| !drain.outlives_process());
        let asked = Drain {
            actor: actor.clone(),
            reason: order.reason.clone(),
            deadline: self.now + order.timeout_ms,
            then: if stopping { DISCONNECT } else { order.then },
            since: before.map_or(self.now, |drain| drain.since),
        };
        if let Actor::Worker(incarnation) = actor {
            if worker.session.as_ref().is_none_or(|(_, of)| *of != incarnation) {
                return Err(Refused::Session);
            }
            if let Some(kept) = worker.drain.clone().filter(Drain::outlives_process) {
                return Ok(hurried(kept, &asked));
            }
        }
        Ok(asked)
    }

    pub fn register(
        &mut self,
        command: &wire::RegisterWorker,
        by: Option<RequestId>,
        principal: Option<&Id>,
    ) -> Result<Id, Refused> {
        let said = (
            command.version.clone(),
            command.ip_address.clone(),
            command.function_blocks.clone(),
        );
        let Some(id) = self.worker_named(&command.name) else {
            if self.workers.contains_key(&command.id) {
                return Err(Refused::Taken);
            }
            let worker = Worker {
                name: command.name.clone(),
                profile: PING,
                region: command.region.clone(),
                labels: command.labels.clone(),
                configured: command.capacity,
                link: NEVER,
                link_since: self.now,
                created_by: by,
                registered_by: principal.cloned(),
                said,
                ..Worker::default()
            };
            self.put_worker(command.id.clone(), worker);
            return Ok(command.id.clone());
        };
        let before = self.worker(&id)?;
        if before.status() == WorkerStatus::Online || before.profile != PING {
            return Err(Refused::Taken);
        }
        self.may_speak_for(principal, &before)?;
        let owner = principal.cloned().or_else(|| before.registered_by.clone());
        let same = before.said == said
            && before.region == command.region
            && before.labels == command.labels
            && before.configured == command.capacity
            && before.registered_by == owner;
        if !same {
            let worker = Worker {
                region: command.region.clone(),
                labels: command.labels.clone(),
                configured: command.capacity,
                registered_by: owner,
                said,
                ..before
            };
            self.put_worker(id.clone(), worker);
        }
        Ok(id)
    }

    /// A key of the role WORKER speaks only for what it registered itself, or for what no key in force registered.
    fn may_speak_for(&self, principal: Option<&Id>, worker: &Worker) -> Done {
        let Some(principal) = principal else {
            return Ok(());
        };
        let bound = self
            .keys
            .get(principal)
            .is_some_and(|key| key.role == WORKER_ROLE);
        let other = worker.registered_by.as_ref().filter(|owner| *owner != principal);
        match other {
            Some(owner) if bound && self.key_in_force(owner).is_ok() => Err(Refused::Caller),
            Some(_) | None => Ok(()),
        }
    }

    fn ping_worker(&self, id: &Id, principal: Option<&Id>) -> Result<Worker, Refused> {
        let worker = self.living(id)?;
        if worker.profile != PING {
            return Err(Refused::Status);
        }
        self.may_speak_for(principal, &worker)?;
        Ok(worker)
    }

    pub fn ping(&mut self, command: &wire::PingWorker, principal: Option<&Id>) -> Done {
        let mut worker = self.ping_worker(&command.worker, principal)?;
        let issues = command.health.iter().map(|issue| issue.resource).collect();
        let mut changed = worker.issues != issues;
        worker.issues = issues;
        if worker.link != UP {
            changed = true;
            if worker.link != SUSPECT {
                worker.last_epoch += 1;
                worker.session = Some((worker.last_epoch, Bytes::new()));
            }
            worker.link = UP;
            worker.link_since = self.now;
        }
        if changed {
            self.put_worker(command.worker.clone(), worker);
        }
        Ok(())
    }

    pub fn unregister(&mut self, command: &wire::UnregisterWorker, principal: Option<&Id>) -> Done {
        let worker = self.ping_worker(&command.worker, principal)?;
        if worker.session.is_some() {
            self.take_down(&command.worker)?;
        }
        Ok(())
    }

    pub fn regenerate_token(&mut self, command: &wire::RegenerateToken) -> Done {
        let mut worker = self.living(&command.worker)?;
        if worker.profile != SESSION {
            return Err(Refused::Status);
        }
        if self.worker_by_token(&command.token_hash).is_some() {
            return Err(Refused::Taken);
        }
        worker.token = Some(command.token_hash.clone());
        worker.token_expires = command.token_ttl_ms.map(|ttl| self.now + ttl);
        worker.rejected = worker.session.is_some();
        self.put_worker(command.worker.clone(), worker);
        Ok(())
    }

    pub fn expire_token(&mut self, command: &wire::ExpireToken) -> Done {
        let mut worker = self.living(&command.worker)?;
        if worker.rejected {
            return Ok(());
        }
        if worker.token_expires.is_none_or(|at| self.now < at) {
            return Err(Refused::NotYet);
        }
        worker.rejected = true;
        self.put_worker(command.worker.clone(), worker);
        Ok(())
    }

    pub fn delete_worker(&mut self, command: &wire::DeleteWorker) -> Done {
        let worker = self.living(&command.worker)?;
        if let Some(least) = command.offline_for_ms {
            let long_enough = self.now.saturating_sub(worker.link_since) >= least;
            if worker.status() != WorkerStatus::Offline || !long_enough {
                return Err(Refused::NotYet);
            }
        }
        let busy = self
            .of_worker(&command.worker)
            .iter()
            .any(|(_, row)| row.is_current());
        if busy && !command.force {
            return Err(Refused::Status);
        }
        if worker.session.is_some() {
            self.take_down(&command.worker)?;
        }
        for (key, row) in self.of_worker(&command.worker) {
            self.end(key, row, CLOSED, OSERROR);
        }
        let mut worker = self.worker(&command.worker)?;
        worker.deleted_at = Some(self.now);
        worker.drain = None;
        worker.rejected = false;
        if let Some(request) = worker.created_by.take() {
            self.requests.remove(&request);
        }
        self.put_worker(command.worker.clone(), worker);
        Ok(())
    }

    pub fn purge_worker(&mut self, command: &wire::PurgeWorker) -> Done {
        let worker = self.worker(&command.worker)?;
        let due = worker
            .deleted_at
            .is_some_and(|at| self.now.saturating_sub(at) >= command.retention_ms);
        if !due {
            return Err(Refused::NotYet);
        }
        self.workers.remove(&command.worker);
        self.touch(Touched::Other);
        Ok(())
    }

    pub fn create_key(&mut self, command: &wire::CreateKey) -> Done {
        if command.bootstrap && !self.keys.is_empty() {
            return Err(Refused::Taken);
        }
        let taken = self.keys.contains_key(&command.id)
            || self
                .keys
                .values()
                .any(|key| key.hash == command.hash || (!key.revoked && key.name == command.name));
        if taken {
            return Err(Refused::Taken);
        }
        let key = Key {
            role: command.role,
            name: command.name.clone(),
            project: command.project.clone(),
            hash: command.hash.clone(),
            expires: command.ttl_ms.map(|ttl| self.now + ttl),
            revoked: false,
        };
        self.keys.insert(command.id.clone(), key);
        self.touch(Touched::Other);
        Ok(())
    }

    pub fn revoke_key(&mut self, command: &wire::RevokeKey) -> Done {
        let key = self.keys.get(&command.key).ok_or(Refused::Missing)?;
        if key.revoked {
            return Ok(());
        }
        let in_force = |key: &Key| !key.revoked && key.expires.is_none_or(|at| at > self.now);
        let others = self
            .keys
            .iter()
            .any(|(id, other)| *id != command.key && other.role == ADMIN && in_force(other));
        if key.role == ADMIN && in_force(key) && !others {
            return Err(Refused::Status);
        }
        if let Some(key) = self.keys.get_mut(&command.key) {
            key.revoked = true;
        }
        self.touch(Touched::Other);
        Ok(())
    }

    fn worker(&self, id: &Id) -> Result<Worker, Refused> {
        self.workers.get(id).cloned().ok_or(Refused::Missing)
    }

    fn living(&self, id: &Id) -> Result<Worker, Refused> {
        let worker = self.worker(id)?;
        match worker.deleted_at {
            Some(_) => Err(Refused::Missing),
            None => Ok(worker),
        }
    }

    fn in_session(&self, id: &Id, epoch: u64) -> Result<Worker, Refused> {
        let worker = self.worker(id)?;
        match &worker.session {
            Some((of, _)) if *of == epoch => Ok(worker),
            Some(_) | None => Err(Refused::Session),
        }
    }

    fn worker_named(&self, name: &str) -> Option<Id> {
        let mut living = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.deleted_at.is_none());
        living
            .find(|(_, worker)| worker.name == name)
            .map(|(id, _)| id.clone())
    }

    fn worker_by_token(&self, token: &Bytes) -> Option<Id> {
        let mut living = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.deleted_at.is_none());
        living
            .find(|(_, worker)| worker.token.as_ref() == Some(token))
            .map(|(id, _)| id.clone())
    }

    fn put_worker(&mut self, id: Id, worker: Worker) {
        self.workers.insert(id.clone(), worker);
        self.touch(Touched::Worker(id));
    }
}

/// A process that stops can only hurry what another asked for.
fn hurried(kept: Drain, own: &Drain) -> Drain {
    Drain {
        deadline: kept.deadline.min(own.deadline),
        then: DISCONNECT,
        ..kept
    }
}
