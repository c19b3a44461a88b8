//! Sessions as a worker sees them, against a real store, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod connect;
mod evidence;
mod exchange;
mod fake;
mod registry;
mod reports;
mod runs;
mod sip;
mod trace;
mod world;
