//! The state's specification, as tests. `world` holds the vocabulary: given, when, then.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

mod definitions;
mod drains;
mod evidence;
mod health;
mod history;
mod keys;
mod lives;
mod loss;
#[cfg(feature = "mutants")]
mod mutants;
mod plans;
mod probes;
mod projects;
mod properties;
mod registry;
mod reports;
mod requests;
mod runs;
mod sip;
mod tokens;
mod transitions;
mod webhooks;
mod workers;
mod world;
