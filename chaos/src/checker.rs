//! Checkers of what happened: pure functions of histories, ledgers, logs and final states. None shares code with `reeve-state`: what the
//! system does is written down here a second time.

pub mod coverage;
pub mod ledger;
pub mod linear;
pub mod lost;
pub mod model;
pub mod offline;
pub mod order;
pub mod processes;
pub mod random;
pub mod recovery;
pub mod replay;
pub mod samples;
pub mod story;
pub mod tally;
pub mod tokens;
pub mod verdict;
pub mod views;
pub mod wgl;

#[cfg(test)]
mod tests;
