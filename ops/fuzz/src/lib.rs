//! Fuzzing of everything that reads bytes from outside, without a nightly compiler.
//!
//! There is no coverage to guide it. What guides it instead is how a target answers: each input gives a signature (which command it
//! was, which field was wrong), and an input with a signature that was not seen before becomes a seed.

pub mod corpus;
pub mod engine;
pub mod mutate;
pub mod target;
