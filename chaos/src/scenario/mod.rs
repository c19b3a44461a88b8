//! Scenarios: what is done to a cluster, and when.

mod acts;
mod admin;
pub mod catalog;
pub mod deed;
mod draw;
mod draws;
mod links;
mod nemesis;
mod phases;
pub mod plan;

pub use phases::{Order, perform};
