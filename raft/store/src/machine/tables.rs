//! Where the tables are kept: on disk, or in the memory of a simulation.

use std::io;

use reeve_state::State;
use rocksdb::WriteBatch;

use super::disk::{Loaded, StateDb};
use crate::error::OpenError;
use crate::sim::SimDisk;
use crate::types::{LogId, StoredMembership};

/// The tables in force.
pub(crate) enum Tables {
    Disk(StateDb),
    Simulated(SimDisk),
}

impl Tables {
    pub(super) fn load(&self) -> Result<Loaded, OpenError> {
        match self {
            Self::Disk(db) => db.load(),
            Self::Simulated(disk) => Ok(disk.tables().into()),
        }
    }

    /// Writes a batch, which leads to `state`, with the position that it leads to.
    pub(super) fn write(
        &self,
        batch: WriteBatch,
        state: &State,
        applied: Option<&LogId>,
        membership: &StoredMembership,
    ) -> io::Result<()> {
        match self {
            Self::Disk(db) => db.write(batch, state.meta(), applied, membership),
            Self::Simulated(disk) => {
                disk.write_tables(state, applied, membership);
                Ok(())
            }
        }
    }

    /// Makes everything written so far durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match self {
            Self::Disk(db) => db.flush(),
            Self::Simulated(disk) => {
                disk.flush_tables();
                Ok(())
            }
        }
    }

    /// Puts a whole state into force, durably.
    pub(super) fn replace(
        &self,
        state: &State,
        applied: Option<&LogId>,
        membership: &StoredMembership,
    ) -> io::Result<Self> {
        match self {
            Self::Disk(db) => db.replace(state, applied, membership).map(Self::Disk),
            Self::Simulated(disk) => {
                disk.write_tables(state, applied, membership);
                disk.flush_tables();
                Ok(Self::Simulated(disk.clone()))
            }
        }
    }

    /// Removes what is no longer in force.
    pub(super) fn retire(self) -> io::Result<()> {
        match self {
            Self::Disk(db) => db.retire(),
            Self::Simulated(_) => Ok(()),
        }
    }
}
