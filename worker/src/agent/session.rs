//! The present attempt at a session and what belongs to it alone.

use crate::agent::heartbeat::Heartbeats;
use crate::link::Link;
use tonic::transport::Channel;

/// A connection, from the first packet to the last.
pub struct Session {
    pub link: Link,
    pub stage: Stage,
    /// Whether the node was told on this stream that we drain.
    pub told_drain: bool,
    /// The connection below it.
    pub channel: Option<Channel>,
    /// Whether the node takes evidence.
    pub evidence: bool,
}

/// How far it is.
pub enum Stage {
    /// Hello is on its way.
    Opening,
    /// Welcome came.
    Up(Heartbeats),
}

impl Session {
    /// Whether the node said Welcome.
    pub fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }
}

/// Waits for the next event of a session; for ever if there is none.
pub async fn next_event(session: Option<&mut Session>) -> crate::link::LinkEvent {
    match session {
        Some(session) => session.link.next().await,
        None => std::future::pending().await,
    }
}
