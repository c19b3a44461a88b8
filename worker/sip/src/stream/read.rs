//! What comes by one connection: cut into messages, written down, and handed to the stack.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rsipstack::sip::SipMessage;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::connection::TransportSender;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Links;
use super::dial::Reading;
use super::frame::{Frames, Piece};
use super::link::Told;
use crate::tap::{Seen, Way};

const BUFFER_BYTES: usize = 16 * 1024;
/// A connection that a peer opened is given up after so long without a byte from it.
const SILENCE: Duration = Duration::from_secs(600);

/// See the module.
pub(super) struct Reader {
    pub links: Arc<Links>,
    pub peer: SocketAddr,
    pub address: SipAddr,
    pub local: SocketAddr,
    pub channel: ChannelConnection,
    pub incoming: TransportSender,
    pub tell: mpsc::UnboundedSender<Told>,
    pub number: u64,
    /// The peer asked whether we are there, and was not answered yet.
    pub pinged: Arc<AtomicBool>,
    /// The connection is given up.
    pub closes: CancellationToken,
    /// The connection's place among those that peers opened, if this is one.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// To the end of the connection, or of the stack.
    pub async fn run(self, mut reading: Reading) {
        let ends = self.links.ends.clone();
        tokio::select! {
            biased;
            () = ends.cancelled() => {}
            // What came before the connection was given up is taken.
            () = self.read(&mut reading) => {}
            () = self.closes.cancelled() => {}
        }
        // The link may be gone too.
        let _ = self.tell.send(Told::Ended(self.number));
    }

    async fn read(&self, reading: &mut Reading) {
        let mut frames = Frames::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match self.more(reading, &mut buffer).await {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "a connection broke");
                    return;
                }
            };
            let at = Instant::now();
            frames.push(&buffer[..count]);
            loop {
                match frames.next() {
                    Ok(Some(Piece::Message(bytes))) => self.take(at, bytes),
                    Ok(Some(Piece::Ping)) => self.ping(),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(peer = %self.peer, %error, "a connection is given up");
                        return;
                    }
                }
            }
        }
    }

    /// Who opened a connection and says nothing is not waited for.
    async fn more(&self, reading: &mut Reading, buffer: &mut [u8]) -> io::Result<usize> {
        match self.room {
            Some(_) => timeout(SILENCE, reading.read(buffer)).await?,
            None => reading.read(buffer).await,
        }
    }

    fn ping(&self) {
        if !self.pinged.swap(true, Ordering::Relaxed) {
            let _ = self.tell.send(Told::Pinged(Arc::clone(&self.pinged)));
        }
    }

    fn take(&self, at: Instant, bytes: &[u8]) {
        self.links.taps.note(&Seen {
            way: Way::Received,
            at,
            local: self.local,
            remote: self.peer,
            transport: self.links.transport(),
            bytes,
        });
        match self.read_as_message(bytes) {
            Ok(message) => {
                let channel = SipConnection::Channel(self.channel.clone());
                let event = TransportEvent::Incoming(message, channel, self.address.clone());
                // The stack may be gone.
                let _ = self.incoming.send(event);
            }
            Err(error) => tracing::debug!(peer = %self.peer, %error, "a message cannot be read"),
        }
    }

    fn read_as_message(&self, bytes: &[u8]) -> Result<SipMessage, String> {
        let message = SipMessage::try_from(bytes).map_err(|error| error.to_string())?;
        let transport = self.address.r#type.unwrap_or_default();
        SipConnection::update_msg_received(message, self.peer, transport).map_err(|error| error.to_string())
    }
}
