//! The media engine: it speaks RTP and RTCP for many calls on one thread, measures them once a second, and knows when it was too
//! late itself for its figures to be believed. It knows nothing of SIP or of Reeve.
//!
//! [`Engine::start`] starts the thread, [`Engine::open`] binds the two ports of a call, [`Session::begin`] starts sending and
//! measuring. What is measured comes as [`Event`]s.
//!
//! Formats ([`rtp`], [`rtcp`], [`dtmf`], [`wav`], [`g711`]), statistics ([`receive`], [`send`]) and the E-model ([`emodel`]) are free
//! of sockets and clocks.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod call;
pub mod clip;
pub mod clock;
pub mod dtmf;
pub mod emodel;
pub mod engine;
pub mod g711;
pub mod health;
pub mod interval;
pub mod ledger;
pub mod receive;
pub mod reports;
pub mod rtcp;
pub mod rtp;
pub mod send;
mod session;
pub mod stream;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod wav;

pub use clip::{Clip, Source};
pub use dtmf::Digit;
pub use engine::{Engine, EngineConfig};
pub use health::GeneratorHealth;
pub use interval::{Event, Interval, Summary, Totals};
pub use session::{Session, SessionId};
pub use stream::{Codec, Direction, Stream};
