//! Simulated clusters: whole nodes, on one thread, with a clock, a network, disks and chance that come from a seed.
//!
//! The same seed gives the same trace, byte for byte. What is real and what is not: `docs/adr/0018-deterministic-layer.md`.
#![forbid(unsafe_code)]

mod cluster;
mod coverage;
mod faults;
mod judge;
mod load;
mod net;
mod node;
mod oracle;
mod run;
mod series;
mod setting;
mod settle;
mod trace;
mod worker;

pub use coverage::Coverage;
pub use run::{Options, Outcome, run};
pub use series::{Series, cores, series};
pub use setting::{Mutant, Setting};
pub use trace::{Trace, Violation};
