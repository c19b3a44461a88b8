//! The handle to one call.

use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use crate::dtmf::Digit;
use crate::engine::command::Command;
use crate::stream::{Direction, Stream};

/// Names a session, and is never used again in this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call: its two ports, and what is sent and measured there. No method waits; the engine's thread does what is asked within a
/// millisecond or two, in order. Dropping it ends the call and closes the sockets.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) local: SocketAddr,
    pub(crate) commands: Sender<Command>,
}

impl Session {
    /// What events call it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where RTP is received; RTCP is one port above.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Starts sending and measuring. What came before is thrown away. A second time it changes nothing.
    pub fn begin(&self, stream: Stream) {
        // Here, so that the engine's thread never does it.
        let encoded = stream.source.encoded(stream.codec);
        self.command(Command::Begin(self.id, Box::new(stream), encoded));
    }

    /// Hold and resume. May come before [`Session::begin`] too.
    pub fn direct(&self, direction: Direction) {
        self.command(Command::Direct(self.id, direction));
    }

    /// Sends elsewhere from now on. If it changes, the source of what is received is latched anew.
    pub fn retarget(&self, remote_rtp: SocketAddr, remote_rtcp: SocketAddr) {
        self.command(Command::Retarget(self.id, remote_rtp, remote_rtcp));
    }

    /// Sends a digit once those before it are sent. It takes the place of the sound for a while, and waits while nothing is sent.
    pub fn dtmf(&self, digit: Digit) {
        self.command(Command::Dtmf(self.id, digit));
    }

    /// Stops, and says BYE by RTCP. [`crate::Event::Ended`] has the totals, whether or not the call had begun; it comes once.
    pub fn end(&self) {
        self.command(Command::End(self.id));
    }

    fn command(&self, command: Command) {
        // The engine may have been dropped; then the call has ended.
        let _ = self.commands.send(command);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.command(Command::Close(self.id));
    }
}
