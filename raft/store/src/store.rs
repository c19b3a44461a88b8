//! The store as the rest of Reeve sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_state::State;
use reeve_state::command::{Applied, Envelope};
use reeve_state::id::{NodeId, Revision};
use reeve_state::time::Time;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::service::Routes;

use crate::admin::{self, Change};
use crate::boot::{self, Ground};
use crate::clock::LeaderTime;
use crate::codec::{encode_envelope, meta_to_bytes, row_to_bytes};
use crate::config::StoreConfig;
use crate::error::{AdminError, Compacted, OpenError, ProposeError, ReadError, UnavailableReason};
use crate::fatal::FatalError;
use crate::feed::Feed;
use crate::files::claim;
use crate::lanes::{Item, Lane, Route};
use crate::leadership::Leadership;
use crate::machine::Apply;
use crate::member::MemberInfo;
use crate::outside;
use crate::reader::{self, Consistency};
use crate::shared::Shared;
use crate::sim::SimDisk;
use crate::status::{self, StoreStatus};

/// Threads for Raft alone, so that load on the API does not delay a heartbeat.
const RAFT_THREADS: usize = 2;
/// How long a planner's command may wait for its entry.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a snapshot that was asked for may take.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);
/// How long closing waits for what still runs on Raft's threads.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a shutdown waits for another leader.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The replicated state, on this node. Clones are handles to the same store; when the last one goes, it stops as after a crash.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    runtime: Mutex<Option<Runtime>>,
    stop_server: watch::Sender<bool>,
}

impl Drop for Inner {
    /// Nothing is handed over, but the databases are closed when this returns: RocksDB must not outlive the process's end.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().take() {
            close(runtime);
        }
    }
}

/// Ends the runtime, and with it the tasks that hold the databases, on a thread that may block.
fn close(runtime: Runtime) {
    let closing = std::thread::Builder::new()
        .name("raft-close".to_owned())
        .spawn(move || runtime.shutdown_timeout(CLOSE_TIMEOUT));
    if closing.is_ok_and(|thread| thread.join().is_err()) {
        tracing::warn!("the raft runtime did not end in order");
    }
}

impl Store {
    /// Opens what is on disk, starts Raft, and serves the other nodes. `extra`: services of the caller on the same listener.
    pub async fn open(config: StoreConfig, extra: Option<Routes>) -> Result<Self, OpenError> {
        Self::open_with(config, extra, Arc::new(reeve_state::apply)).await
    }

    /// As [`Store::open`], with another function in the place of `apply`.
    pub(crate) async fn open_with(
        config: StoreConfig,
        extra: Option<Routes>,
        apply: Apply,
    ) -> Result<Self, OpenError> {
        let raft_config = Arc::new(config.to_raft()?);
        claim(&config.data_dir, &config.cluster_id, config.node_id.0)?;
        let incoming = |source| OpenError::Listen {
            addr: config.raft_addr,
            source,
        };
        let listener = std::net::TcpListener::bind(config.raft_addr).map_err(incoming)?;
        listener.set_nonblocking(true).map_err(incoming)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RAFT_THREADS)
            .thread_name("raft")
            .enable_all()
            .build()
            .map_err(|source| OpenError::io(&config.data_dir, source))?;
        let (stop_server, stopped) = watch::channel(false);
        let handle = runtime.handle().clone();
        // Held from here on, so that a failure below stops what has started.
        let guard = RuntimeGuard(Some(runtime));
        let started = handle
            .spawn(boot::start(
                config,
                raft_config,
                Ground::Machine(listener),
                extra,
                stopped,
                apply,
            ))
            .await;
        let shared = started.map_err(|error| OpenError::Raft(error.to_string()))??;
        let runtime = guard.release();
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                runtime: Mutex::new(runtime),
                stop_server,
            }),
        })
    }

    /// As [`Store::open`] in a simulation: on a disk in memory, with the runtime that is here.
    #[doc(hidden)]
    pub async fn simulate(
        config: StoreConfig,
        extra: Option<Routes>,
        disk: SimDisk,
        apply: Apply,
    ) -> Result<Self, OpenError> {
        let raft_config = Arc::new(config.to_raft()?);
        let addr = config.raft_addr;
        let incoming = outside::listen(addr)
            .await
            .map_err(|source| OpenError::Listen { addr, source })?;
        let (stop_server, stopped) = watch::channel(false);
        let ground = Ground::Simulation(disk, incoming);
        let shared = boot::start(config, raft_config, ground, extra, stopped, apply).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                runtime: Mutex::new(None),
                stop_server,
            }),
        })
    }

    /// Proposes a command, here or at the leader, and waits until it is applied. What was certainly not proposed is repeated
    /// until the deadline, and so is a command with a request id.
    pub async fn propose(
        &self,
        envelope: Envelope,
        lane: Lane,
        deadline: Instant,
    ) -> Result<Applied, ProposeError> {
        let shared = &self.inner.shared;
        self.accepts()?;
        let repeatable = envelope.request.is_some();
        let (item, ticket) = Item::new(
            encode_envelope(&envelope),
            lane,
            deadline,
            Route::Anywhere,
            repeatable,
        );
        shared.lanes.push([item]);
        let result = ticket.wait(|| shared.why_unavailable()).await;
        self.or_fatal(result)
    }

    /// Proposes a planner's commands in this order, only if this node leads. The first error stands for all of them.
    pub async fn propose_local(&self, envelopes: Vec<Envelope>) -> Result<Vec<Applied>, ProposeError> {
        let shared = &self.inner.shared;
        self.accepts()?;
        if shared.leader() != Some(shared.me) {
            return Err(ProposeError::NotLeader);
        }
        let deadline = Instant::now() + LOCAL_TIMEOUT;
        let (items, tickets): (Vec<_>, Vec<_>) = envelopes
            .iter()
            .map(|envelope| {
                let bytes = encode_envelope(envelope);
                Item::new(bytes, Lane::Reconciler, deadline, Route::Here, false)
            })
            .unzip();
        shared.lanes.push(items);
        let mut applied = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            let result = ticket.wait(|| shared.why_unavailable()).await;
            applied.push(self.or_fatal(result)?);
        }
        Ok(applied)
    }

    fn accepts(&self) -> Result<(), ProposeError> {
        if let Some(fault) = self.inner.shared.fatal.get() {
            return Err(ProposeError::Fatal(fault));
        }
        if self.inner.shared.stopping.load(Ordering::Relaxed) {
            return Err(ProposeError::Unavailable {
                reason: UnavailableReason::ShuttingDown,
            });
        }
        Ok(())
    }

    /// What waited when the node broke is told so, unless its outcome is open.
    fn or_fatal(&self, result: Result<Applied, ProposeError>) -> Result<Applied, ProposeError> {
        match (result, self.inner.shared.fatal.get()) {
            (Err(ProposeError::Unavailable { .. }), Some(fault)) => Err(ProposeError::Fatal(fault)),
            (result, _) => result,
        }
    }

    /// The state, as fresh as asked for.
    pub async fn read(&self, consistency: Consistency, deadline: Instant) -> Result<Arc<State>, ReadError> {
        reader::read(&self.inner.shared, consistency, deadline).await
    }

    /// What this node has applied.
    pub fn local(&self) -> Arc<State> {
        self.inner.shared.published.state()
    }

    /// What this node has applied, and up to which entry.
    pub fn local_with_index(&self) -> (u64, Arc<State>) {
        self.inner.shared.published.with_index()
    }

    /// The state as soon as this node has applied a revision: how a caller sees its own write on a node that follows.
    pub async fn reached(&self, revision: Revision) -> Arc<State> {
        self.inner.shared.published.reached(revision).await
    }

    /// Changes after a revision, as long as the feed has them. `None`: the first item is a `Reset`, list then.
    pub fn watch(&self, after: Option<Revision>) -> Result<Feed, Compacted> {
        self.inner.shared.published.feed.watch(after)
    }

    /// Who leads, as it changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.shared.leadership.subscribe()
    }

    /// Cluster time: the leader's clock, on other nodes an estimate of it.
    pub fn cluster_now(&self) -> Time {
        self.inner.shared.cluster_now()
    }

    /// Tells the cluster clock what another node's wall clock says now, Unix milliseconds.
    pub fn note_peer_wall(&self, peer: NodeId, wall_ms: i64) {
        self.inner.shared.walls.note(peer.0, wall_ms);
    }

    /// Tells a follower what the leader's clock said half a round trip ago.
    pub fn note_leader_time(&self, cluster_ms: Time, rtt: Duration) {
        *self.inner.shared.leader_time.lock() = Some(LeaderTime::new(cluster_ms, rtt, Instant::now()));
    }

    /// This node's account of itself and of the cluster.
    pub fn status(&self) -> StoreStatus {
        status::status(&self.inner.shared)
    }

    /// SHA-256 over the whole state, and the entry up to which it is applied: the same on every node at the same entry.
    pub async fn state_hash(&self) -> (u64, String) {
        let (index, state) = self.local_with_index();
        let hash = outside::blocking(move || hash(&state)).await;
        // Only a panic or a stop of the runtime ends it early; then nobody compares hashes any more.
        (index, hash.unwrap_or_default())
    }

    /// Adds a member: it learns, catches up, and then votes. Works on any node; harmless to repeat.
    pub async fn add_member(&self, member: MemberInfo) -> Result<(), AdminError> {
        self.change(Change::Add(member)).await
    }

    /// Removes a member. Its id must never be given to another node.
    pub async fn remove_member(&self, node: NodeId) -> Result<(), AdminError> {
        self.change(Change::Remove(node)).await
    }

    /// Makes another voter the leader, `None`: any other, and waits until it is.
    pub async fn transfer_leader(&self, to: Option<NodeId>) -> Result<(), AdminError> {
        self.change(Change::Transfer(to)).await
    }

    async fn change(&self, change: Change) -> Result<(), AdminError> {
        admin::change(&self.inner.shared, change).await
    }

    /// Makes a snapshot of what is applied now, so that the log before it can go.
    pub async fn snapshot(&self) -> Result<(), AdminError> {
        let shared = &self.inner.shared;
        let Some(target) = shared.metrics().last_applied else {
            return Ok(());
        };
        let stopped =
            |fault: &dyn std::fmt::Display| AdminError::Refused(format!("raft does not run: {fault}"));
        let deadline = Instant::now() + SNAPSHOT_TIMEOUT;
        while shared.metrics().snapshot < Some(target) {
            // A snapshot that is under way may be older: then one more is made.
            shared
                .raft
                .trigger()
                .snapshot()
                .await
                .map_err(|fault| stopped(&fault))?;
            let wait = shared.raft.wait(Some(Duration::from_millis(200)));
            let done = wait
                .metrics(|metrics| metrics.snapshot >= Some(target), "snapshot")
                .await;
            if done.is_err() && Instant::now() >= deadline {
                return Err(AdminError::Unavailable);
            }
        }
        Ok(())
    }

    /// Hands leadership over, stops Raft, and closes the databases. Waiting calls end with `SHUTTING_DOWN`.
    pub async fn shutdown(&self) {
        let shared = &self.inner.shared;
        if shared.stopping.swap(true, Ordering::Relaxed) {
            return;
        }
        if shared.leader() == Some(shared.me)
            && let Ok(Err(error)) =
                tokio::time::timeout(HANDOVER_TIMEOUT, admin::transfer(shared, None)).await
        {
            tracing::info!(%error, "no other node takes the lead");
        }
        if let Err(error) = shared.raft.shutdown().await {
            tracing::warn!(%error, "raft did not end in order");
        }
        self.inner.stop_server.send_replace(true);
        let runtime = self.inner.runtime.lock().take();
        if let Some(runtime) = runtime
            && tokio::task::spawn_blocking(move || close(runtime)).await.is_err()
        {
            tracing::warn!("the databases were not closed in order");
        }
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Set once this process must stop; the node logs the message and exits.
    pub fn fatal(&self) -> watch::Receiver<Option<FatalError>> {
        self.inner.shared.fatal.subscribe()
    }
}

/// Ends the runtime if opening fails.
struct RuntimeGuard(Option<Runtime>);

impl RuntimeGuard {
    fn release(mut self) -> Option<Runtime> {
        self.0.take()
    }
}

impl Drop for RuntimeGuard {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            close(runtime);
        }
    }
}

fn hash(state: &State) -> String {
    let mut hash = Sha256::new();
    hash.update(meta_to_bytes(state.meta()));
    for row in state.rows() {
        let bytes = row_to_bytes(&row);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
