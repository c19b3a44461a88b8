//! The media engine: it speaks RTP and RTCP for many calls on one thread, measures them once a second, and knows when it was too
//! late itself for its figures to be believed. It knows nothing of SIP or of Reeve.
//!
//! [`Engine::start`] starts the thread, [`Engine::open`] binds the two ports of a call, [`Session::begin`] starts sending and
//! measuring. What is measured comes as [`Event`]s.
//!
//! ```
//! use reeve_media::{Codec, Engine, EngineConfig, Event, Source, Stream};
//!
//! # fn main() -> std::io::Result<()> {
//! let (tell, events) = std::sync::mpsc::channel();
//! let engine = Engine::start(EngineConfig::default(), move |event| {
//!     let _ = tell.send(event);
//! })?;
//! let session = engine.open("127.0.0.1".parse().unwrap())?;
//! let offered = session.local().port();
//! session.begin(Stream {
//!     remote_rtp: "127.0.0.1:4000".parse().unwrap(),
//!     remote_rtcp: "127.0.0.1:4001".parse().unwrap(),
//!     codec: Codec::Pcmu,
//!     payload_type: 0,
//!     dtmf_payload_type: Some(101),
//!     source: Source::Tone,
//!     plc: true,
//! });
//! session.end();
//! let totals = events.iter().find_map(|event| match event {
//!     Event::Ended(id, totals) if id == session.id() => Some(totals),
//!     Event::Ended(..) | Event::Interval(..) => None,
//! });
//! assert!(offered % 2 == 0 && totals.is_some());
//! # Ok(())
//! # }
//! ```
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
pub use engine::{Engine, EngineConfig, cost_of_a_call};
pub use health::GeneratorHealth;
pub use interval::{Event, Interval, Summary, Totals};
pub use session::{Session, SessionId};
pub use stream::{Codec, Direction, Stream};
