//! The state machine: applies entries, keeps the tables on disk, and gives out snapshots.

mod apply;
mod disk;
mod raft;
mod snapshot;
mod tables;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_state::command::{EntryMeta, Envelope};
use reeve_state::{State, Step};

pub(crate) use disk::Loaded;
use disk::StateDb;
pub(crate) use snapshot::SnapshotData;
pub(crate) use tables::Tables;

use crate::error::OpenError;
use crate::fatal::FatalCell;
use crate::published::Published;
use crate::types::{LogId, SnapshotMeta, StoredMembership};

/// The newest snapshot: what it covers, and the state itself, which costs next to nothing while little has changed since.
type Slot = Arc<Mutex<Option<(SnapshotMeta, SnapshotData)>>>;

/// What applies a command; tests give one that fails, simulations one that looks on.
pub type Apply = Arc<dyn Fn(&mut State, &EntryMeta, &Envelope) -> Step + Send + Sync>;

/// Applies entries, in order, alone.
pub(crate) struct StateMachine {
    db: Arc<Tables>,
    state: State,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Slot,
    published: Arc<Published>,
    fatal: FatalCell,
    apply: Apply,
}

impl StateMachine {
    /// Loads what is on disk below `data_dir`.
    pub(crate) fn open(data_dir: &Path, fatal: FatalCell, apply: Apply) -> Result<Self, OpenError> {
        Self::open_on(Tables::Disk(StateDb::open(data_dir)?), fatal, apply)
    }

    /// Loads what is in the tables.
    pub(crate) fn open_on(db: Tables, fatal: FatalCell, apply: Apply) -> Result<Self, OpenError> {
        let loaded = db.load()?;
        let next = loaded.applied.map_or(0, |id| id.index + 1);
        Ok(Self {
            db: Arc::new(db),
            published: Arc::new(Published::new(next, loaded.state.clone())),
            state: loaded.state,
            applied: loaded.applied,
            membership: loaded.membership,
            snapshot: Slot::default(),
            fatal,
            apply,
        })
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }
}
