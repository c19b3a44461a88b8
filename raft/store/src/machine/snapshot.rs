//! Snapshots. Locally, a snapshot is the tables on disk, flushed, and a clone of the state: neither blocks apply.

use std::io;
use std::sync::Arc;

use openraft::RaftSnapshotBuilder;
use reeve_state::State;

use super::{Slot, Tables};
use crate::outside;
use crate::types::{Snapshot, SnapshotMeta, TypeConfig};

/// A whole state.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotData {
    pub(crate) state: State,
}

/// Makes durable what was applied when it was created.
pub(crate) struct SnapshotBuilder {
    pub(super) db: Arc<Tables>,
    pub(super) meta: SnapshotMeta,
    pub(super) data: SnapshotData,
    pub(super) slot: Slot,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let db = Arc::clone(&self.db);
        outside::blocking(move || db.flush())
            .await
            .map_err(io::Error::other)??;
        let mut slot = self.slot.lock();
        let newer = slot
            .as_ref()
            .is_some_and(|(meta, _)| meta.last_log_id > self.meta.last_log_id);
        if !newer {
            *slot = Some((self.meta.clone(), self.data.clone()));
        }
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot: self.data.clone(),
        })
    }
}
