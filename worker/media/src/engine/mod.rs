//! The engine: one thread that visits every call once in 20 ms.

mod batch;
pub(crate) mod command;
mod cost;
mod ports;
mod thread;
mod wishes;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::command::Command;
pub use self::cost::cost_of_a_call;
use self::ports::PortRange;
use self::thread::Thread;
use crate::clock::Clock;
use crate::health::GeneratorHealth;
use crate::interval::Event;
use crate::session::{Session, SessionId};

/// How the engine works. Write `..EngineConfig::default()` at the end: the feature `testkit` adds a field.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// A packet sent later than this makes its interval invalid.
    pub late_limit: Duration,
    /// The simulated playout buffer, ms: what comes later than this after the fastest packet is discarded.
    pub jitter_buffer_ms: u32,
    /// The TOS or traffic class byte of all packets; `None`: the system's. 0xb8 is expedited forwarding.
    pub tos: Option<u8>,
    /// Where ports are taken from. Even ones are RTP.
    pub ports: RangeInclusive<u16>,
    /// Holds the thread up, in tests.
    #[cfg(any(test, feature = "testkit"))]
    pub brake: crate::testkit::Brake,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            late_limit: Duration::from_millis(20),
            jitter_buffer_ms: 60,
            tos: None,
            ports: 16_384..=32_767,
            #[cfg(any(test, feature = "testkit"))]
            brake: crate::testkit::Brake::default(),
        }
    }
}

/// The engine. Clones are the same one. When the last is dropped, all calls are ended (each tells its totals) and so is the thread.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Sender<Command>,
    ports: PortRange,
    ids: AtomicU64,
    health: Arc<Mutex<GeneratorHealth>>,
    thread: JoinHandle<()>,
}

impl Engine {
    /// Starts the thread. `tell` is called on it with every event, so it must not block: it may send into a channel without a bound.
    ///
    /// # Errors
    /// `InvalidInput`: a field of `config` is wrong. Otherwise the thread cannot be started.
    pub fn start(config: EngineConfig, tell: impl FnMut(Event) + Send + 'static) -> io::Result<Self> {
        let ports = PortRange::new(&config.ports, config.tos)?;
        let (commands, inbox) = mpsc::channel();
        let health = Arc::new(Mutex::new(GeneratorHealth::default()));
        let worker = (config, Clock::start(), inbox, Arc::clone(&health));
        let thread = std::thread::Builder::new().name("media".into()).spawn(move || {
            let (config, clock, inbox, health) = worker;
            Thread::new(config, clock, inbox, health, tell).run();
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                commands,
                ports,
                ids: AtomicU64::new(0),
                health,
                thread,
            }),
        })
    }

    /// Binds an even RTP port and the odd one above it for RTCP.
    ///
    /// # Errors
    /// Those of the operating system: `EMFILE`, `EADDRINUSE` if no pair of the range is free, `EADDRNOTAVAIL`.
    pub fn open(&self, local: IpAddr) -> io::Result<Session> {
        let ports = self.shared.ports.open(local)?;
        let session = Session {
            id: SessionId(self.shared.ids.fetch_add(1, Ordering::Relaxed)),
            local: ports.local,
            commands: self.shared.commands.clone(),
        };
        let _ = self.shared.commands.send(Command::Open(session.id, ports));
        Ok(session)
    }

    /// How the generator does, at most a second old.
    #[must_use]
    pub fn health(&self) -> GeneratorHealth {
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        GeneratorHealth {
            running: !self.shared.thread.is_finished(),
            ..health.clone()
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
