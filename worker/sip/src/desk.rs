//! The media engine, and whose each of its sessions is.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_media::{Engine, EngineConfig, Event, GeneratorHealth, Interval, Session, SessionId, Totals};
use tokio::sync::mpsc;

type Owners = Mutex<HashMap<SessionId, mpsc::UnboundedSender<Heard>>>;

/// What the engine tells of one session.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A second.
    Interval(Interval),
    /// The end.
    Ended(Totals),
}

/// The engine of all endpoints. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    engine: Engine,
    owners: Arc<Owners>,
}

impl Desk {
    /// Starts the engine.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start(config: EngineConfig) -> io::Result<Self> {
        let owners = Arc::<Owners>::default();
        let told = Arc::clone(&owners);
        let engine = Engine::start(config, move |event| tell(&told, event))?;
        Ok(Self { engine, owners })
    }

    /// How the generator does.
    #[must_use]
    pub fn health(&self) -> GeneratorHealth {
        self.engine.health()
    }

    /// Two ports, and what is heard of them.
    pub(crate) fn open(&self, local: IpAddr) -> io::Result<Media> {
        let session = self.engine.open(local)?;
        let (sender, heard) = mpsc::unbounded_channel();
        self.owners.lock().insert(session.id(), sender);
        Ok(Media { session, heard })
    }
}

/// A session, and what is heard of it.
pub(crate) struct Media {
    pub session: Session,
    pub heard: mpsc::UnboundedReceiver<Heard>,
}

fn tell(owners: &Owners, event: Event) {
    match event {
        Event::Interval(id, interval) => {
            if let Some(owner) = owners.lock().get(&id) {
                // An endpoint that is gone needs no figures.
                let _ = owner.send(Heard::Interval(interval));
            }
        }
        Event::Ended(id, totals) => {
            if let Some(owner) = owners.lock().remove(&id) {
                let _ = owner.send(Heard::Ended(totals));
            }
        }
    }
}
