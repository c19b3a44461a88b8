//! The log: a RocksDB database of its own, written by one thread, with the newest entries in memory.

mod disk;
mod memory;
mod storage;
mod unsynced;
mod wal;
mod writer;

pub(crate) use storage::LogStore;
pub(crate) use writer::{Request, Waiter as RequestDone};
