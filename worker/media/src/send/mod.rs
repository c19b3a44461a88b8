//! What goes out: when, and what is in it.

pub mod packets;
pub mod schedule;
