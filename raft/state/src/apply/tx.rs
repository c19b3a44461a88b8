//! A command in progress: reads see its own writes, and nothing is visible outside until it commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::change::{Change, Delta};
use crate::command::{ObjectKind, Refusal};
use crate::id::{Revision, RunId, TestId, WorkerId};
use crate::record::{Assignment, AssignmentKey, ChunkKey, RequestKey, RequestRecord, Run, Test, Worker};
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
}

/// A command in progress. It writes in place and remembers what was there, so that nothing is copied for commands that
/// succeed, and a refusal takes everything back.
pub(super) struct Tx<'a> {
    state: &'a mut State,
    meta: Meta,
    changes: Vec<Change>,
    position: BTreeMap<RowKey, usize>,
}

impl<'a> Tx<'a> {
    pub(super) fn begin(state: &'a mut State) -> Self {
        let meta = state.meta;
        Self {
            state,
            meta,
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

    pub(super) fn put_run(&mut self, mut row: Run) {
        row.revision = self.revision();
        let before = self.state.runs.get(&row.id).cloned();
        self.set(
            RowKey::Run(row.id),
            Change::Run(Delta {
                key: row.id,
                before,
                after: Some(Arc::new(row)),
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

    pub(super) fn put_worker(&mut self, mut row: Worker) {
        row.revision = self.revision();
        let before = self.state.workers.get(&row.id).cloned();
        self.set(
            RowKey::Worker(row.id),
            Change::Worker(Delta {
                key: row.id,
                before,
                after: Some(Arc::new(row)),
            }),
        );
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
        (
            Change::Test(_)
            | Change::Run(_)
            | Change::Assignment(_)
            | Change::Chunk(_)
            | Change::Worker(_)
            | Change::Request(_),
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
