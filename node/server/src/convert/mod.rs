//! Between the records of the state and the messages of the wire.

pub mod compare;
pub mod definition;
pub mod drain;
pub mod enums;
pub mod event;
pub mod explain;
pub mod probe;
pub mod run;
pub mod sip;
pub mod test;
pub mod time;
pub mod webhook;
pub mod worker;

#[cfg(test)]
mod tests;
