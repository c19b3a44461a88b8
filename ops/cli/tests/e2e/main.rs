//! The real program, as users start it: nodes and workers are processes, and they are killed for real.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cluster;
mod commands;
mod deaths;
mod disks;
mod faults;
mod liveness;
mod nodes;
mod process;
mod services;
mod snapshots;
