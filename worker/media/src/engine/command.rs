//! What handles ask of the engine's thread.

use std::net::SocketAddr;
use std::sync::Arc;

use super::ports::Ports;
use crate::dtmf::Digit;
use crate::session::SessionId;
use crate::stream::{Direction, Stream};

/// One wish. They are fulfilled in order.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new session with its sockets.
    Open(SessionId, Ports),
    /// Start, with the source as encoded.
    Begin(SessionId, Box<Stream>, Arc<[u8]>),
    Direct(SessionId, Direction),
    /// RTP and RTCP go elsewhere.
    Retarget(SessionId, SocketAddr, SocketAddr),
    Dtmf(SessionId, Digit),
    /// Stop and tell the totals.
    End(SessionId),
    /// End, and close the sockets.
    Close(SessionId),
    /// End all, and the thread.
    Stop,
}
