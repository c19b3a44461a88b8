//! openraft's view of the state machine.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};

use super::apply::Pending;
use super::snapshot::{SnapshotBuilder, SnapshotData};
use super::{StateMachine, Tables};
use crate::outside;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Entries that are written and published together at most.
const ENTRIES_PER_BATCH: usize = 128;
/// And bytes of commands.
const BYTES_PER_BATCH: usize = 1 << 20;

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        let mut pending = Pending::default();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            self.stage(entry, responder, &mut pending)?;
            if pending.entries >= ENTRIES_PER_BATCH || pending.bytes >= BYTES_PER_BATCH {
                self.commit(std::mem::take(&mut pending))?;
                // A long catch-up must not keep a thread from heartbeats.
                tokio::task::yield_now().await;
            }
        }
        self.commit(pending)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.published.bytes_since_snapshot.store(0, Ordering::Relaxed);
        SnapshotBuilder {
            db: Arc::clone(&self.db),
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
            data: SnapshotData {
                state: self.state.clone(),
            },
            slot: Arc::clone(&self.snapshot),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<()> {
        let (db, state, meta) = (Arc::clone(&self.db), snapshot.state, meta.clone());
        let installed = outside::blocking(move || {
            let next = db.replace(&state, meta.last_log_id.as_ref(), &meta.last_membership)?;
            Ok::<_, io::Error>((next, state, meta))
        });
        let (next, state, meta) = match installed.await.map_err(io::Error::other).flatten() {
            Ok(installed) => installed,
            Err(error) => {
                self.fatal.set(format!("installing a snapshot failed: {error}"));
                return Err(error);
            }
        };
        let old = std::mem::replace(&mut self.db, Arc::new(next));
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state = state.clone();
        *self.snapshot.lock() = Some((meta, SnapshotData { state: state.clone() }));
        let revision = state.meta().revision;
        self.published
            .publish(self.applied.map_or(0, |id| id.index + 1), state);
        self.published.feed.reset(revision);
        retire(old);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let slot = self.snapshot.lock();
        Ok(slot.as_ref().map(|(meta, data)| Snapshot {
            meta: meta.clone(),
            snapshot: data.clone(),
        }))
    }
}

/// Removes the old database, unless a snapshot is still being built on it: then the next start does.
fn retire(old: Arc<Tables>) {
    if let Ok(old) = Arc::try_unwrap(old)
        && let Err(error) = old.retire()
    {
        tracing::warn!(%error, "an old database could not be removed; the next start does it");
    }
}
