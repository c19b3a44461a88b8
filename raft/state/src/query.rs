//! Questions to the state.

mod sip;
mod webhook;

use std::sync::Arc;

use crate::change::Row;
use crate::id::{AssignmentEpoch, KeyHash, KeyId, ProbeId, ProjectName, RunId, TestId, TokenHash, WorkerId};
use crate::record::{
    ApiKey, Assignment, AssignmentKey, ChunkKey, EndpointCounts, EvidenceKind, Group, Manifest, ManifestKey,
    Probe, ProbeSlot, ProbeSlotKey, Project, RequestKey, RequestRecord, Run, RunSummary, Test, Usage, Worker,
    WorkerEvent, WorkerEventKey,
};
use crate::state::{Meta, State};
use crate::time::Time;
use crate::transition::endpoint::{CHUNK_ENDPOINTS, EndpointChunk, EndpointState};

impl State {
    /// What is true of the state as a whole.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The test with this id.
    pub fn test(&self, id: TestId) -> Option<&Arc<Test>> {
        self.tests.get(&id)
    }

    /// The test of this name in a project.
    pub fn test_named(&self, project: &ProjectName, name: &str) -> Option<&Arc<Test>> {
        self.index
            .test_by_name
            .get(&(project.clone(), name.to_owned()))
            .and_then(|id| self.tests.get(id))
    }

    /// All tests by id, oldest first.
    pub fn tests(&self) -> impl DoubleEndedIterator<Item = &Arc<Test>> {
        self.tests.values()
    }

    /// The run with this id.
    pub fn run(&self, id: RunId) -> Option<&Arc<Run>> {
        self.runs.get(&id)
    }

    /// All runs by id, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Arc<Run>> {
        self.runs.values()
    }

    /// Runs before `id`, newest first: for pages.
    pub fn runs_before(&self, id: Option<RunId>) -> impl Iterator<Item = &Arc<Run>> {
        let upper = id.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.runs
            .range((std::ops::Bound::Unbounded, upper))
            .rev()
            .map(|(_, run)| run)
    }

    /// Runs that are not terminal, oldest first.
    pub fn live_runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.index.live_runs.iter().filter_map(|id| self.runs.get(id))
    }

    /// A run's assignments by ordinal.
    pub fn assignments(&self, run: RunId) -> impl Iterator<Item = &Arc<Assignment>> {
        let from = AssignmentKey { run, ordinal: 0 };
        let to = AssignmentKey {
            run,
            ordinal: u32::MAX,
        };
        self.assignments
            .range(from..=to)
            .map(|(_, assignment)| assignment)
    }

    /// The assignment with this key.
    pub fn assignment(&self, key: AssignmentKey) -> Option<&Arc<Assignment>> {
        self.assignments.get(&key)
    }

    /// The assignment of a run with this epoch.
    pub fn assignment_by_epoch(&self, run: RunId, epoch: AssignmentEpoch) -> Option<&Arc<Assignment>> {
        let ordinal = u32::try_from(epoch.0.checked_sub(1)?).ok()?;
        self.assignments.get(&AssignmentKey { run, ordinal })
    }

    /// Assignments that hold capacity on a worker.
    pub fn worker_assignments(&self, worker: WorkerId) -> impl Iterator<Item = &Arc<Assignment>> {
        let nil = RunId::from_bytes([0; 16]);
        let from = (worker, AssignmentKey { run: nil, ordinal: 0 });
        self.index
            .worker_assignments
            .range(from..)
            .take_while(move |(id, _)| *id == worker)
            .filter_map(|(_, key)| self.assignments.get(key))
    }

    /// A run's endpoints by phase and outcome, over all assignments that started.
    pub fn run_counts(&self, run: RunId) -> EndpointCounts {
        let mut sum = EndpointCounts::default();
        for assignment in self.assignments(run) {
            sum.add(&assignment.counts);
        }
        sum
    }

    /// A chunk of endpoints; `None` while all of them are in their first phase.
    pub fn chunk(&self, key: ChunkKey) -> Option<&Arc<EndpointChunk>> {
        self.chunks.get(&key)
    }

    /// One endpoint of an assignment; `None` if there is no such endpoint or it does not exist yet.
    pub fn endpoint(&self, assignment: &Assignment, offset: u32) -> Option<EndpointState> {
        if !assignment.started || offset >= assignment.count {
            return None;
        }
        let key = ChunkKey {
            assignment: assignment.key,
            chunk: offset / CHUNK_ENDPOINTS,
        };
        match self.chunks.get(&key) {
            Some(chunk) => chunk.get((offset % CHUNK_ENDPOINTS) as usize),
            None => Some(EndpointState::BEGIN),
        }
    }

    /// The worker with this id.
    pub fn worker(&self, id: WorkerId) -> Option<&Arc<Worker>> {
        self.workers.get(&id)
    }

    /// The worker of this name, unless it is deleted.
    pub fn worker_named(&self, name: &str) -> Option<&Arc<Worker>> {
        self.index
            .worker_by_name
            .get(name)
            .and_then(|id| self.workers.get(id))
    }

    /// The worker whose token hashes to this.
    pub fn worker_by_token(&self, hash: TokenHash) -> Option<&Arc<Worker>> {
        self.index
            .worker_by_token
            .get(&hash)
            .and_then(|id| self.workers.get(id))
    }

    /// All workers by id, oldest first.
    pub fn workers(&self) -> impl DoubleEndedIterator<Item = &Arc<Worker>> {
        self.workers.values()
    }

    /// All workers by name, deleted ones left out, beginning after `name`: for pages.
    pub fn workers_after(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<Worker>> {
        let lower = name.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.index
            .worker_by_name
            .range::<_, str>((lower, std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.workers.get(id))
    }

    /// How many workers there are, deleted ones included.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Endpoints that assignments reserve on a worker.
    pub fn reserved(&self, worker: WorkerId) -> u32 {
        self.index.reserved.get(&worker).copied().unwrap_or(0)
    }

    /// Endpoints that a worker could still take, its status left aside.
    pub fn free(&self, worker: &Worker) -> u32 {
        worker.capacity().saturating_sub(self.reserved(worker.id))
    }

    /// Endpoints with executor `sip` that assignments reserve on a worker. O(its assignments).
    pub fn sip_reserved(&self, worker: WorkerId) -> u32 {
        self.worker_assignments(worker)
            .filter(|assignment| {
                self.run(assignment.key.run)
                    .and_then(|run| run.definition.groups.get(assignment.group as usize))
                    .is_some_and(Group::is_sip)
            })
            .fold(0, |sum, assignment| sum.saturating_add(assignment.count))
    }

    /// Endpoints with executor `sip` that a worker could still take, its status left aside.
    pub fn sip_free(&self, worker: &Worker) -> u32 {
        let free = worker.sip_capacity().saturating_sub(self.sip_reserved(worker.id));
        free.min(self.free(worker))
    }

    /// The remembered answer to a request.
    pub fn request(&self, key: &RequestKey) -> Option<&Arc<RequestRecord>> {
        self.requests.get(key)
    }

    /// The events of a worker that are kept, oldest first.
    pub fn worker_events(&self, worker: WorkerId) -> impl DoubleEndedIterator<Item = &Arc<WorkerEvent>> {
        let from = WorkerEventKey { worker, seq: 0 };
        let to = WorkerEventKey {
            worker,
            seq: u64::MAX,
        };
        self.events.range(from..=to).map(|(_, event)| event)
    }

    /// Workers whose token runs out, soonest first; those that were told are left out.
    pub fn expiring_tokens(&self) -> impl Iterator<Item = (Time, WorkerId)> + '_ {
        self.index.expiring_tokens.iter().copied()
    }

    /// Ping workers that are OFFLINE, those that are longest so first.
    pub fn offline_ping_workers(&self) -> impl Iterator<Item = (Time, WorkerId)> + '_ {
        self.index.offline_ping.iter().copied()
    }

    /// Workers that are deleted, oldest tombstone first.
    pub fn deleted_workers(&self) -> impl Iterator<Item = (Time, WorkerId)> + '_ {
        self.index.deleted.iter().copied()
    }

    /// The key with this id, revoked or not.
    pub fn key(&self, id: KeyId) -> Option<&Arc<ApiKey>> {
        self.keys.get(&id)
    }

    /// The key of this name that is not revoked.
    pub fn key_named(&self, name: &str) -> Option<&Arc<ApiKey>> {
        self.index.key_by_name.get(name).and_then(|id| self.keys.get(id))
    }

    /// The key that hashes to this, revoked or not.
    pub fn key_by_hash(&self, hash: KeyHash) -> Option<&Arc<ApiKey>> {
        self.index.key_by_hash.get(&hash).and_then(|id| self.keys.get(id))
    }

    /// All keys by id, oldest first, revoked ones too.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Arc<ApiKey>> {
        self.keys.values()
    }

    /// The probe with this id.
    pub fn probe(&self, id: ProbeId) -> Option<&Arc<Probe>> {
        self.probes.get(&id)
    }

    /// The probe of this name in a project.
    pub fn probe_named(&self, project: &ProjectName, name: &str) -> Option<&Arc<Probe>> {
        self.index
            .probe_by_name
            .get(&(project.clone(), name.to_owned()))
            .and_then(|id| self.probes.get(id))
    }

    /// All probes by id, oldest first.
    pub fn probes(&self) -> impl DoubleEndedIterator<Item = &Arc<Probe>> {
        self.probes.values()
    }

    /// The slots of a probe that are kept, oldest first.
    pub fn probe_slots(&self, probe: ProbeId) -> impl DoubleEndedIterator<Item = &Arc<ProbeSlot>> {
        let from = ProbeSlotKey { probe, slot: Time(0) };
        let to = ProbeSlotKey {
            probe,
            slot: Time(u64::MAX),
        };
        self.probe_slots.range(from..=to).map(|(_, slot)| slot)
    }

    /// One slot of a probe.
    pub fn probe_slot(&self, key: ProbeSlotKey) -> Option<&Arc<ProbeSlot>> {
        self.probe_slots.get(&key)
    }

    /// Probes by when their next slot is due, soonest first; those that are paused are left out.
    pub fn due_probes(&self) -> impl Iterator<Item = (Time, ProbeId)> + '_ {
        self.index.due_probes.iter().copied()
    }

    /// Probes whose last run is not settled.
    pub fn open_probes(&self) -> impl Iterator<Item = &Arc<Probe>> {
        self.index.open_probes.iter().filter_map(|id| self.probes.get(id))
    }

    /// The chunks of a run's evidence that are recorded, by assignment, kind and number.
    pub fn manifests(&self, run: RunId) -> impl Iterator<Item = &Arc<Manifest>> {
        let key = |ordinal, kind, seq| ManifestKey {
            assignment: AssignmentKey { run, ordinal },
            kind,
            seq,
        };
        let from = key(0, EvidenceKind::Metrics, 0);
        let to = key(u32::MAX, EvidenceKind::Trace, u32::MAX);
        self.manifests.range(from..=to).map(|(_, row)| row)
    }

    /// One chunk of evidence.
    pub fn manifest(&self, key: ManifestKey) -> Option<&Arc<Manifest>> {
        self.manifests.get(&key)
    }

    /// What a run's evidence comes to; `None` until it ended and was looked at.
    pub fn summary(&self, run: RunId) -> Option<&Arc<RunSummary>> {
        self.summaries.get(&run)
    }

    /// Runs that executed and ended, and have no summary yet.
    pub fn unsummarised_runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.index.unsummarised.iter().filter_map(|id| self.runs.get(id))
    }

    /// Runs that ended, longest ago first.
    pub fn ended_runs(&self) -> impl Iterator<Item = (Time, RunId)> + '_ {
        self.index.ended_runs.iter().copied()
    }

    /// The project of this name; `default`, which always exists, has no row.
    pub fn project(&self, name: &ProjectName) -> Option<&Arc<Project>> {
        self.projects.get(name)
    }

    /// Whether there is a project of this name.
    pub fn project_exists(&self, name: &ProjectName) -> bool {
        name.is_default() || self.projects.contains_key(name)
    }

    /// All projects but `default`, by name.
    pub fn projects(&self) -> impl DoubleEndedIterator<Item = &Arc<Project>> {
        self.projects.values()
    }

    /// What the runs of a project take up.
    pub fn usage(&self, project: &ProjectName) -> Usage {
        self.index.usage.get(project).copied().unwrap_or_default()
    }

    /// How many tests a project has. O(its tests).
    pub fn test_count(&self, project: &ProjectName) -> usize {
        self.index
            .test_by_name
            .range((project.clone(), String::new())..)
            .take_while(|((of, _), _)| of == project)
            .count()
    }

    /// Every row, table by table and by key: the same order on every node.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let tests = self.tests.values().cloned().map(Row::Test);
        let runs = self.runs.values().cloned().map(Row::Run);
        let assignments = self.assignments.values().cloned().map(Row::Assignment);
        let chunks = self
            .chunks
            .iter()
            .map(|(key, chunk)| Row::Chunk(*key, Arc::clone(chunk)));
        let workers = self.workers.values().cloned().map(Row::Worker);
        let requests = self.requests.values().cloned().map(Row::Request);
        let events = self.events.values().cloned().map(Row::Event);
        let keys = self.keys.values().cloned().map(Row::Key);
        let probes = self.probes.values().cloned().map(Row::Probe);
        let probe_slots = self.probe_slots.values().cloned().map(Row::ProbeSlot);
        let manifests = self.manifests.values().cloned().map(Row::Manifest);
        let summaries = self.summaries.values().cloned().map(Row::Summary);
        let projects = self.projects.values().cloned().map(Row::Project);
        let webhooks = self.webhooks.values().cloned().map(Row::Webhook);
        let deliveries = self.deliveries.values().cloned().map(Row::Delivery);
        let registrars = self.registrars.values().cloned().map(Row::Registrar);
        let accounts = self.sip_accounts.values().cloned().map(Row::SipAccount);
        let leases = self.sip_leases.values().cloned().map(Row::SipLease);
        let media = self.media.values().cloned().map(Row::Media);
        tests
            .chain(runs)
            .chain(assignments)
            .chain(chunks)
            .chain(workers)
            .chain(requests)
            .chain(events)
            .chain(keys)
            .chain(probes)
            .chain(probe_slots)
            .chain(manifests)
            .chain(summaries)
            .chain(projects)
            .chain(webhooks)
            .chain(deliveries)
            .chain(registrars)
            .chain(accounts)
            .chain(leases)
            .chain(media)
    }
}
