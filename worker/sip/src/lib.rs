//! SIP user agents: they register, call and are called, and write down what was on the wire and when.
//!
//! [`Stack`] is one socket, or the connections from one address, with a SIP stack above it, [`Desk`] the media engine, [`Agent`] one endpoint on both. What an endpoint
//! does is a [`plan::Plan`]; what it has to say comes as [`Update`]s. Nothing here knows of runs, workers or the cluster.

mod agent;
mod desk;
mod dispatch;
pub mod ending;
pub mod figures;
pub mod head;
pub mod pace;
pub mod plan;
pub mod redact;
mod register;
mod routes;
pub mod sdp;
mod socket;
mod stack;
mod stream;
pub mod tap;
mod taps;
pub mod tls;

pub use agent::{Agent, Closed, HangUp, Orders, Say, Shared, Update};
pub use desk::Desk;
pub use stack::{Carrier, Stack};
