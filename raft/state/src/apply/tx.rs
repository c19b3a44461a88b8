//! A command in progress: reads see its own writes, and nothing is visible outside until it commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apply::access::Actor;
use crate::apply::{history, outbox};
use crate::change::{Change, Delta};
use crate::command::{ObjectKind, Refusal};
use crate::id::{KeyId, ProbeId, ProjectName, Revision, RunId, ScopedName, TestId, WebhookId, WorkerId};
use crate::record::{
    ApiKey, Assignment, AssignmentKey, ChunkKey, Delivery, DeliveryKey, KEPT_EVENTS, KEPT_SLOTS, Manifest,
    ManifestKey, MediaFile, Probe, ProbeSlot, ProbeSlotKey, Project, Registrar, RequestKey, RequestRecord,
    Run, RunSummary, SipAccount, SipAccountKey, SipLease, SipLeaseKey, Test, Webhook, Worker, WorkerEvent,
    WorkerEventKey, is_flap,
};
use crate::state::{Meta, State};
use crate::time::Time;
use crate::transition::endpoint::EndpointChunk;

/// Identifies a row over all tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RowKey {
    Test(TestId),
    Run(RunId),
    Assignment(AssignmentKey),
    Chunk(ChunkKey),
    Worker(WorkerId),
    Request(RequestKey),
    Event(WorkerEventKey),
    Key(KeyId),
    Webhook(WebhookId),
    Delivery(DeliveryKey),
    Probe(ProbeId),
    ProbeSlot(ProbeSlotKey),
    Manifest(ManifestKey),
    Summary(RunId),
    Project(ProjectName),
    Registrar(ScopedName),
    SipAccount(SipAccountKey),
    SipLease(SipLeaseKey),
    Media(ScopedName),
}

/// A command in progress. It writes in place and remembers what was there, so that nothing is copied for commands that
/// succeed, and a refusal takes everything back.
pub(super) struct Tx<'a> {
    state: &'a mut State,
    meta: Meta,
    actor: Actor,
    principal: Option<KeyId>,
    changes: Vec<Change>,
    position: BTreeMap<RowKey, usize>,
}

impl<'a> Tx<'a> {
    pub(super) fn begin(state: &'a mut State, actor: Actor, principal: Option<KeyId>) -> Self {
        let meta = state.meta;
        Self {
            state,
            meta,
            actor,
            principal,
            changes: Vec::new(),
            position: BTreeMap::new(),
        }
    }

    /// Keeps the changes; a command that changed nothing takes no revision.
    pub(super) fn commit(self) -> (Revision, Vec<Change>) {
        if !self.changes.is_empty() || self.state.meta != self.meta {
            self.state.meta.revision = self.meta.revision.next();
        }
        (self.state.meta.revision, self.changes)
    }

    /// Takes everything back.
    pub(super) fn roll_back(self) {
        for change in self.changes.into_iter().rev() {
            self.state.set(change.inverse());
        }
        self.state.meta = self.meta;
    }

    /// The state with this command's writes.
    pub(super) fn state(&self) -> &State {
        self.state
    }

    /// Cluster time.
    pub(super) fn now(&self) -> Time {
        self.state.meta.cluster_time
    }

    /// The caller's key; none: a node or a worker on its session.
    pub(super) fn principal(&self) -> Option<KeyId> {
        self.principal
    }

    /// The revision that this command gets if it changes something.
    pub(super) fn revision(&self) -> Revision {
        self.meta.revision.next()
    }

    pub(super) fn raise_cluster_version(&mut self, version: u32) {
        self.state.meta.cluster_version = version;
    }

    pub(super) fn test(&self, id: TestId) -> Result<Arc<Test>, Refusal> {
        self.state
            .test(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Test, id))
    }

    pub(super) fn run(&self, id: RunId) -> Result<Arc<Run>, Refusal> {
        self.state
            .run(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Run, id))
    }

    pub(super) fn worker(&self, id: WorkerId) -> Result<Arc<Worker>, Refusal> {
        self.state
            .worker(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Worker, id))
    }

    /// The worker with this id, unless it is deleted.
    pub(super) fn living_worker(&self, id: WorkerId) -> Result<Arc<Worker>, Refusal> {
        let worker = self.worker(id)?;
        if worker.facts.deleted_at.is_some() {
            return Err(not_found(ObjectKind::Worker, id));
        }
        Ok(worker)
    }

    pub(super) fn key(&self, id: KeyId) -> Result<Arc<ApiKey>, Refusal> {
        self.state
            .key(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Key, id))
    }

    pub(super) fn project(&self, name: &ProjectName) -> Result<Arc<Project>, Refusal> {
        self.state
            .project(name)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Project, name))
    }

    /// Who asked, as records show it.
    pub(super) fn actor(&self) -> String {
        self.actor.shown("")
    }

    pub(super) fn probe(&self, id: ProbeId) -> Result<Arc<Probe>, Refusal> {
        self.state
            .probe(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Probe, id))
    }

    pub(super) fn put_test(&mut self, mut row: Test) {
        row.revision = self.revision();
        let before = self.state.tests.get(&row.id).cloned();
        self.set(
            RowKey::Test(row.id),
            Change::Test(Delta {
                key: row.id,
                before,
                after: Some(Arc::new(row)),
            }),
        );
    }

    pub(super) fn remove_test(&mut self, id: TestId) {
        let before = self.state.tests.get(&id).cloned();
        self.set(
            RowKey::Test(id),
            Change::Test(Delta {
                key: id,
                before,
                after: None,
            }),
        );
    }

    /// Writes a run, and tells the webhooks that want to know of the statuses that are new in it.
    pub(super) fn put_run(&mut self, mut row: Run) {
        row.revision = self.revision();
        let before = self.state.runs.get(&row.id).cloned();
        let after = Arc::new(row);
        outbox::run_changed(self, before.as_deref(), &after);
        self.set(
            RowKey::Run(after.id),
            Change::Run(Delta {
                key: after.id,
                before,
                after: Some(after),
            }),
        );
    }

    pub(super) fn put_assignment(&mut self, mut row: Assignment) {
        row.revision = self.revision();
        let before = self.state.assignments.get(&row.key).cloned();
        let delta = Delta {
            key: row.key,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Assignment(delta.key), Change::Assignment(delta));
    }

    pub(super) fn put_chunk(&mut self, key: ChunkKey, row: EndpointChunk) {
        let before = self.state.chunks.get(&key).cloned();
        self.set(
            RowKey::Chunk(key),
            Change::Chunk(Delta {
                key,
                before,
                after: Some(Arc::new(row)),
            }),
        );
    }

    /// Writes a worker, and what that means into its history.
    pub(super) fn put_worker(&mut self, mut row: Worker) {
        row.revision = self.revision();
        let before = self.state.workers.get(&row.id).cloned();
        self.put_events(before.as_deref(), &mut row);
        self.set(
            RowKey::Worker(row.id),
            Change::Worker(Delta {
                key: row.id,
                before,
                after: Some(Arc::new(row)),
            }),
        );
    }

    /// The first event of a change carries the change of status, so that each is told once.
    fn put_events(&mut self, before: Option<&Worker>, row: &mut Worker) {
        let status = row.status();
        let mut status_before = before.map(Worker::status);
        if is_flap(status_before, status) {
            row.flaps += 1;
        }
        let session = row.session.or_else(|| before.and_then(|before| before.session));
        for happened in history::happened(before, row) {
            row.events += 1;
            self.put_event(WorkerEvent {
                key: WorkerEventKey {
                    worker: row.id,
                    seq: row.events,
                },
                at: self.now(),
                kind: happened.kind,
                status_before,
                status,
                node: session.map(|session| session.node),
                epoch: row.last_epoch,
                actor: self.actor.shown(&row.name),
                message: happened.message,
                revision: self.revision(),
            });
            status_before = Some(status);
        }
    }

    fn put_event(&mut self, row: WorkerEvent) {
        let key = row.key;
        if let Some(oldest) = key.seq.checked_sub(KEPT_EVENTS).filter(|seq| *seq > 0) {
            self.remove_event(WorkerEventKey { seq: oldest, ..key });
        }
        self.set(
            RowKey::Event(key),
            Change::Event(Delta {
                key,
                before: None,
                after: Some(Arc::new(row)),
            }),
        );
    }

    fn remove_event(&mut self, key: WorkerEventKey) {
        let Some(before) = self.state.events.get(&key).cloned() else {
            return;
        };
        let delta = Delta {
            key,
            before: Some(before),
            after: None,
        };
        self.set(RowKey::Event(key), Change::Event(delta));
    }

    /// Forgets a tombstone with its history.
    pub(super) fn remove_worker(&mut self, worker: &Arc<Worker>) {
        let events: Vec<WorkerEventKey> = self
            .state
            .worker_events(worker.id)
            .map(|event| event.key)
            .collect();
        for key in events {
            self.remove_event(key);
        }
        let delta = Delta {
            key: worker.id,
            before: Some(Arc::clone(worker)),
            after: None,
        };
        self.set(RowKey::Worker(worker.id), Change::Worker(delta));
    }

    pub(super) fn put_key(&mut self, mut row: ApiKey) {
        row.revision = self.revision();
        let before = self.state.keys.get(&row.id).cloned();
        let delta = Delta {
            key: row.id,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Key(delta.key), Change::Key(delta));
    }

    /// Writes a probe: the one place through which every change of a health passes.
    pub(super) fn put_probe(&mut self, mut row: Probe) {
        row.revision = self.revision();
        let before = self.state.probes.get(&row.id).cloned();
        outbox::probe_changed(self, before.as_deref(), &mut row);
        let delta = Delta {
            key: row.id,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Probe(delta.key), Change::Probe(delta));
    }

    /// Forgets a probe with its slots.
    pub(super) fn remove_probe(&mut self, probe: &Arc<Probe>) {
        let slots: Vec<ProbeSlotKey> = self.state.probe_slots(probe.id).map(|slot| slot.key).collect();
        for key in slots {
            self.remove_probe_slot(key);
        }
        let delta = Delta {
            key: probe.id,
            before: Some(Arc::clone(probe)),
            after: None,
        };
        self.set(RowKey::Probe(delta.key), Change::Probe(delta));
    }

    /// Writes a slot. A new one makes the oldest be forgotten, once there are too many.
    pub(super) fn put_probe_slot(&mut self, mut row: ProbeSlot) {
        row.revision = self.revision();
        let key = row.key;
        let before = self.state.probe_slots.get(&key).cloned();
        if before.is_none() {
            let surplus = self.state.probe_slots(key.probe).nth(KEPT_SLOTS - 1).is_some();
            let oldest = self.state.probe_slots(key.probe).next().map(|slot| slot.key);
            if let Some(oldest) = oldest.filter(|_| surplus) {
                self.remove_probe_slot(oldest);
            }
        }
        let delta = Delta {
            key,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::ProbeSlot(key), Change::ProbeSlot(delta));
    }

    fn remove_probe_slot(&mut self, key: ProbeSlotKey) {
        let Some(before) = self.state.probe_slots.get(&key).cloned() else {
            return;
        };
        let delta = Delta {
            key,
            before: Some(before),
            after: None,
        };
        self.set(RowKey::ProbeSlot(key), Change::ProbeSlot(delta));
    }

    pub(super) fn put_manifest(&mut self, mut row: Manifest) {
        row.revision = self.revision();
        let before = self.state.manifests.get(&row.key).cloned();
        let delta = Delta {
            key: row.key,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Manifest(delta.key), Change::Manifest(delta));
    }

    pub(super) fn put_summary(&mut self, mut row: RunSummary) {
        row.revision = self.revision();
        let before = self.state.summaries.get(&row.run).cloned();
        let delta = Delta {
            key: row.run,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Summary(delta.key), Change::Summary(delta));
    }

    /// Forgets a run with everything that belongs to it; the summary before the run, as the index needs it.
    pub(super) fn remove_run(&mut self, run: &Arc<Run>) {
        let manifests: Vec<Arc<Manifest>> = self.state.manifests(run.id).cloned().collect();
        for row in manifests {
            self.set(
                RowKey::Manifest(row.key),
                Change::Manifest(Delta::removal(row.key, row)),
            );
        }
        if let Some(row) = self.state.summaries.get(&run.id).cloned() {
            self.set(
                RowKey::Summary(run.id),
                Change::Summary(Delta::removal(run.id, row)),
            );
        }
        let assignments: Vec<Arc<Assignment>> = self.state.assignments(run.id).cloned().collect();
        for row in assignments {
            for chunk in 0..row.chunks() {
                let key = ChunkKey {
                    assignment: row.key,
                    chunk,
                };
                if let Some(chunk) = self.state.chunks.get(&key).cloned() {
                    self.set(RowKey::Chunk(key), Change::Chunk(Delta::removal(key, chunk)));
                }
            }
            self.set(
                RowKey::Assignment(row.key),
                Change::Assignment(Delta::removal(row.key, row)),
            );
        }
        self.set(
            RowKey::Run(run.id),
            Change::Run(Delta::removal(run.id, Arc::clone(run))),
        );
    }

    pub(super) fn put_project(&mut self, mut row: Project) {
        row.revision = self.revision();
        let before = self.state.projects.get(&row.name).cloned();
        let delta = Delta {
            key: row.name.clone(),
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Project(delta.key.clone()), Change::Project(delta));
    }

    pub(super) fn remove_project(&mut self, row: &Arc<Project>) {
        let delta = Delta {
            key: row.name.clone(),
            before: Some(Arc::clone(row)),
            after: None,
        };
        self.set(RowKey::Project(delta.key.clone()), Change::Project(delta));
    }

    pub(super) fn webhook(&self, id: WebhookId) -> Result<Arc<Webhook>, Refusal> {
        self.state
            .webhook(id)
            .cloned()
            .ok_or_else(|| not_found(ObjectKind::Webhook, id))
    }

    pub(super) fn put_webhook(&mut self, mut row: Webhook) {
        row.revision = self.revision();
        let before = self.state.webhooks.get(&row.id).cloned();
        let delta = Delta {
            key: row.id,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Webhook(delta.key), Change::Webhook(delta));
    }

    pub(super) fn put_delivery(&mut self, mut row: Delivery) {
        row.revision = self.revision();
        let before = self.state.deliveries.get(&row.key).cloned();
        let delta = Delta {
            key: row.key,
            before,
            after: Some(Arc::new(row)),
        };
        self.set(RowKey::Delivery(delta.key), Change::Delivery(delta));
    }

    pub(super) fn remove_delivery(&mut self, key: DeliveryKey) {
        let Some(before) = self.state.deliveries.get(&key).cloned() else {
            return;
        };
        let delta = Delta {
            key,
            before: Some(before),
            after: None,
        };
        self.set(RowKey::Delivery(key), Change::Delivery(delta));
    }

    /// Forgets a webhook with everything that was on its way to it.
    pub(super) fn remove_webhook(&mut self, webhook: &Arc<Webhook>) {
        let deliveries: Vec<DeliveryKey> = self.state.deliveries(webhook.id).map(|row| row.key).collect();
        for key in deliveries {
            self.remove_delivery(key);
        }
        let delta = Delta {
            key: webhook.id,
            before: Some(Arc::clone(webhook)),
            after: None,
        };
        self.set(RowKey::Webhook(webhook.id), Change::Webhook(delta));
    }

    /// Writes or removes a registrar.
    pub(super) fn set_registrar(&mut self, key: ScopedName, mut after: Option<Registrar>) {
        if let Some(row) = &mut after {
            row.revision = self.revision();
        }
        let delta = Delta {
            before: self.state.registrars.get(&key).cloned(),
            after: after.map(Arc::new),
            key: key.clone(),
        };
        self.set(RowKey::Registrar(key), Change::Registrar(delta));
    }

    /// Writes or removes an account.
    pub(super) fn set_account(&mut self, key: SipAccountKey, mut after: Option<SipAccount>) {
        if let Some(row) = &mut after {
            row.revision = self.revision();
        }
        let delta = Delta {
            before: self.state.sip_accounts.get(&key).cloned(),
            after: after.map(Arc::new),
            key: key.clone(),
        };
        self.set(RowKey::SipAccount(key), Change::SipAccount(delta));
    }

    /// Writes or removes what a group uses.
    pub(super) fn set_lease(&mut self, key: SipLeaseKey, mut after: Option<SipLease>) {
        if let Some(row) = &mut after {
            row.revision = self.revision();
        }
        let delta = Delta {
            before: self.state.sip_leases.get(&key).cloned(),
            after: after.map(Arc::new),
            key,
        };
        self.set(RowKey::SipLease(key), Change::SipLease(delta));
    }

    /// Writes or removes a media file.
    pub(super) fn set_media(&mut self, key: ScopedName, mut after: Option<MediaFile>) {
        if let Some(row) = &mut after {
            row.revision = self.revision();
        }
        let delta = Delta {
            before: self.state.media.get(&key).cloned(),
            after: after.map(Arc::new),
            key: key.clone(),
        };
        self.set(RowKey::Media(key), Change::Media(delta));
    }

    pub(super) fn put_request(&mut self, row: RequestRecord) {
        let key = row.key.clone();
        let before = self.state.requests.get(&key).cloned();
        self.set(
            RowKey::Request(key.clone()),
            Change::Request(Delta {
                key,
                before,
                after: Some(Arc::new(row)),
            }),
        );
    }

    pub(super) fn remove_request(&mut self, key: &RequestKey) {
        let Some(before) = self.state.requests.get(key).cloned() else {
            return;
        };
        let delta = Delta {
            key: key.clone(),
            before: Some(before),
            after: None,
        };
        self.set(RowKey::Request(key.clone()), Change::Request(delta));
    }

    /// Writes a row. Written twice by one command, it is one change: from what it was to what it is at the end.
    fn set(&mut self, key: RowKey, change: Change) {
        self.state.set(change.clone());
        match self.position.get(&key) {
            Some(&position) => self.changes[position] = merged(&self.changes[position], change),
            None => {
                self.position.insert(key, self.changes.len());
                self.changes.push(change);
            }
        }
    }
}

fn merged(first: &Change, last: Change) -> Change {
    fn keep<K: Clone, V>(first: &Delta<K, V>, last: Delta<K, V>) -> Delta<K, V> {
        Delta {
            before: first.before.clone(),
            ..last
        }
    }
    match (first, last) {
        (Change::Test(first), Change::Test(last)) => Change::Test(keep(first, last)),
        (Change::Run(first), Change::Run(last)) => Change::Run(keep(first, last)),
        (Change::Assignment(first), Change::Assignment(last)) => Change::Assignment(keep(first, last)),
        (Change::Chunk(first), Change::Chunk(last)) => Change::Chunk(keep(first, last)),
        (Change::Worker(first), Change::Worker(last)) => Change::Worker(keep(first, last)),
        (Change::Request(first), Change::Request(last)) => Change::Request(keep(first, last)),
        (Change::Event(first), Change::Event(last)) => Change::Event(keep(first, last)),
        (Change::Key(first), Change::Key(last)) => Change::Key(keep(first, last)),
        (Change::Webhook(first), Change::Webhook(last)) => Change::Webhook(keep(first, last)),
        (Change::Delivery(first), Change::Delivery(last)) => Change::Delivery(keep(first, last)),
        (Change::Probe(first), Change::Probe(last)) => Change::Probe(keep(first, last)),
        (Change::ProbeSlot(first), Change::ProbeSlot(last)) => Change::ProbeSlot(keep(first, last)),
        (Change::Manifest(first), Change::Manifest(last)) => Change::Manifest(keep(first, last)),
        (Change::Summary(first), Change::Summary(last)) => Change::Summary(keep(first, last)),
        (Change::Project(first), Change::Project(last)) => Change::Project(keep(first, last)),
        (Change::Registrar(first), Change::Registrar(last)) => Change::Registrar(keep(first, last)),
        (Change::SipAccount(first), Change::SipAccount(last)) => Change::SipAccount(keep(first, last)),
        (Change::SipLease(first), Change::SipLease(last)) => Change::SipLease(keep(first, last)),
        (Change::Media(first), Change::Media(last)) => Change::Media(keep(first, last)),
        (
            Change::Test(_)
            | Change::Run(_)
            | Change::Assignment(_)
            | Change::Chunk(_)
            | Change::Worker(_)
            | Change::Request(_)
            | Change::Event(_)
            | Change::Key(_)
            | Change::Webhook(_)
            | Change::Delivery(_)
            | Change::Probe(_)
            | Change::ProbeSlot(_)
            | Change::Manifest(_)
            | Change::Summary(_)
            | Change::Project(_)
            | Change::Registrar(_)
            | Change::SipAccount(_)
            | Change::SipLease(_)
            | Change::Media(_),
            last,
        ) => last,
    }
}

pub(super) fn not_found(kind: ObjectKind, id: impl ToString) -> Refusal {
    Refusal::NotFound {
        kind,
        id: id.to_string(),
    }
}
