//! The real program, as users start it: nodes and workers are processes, and they are killed for real.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod asking;
mod calls;
mod cluster;
mod commands;
mod deaths;
mod disks;
mod drains;
mod events;
mod evidence;
mod faults;
mod health;
mod http;
mod keys;
mod liveness;
mod mutants;
mod nodes;
mod pings;
mod probes;
mod process;
mod projects;
mod registry;
mod runs;
mod services;
mod sip;
mod snapshots;
mod storm;
mod strained;
mod tokens;
mod webhooks;
mod witness;
