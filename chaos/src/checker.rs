//! Checkers of what happened: pure functions of histories, ledgers, logs and final states. None shares code with `reeve-state`: what the
//! system does is written down here a second time.

pub mod ledger;
pub mod linear;
pub mod model;
pub mod order;
pub mod random;
pub mod replay;
pub mod tokens;
pub mod verdict;
pub mod wgl;

#[cfg(test)]
mod tests;
