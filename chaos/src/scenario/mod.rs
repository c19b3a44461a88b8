//! Scenarios: what is done to a cluster, and when.

pub mod catalog;
pub mod deed;
mod links;
mod nemesis;
mod phases;
pub mod plan;

pub use phases::{Order, perform};
