//! The sessions of this node, and the one consumer of the change feed that wakes those that a change concerns.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use reeve_state::change::{Change, Delta};
use reeve_state::id::{Incarnation, SessionEpoch, WorkerId};
use reeve_state::record::{Assignment, AssignmentKey};
use reeve_store::FeedItem;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::end::SessionEnd;
use crate::context::Context;
use crate::liveness::Liveness;

/// A session as the hub sees it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) worker: WorkerId,
    pub(super) epoch: SessionEpoch,
    pub(super) incarnation: Incarnation,
    wake: Notify,
    over: CancellationToken,
    why: OnceLock<SessionEnd>,
}

impl Handle {
    pub(super) fn new(worker: WorkerId, epoch: SessionEpoch, incarnation: Incarnation) -> Self {
        Self {
            worker,
            epoch,
            incarnation,
            wake: Notify::new(),
            over: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    /// Resolves when something changed for the worker since the last call.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Resolves when the session is to end.
    pub(super) async fn ended(&self) -> SessionEnd {
        self.over.cancelled().await;
        self.why.get().cloned().unwrap_or(SessionEnd::Over)
    }

    fn end(&self, why: SessionEnd) {
        // The first reason stands.
        let _ = self.why.set(why);
        self.over.cancel();
    }

    /// How this session ends when one of a process with this incarnation takes its place.
    pub(super) fn replaced_by(&self, incarnation: Incarnation) -> SessionEnd {
        if incarnation == self.incarnation {
            SessionEnd::Replaced
        } else {
            SessionEnd::Superseded
        }
    }
}

/// The sessions that this node holds; the newest of a worker wins.
#[derive(Debug)]
pub(super) struct Hub {
    liveness: Liveness,
    /// Most sessions, those that are about to begin included.
    most: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: BTreeMap<WorkerId, Arc<Handle>>,
    /// Places of sessions that are about to begin.
    promised: usize,
    /// While set, no session is taken.
    closed: Option<SessionEnd>,
}

impl Hub {
    pub(super) fn new(liveness: Liveness, most: usize) -> Self {
        Self {
            liveness,
            most,
            table: Mutex::new(Table::default()),
        }
    }

    /// Why no session is taken just now, if so.
    pub(super) fn closed(&self) -> Option<SessionEnd> {
        self.table.lock().closed.clone()
    }

    /// Promises a place to a session that is about to begin; one that takes the place of another of its worker always has one.
    pub(super) fn admit(self: &Arc<Self>, worker: WorkerId) -> Result<Place, SessionEnd> {
        let mut table = self.table.lock();
        let replaces = table.sessions.contains_key(&worker);
        if !replaces && table.sessions.len() + table.promised >= self.most {
            return Err(SessionEnd::TooManySessions);
        }
        table.promised += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// Enters a session. An older one of the worker ends; if a newer one is here already, this one does not begin.
    pub(super) fn register(
        self: &Arc<Self>,
        worker: WorkerId,
        epoch: SessionEpoch,
        incarnation: Incarnation,
    ) -> Result<Registration, SessionEnd> {
        let handle = Arc::new(Handle::new(worker, epoch, incarnation));
        let mut table = self.table.lock();
        if let Some(end) = &table.closed {
            return Err(end.clone());
        }
        if let Some(other) = table.sessions.get(&worker) {
            if other.epoch > epoch {
                return Err(handle.replaced_by(other.incarnation));
            }
            other.end(other.replaced_by(incarnation));
        }
        table.sessions.insert(worker, Arc::clone(&handle));
        self.note_count(&table);
        Ok(Registration {
            hub: Arc::clone(self),
            handle,
        })
    }

    fn unregister(&self, handle: &Arc<Handle>) {
        let mut table = self.table.lock();
        if table
            .sessions
            .get(&handle.worker)
            .is_some_and(|held| Arc::ptr_eq(held, handle))
        {
            table.sessions.remove(&handle.worker);
            self.note_count(&table);
        }
    }

    fn note_count(&self, table: &Table) {
        self.liveness.note_session_count(table.sessions.len());
    }

    fn wake(&self, worker: WorkerId) {
        if let Some(handle) = self.table.lock().sessions.get(&worker) {
            handle.wake.notify_one();
        }
    }

    fn wake_all(&self) {
        for handle in self.table.lock().sessions.values() {
            handle.wake.notify_one();
        }
    }

    /// Ends every session and takes no new one.
    fn close(&self, why: &SessionEnd) {
        let mut table = self.table.lock();
        table.closed = Some(why.clone());
        for handle in table.sessions.values() {
            handle.end(why.clone());
        }
    }

    fn open(&self) {
        self.table.lock().closed = None;
    }

    fn note_changes(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Assignment(delta) => {
                    if let Some(worker) = concerned(delta) {
                        self.wake(worker);
                    }
                }
                Change::Worker(delta) => {
                    if let Some(worker) = &delta.after {
                        self.liveness.note_worker(worker);
                    }
                    self.wake(delta.key);
                }
                // What a worker is told follows from its assignments: when a run changes what it asks of workers, they change.
                Change::Run(_)
                | Change::Test(_)
                | Change::Chunk(_)
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
                | Change::Media(_) => {}
            }
        }
    }
}

/// The worker of an assignment whose status changed; reports of progress wake nobody.
fn concerned(delta: &Delta<AssignmentKey, Assignment>) -> Option<WorkerId> {
    let status = |row: &Option<Arc<Assignment>>| row.as_ref().map(|row| row.life.status());
    if status(&delta.before) == status(&delta.after) {
        return None;
    }
    delta
        .after
        .as_ref()
        .or(delta.before.as_ref())
        .map(|assignment| assignment.worker)
}

/// A place that is promised to a session, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Hub>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.table.lock().promised -= 1;
    }
}

/// A session's place in the hub, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    hub: Arc<Hub>,
    pub(super) handle: Arc<Handle>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.unregister(&self.handle);
    }
}

/// Feeds the hub until the node stops.
pub(super) async fn run(hub: Arc<Hub>, context: Context) {
    let mut shedding = context.liveness.shedding();
    let mut feed = match context.store.watch(None) {
        Ok(feed) => feed,
        Err(compacted) => {
            tracing::error!(%compacted, "the change feed cannot be read from its end");
            hub.close(&SessionEnd::ShuttingDown);
            return;
        }
    };
    hub.wake_all();
    loop {
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break,
            Ok(()) = shedding.changed() => {
                if *shedding.borrow_and_update() {
                    tracing::warn!("this node is cut off from a quorum or from the leader; its sessions move to other nodes");
                    hub.close(&SessionEnd::Shedding);
                } else {
                    tracing::info!("a quorum and the leader acknowledge this node again");
                    hub.open();
                }
            }
            item = feed.next() => match item {
                Some(FeedItem::Changes { changes, .. }) => hub.note_changes(&changes),
                Some(FeedItem::Reset { .. }) => {
                    context.liveness.note_all_workers(&context.store.local());
                    hub.wake_all();
                }
                None => break,
            },
        }
    }
    hub.close(&SessionEnd::ShuttingDown);
}
