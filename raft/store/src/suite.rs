//! openraft's own tests of a store, on the real databases.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::fatal::FatalCell;
use crate::log::LogStore;
use crate::machine::StateMachine;
use crate::types::TypeConfig;

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = TempDir::new().unwrap();
        let log = LogStore::open(dir.path(), FatalCell::new()).unwrap();
        let machine = StateMachine::open(dir.path(), FatalCell::new(), Arc::new(reeve_state::apply)).unwrap();
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn the_store_keeps_openrafts_contract() {
    Suite::test_all(OnDisk).await.unwrap();
}
