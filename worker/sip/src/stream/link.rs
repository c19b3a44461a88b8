//! One peer, and the connection to it: opened when there is something to send, and opened again when it broke.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rsipstack::sip::{Method, SipMessage, StatusCode};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::connection::{TransportReceiver, TransportSender};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::Links;
use super::dial::{Stream, Writing, dial, judged};
use super::read::Reader;
use crate::tap::{Seen, Unsent, Way};

/// Most messages that are written at once.
const MOST_AT_ONCE: usize = 64;
/// Longest time that the peer may take nothing from us.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// So long nobody tries again after a connection could not be had: all who wait learn of it, and the peer is not flooded.
const REST: Duration = Duration::from_millis(200);
/// A connection that nothing was sent on for so long is kept alive (RFC 5626, 4.4.1): registrars close idle ones.
const PING_AFTER: Duration = Duration::from_secs(60);
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
const GOODBYE_LIMIT: Duration = Duration::from_millis(100);

/// What a link is told by others than the stack.
pub(super) enum Told {
    /// The peer connected to us.
    Came(Stream),
    /// It asks whether we are there.
    Pinged,
    /// The connection with this number is over.
    Ended(u64),
}

/// How the stack and the link reach each other.
pub(super) struct Ends {
    /// What the stack knows the link as.
    pub channel: ChannelConnection,
    /// From the stack.
    pub outgoing: TransportReceiver,
    /// To the stack.
    pub incoming: TransportSender,
}

/// See the module.
pub(super) struct Link {
    pub links: Arc<Links>,
    pub peer: SocketAddr,
    pub address: SipAddr,
    /// The peer opened it, from a port at which it cannot be called back.
    pub theirs: bool,
    pub ends: Ends,
    pub tell: mpsc::UnboundedSender<Told>,
    pub told: mpsc::UnboundedReceiver<Told>,
    pub writing: Option<(u64, SocketAddr, Writing)>,
    pub failed: Option<(Instant, Unsent)>,
    pub number: u64,
}

impl Link {
    /// Until the stack ends, or a peer that came is gone.
    pub async fn run(mut self) {
        let ends = self.links.ends.clone();
        let mut batch = Vec::with_capacity(MOST_AT_ONCE);
        loop {
            tokio::select! {
                biased;
                () = ends.cancelled() => break,
                Some(told) = self.told.recv() => {
                    if self.heard(told).await {
                        break;
                    }
                }
                count = self.ends.outgoing.recv_many(&mut batch, MOST_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    let messages = batch.drain(..).filter_map(message).collect();
                    self.send(messages).await;
                }
                () = sleep(PING_AFTER), if self.writing.is_some() => self.keep_alive().await,
            }
        }
        self.links.forget(self.peer, &self.ends.channel);
        if let Some((_, _, mut writing)) = self.writing.take() {
            // Nobody waits for it.
            let _ = timeout(GOODBYE_LIMIT, writing.shutdown()).await;
        }
    }

    /// Whether the link is over.
    async fn heard(&mut self, told: Told) -> bool {
        match told {
            Told::Came(stream) => self.adopt(stream),
            Told::Pinged => self.write_raw(PONG).await,
            Told::Ended(number) => {
                self.writing.take_if(|(known, _, _)| *known == number);
                if self.theirs {
                    return self.writing.is_none();
                }
                self.stay_reachable().await;
            }
        }
        false
    }

    /// Who came keeps its connection alive itself; and where there is no endpoint the peer may close it.
    async fn keep_alive(&mut self) {
        if !self.theirs && !self.links.taps.idle() {
            self.write_raw(PING).await;
        }
    }

    /// Within TLS nobody can connect to us: who waits for a call does so at a connection of ours.
    async fn stay_reachable(&mut self) {
        if self.writing.is_none()
            && self.links.tls.is_some()
            && !self.links.taps.idle()
            && let Err(unsent) = self.open().await
        {
            tracing::debug!(peer = %self.peer, why = unsent.why, "a connection is not opened again");
        }
    }

    fn adopt(&mut self, stream: Stream) {
        self.number += 1;
        let reader = Reader {
            links: Arc::clone(&self.links),
            peer: self.peer,
            address: self.address.clone(),
            local: stream.local,
            channel: self.ends.channel.clone(),
            incoming: self.ends.incoming.clone(),
            tell: self.tell.clone(),
            number: self.number,
        };
        tokio::spawn(reader.run(stream.reading));
        self.writing = Some((self.number, stream.local, stream.writing));
    }

    /// Sends these, on a new connection if the one there is has broken.
    async fn send(&mut self, messages: Vec<SipMessage>) {
        let parts: Vec<Vec<u8>> = messages.iter().map(SipMessage::to_bytes).collect();
        let whole = parts.concat();
        let mut sent = match self.writing.is_some() {
            true => self.write(&whole).await,
            false => Err(None),
        };
        if sent.is_err() && !self.theirs {
            sent = match self.open().await {
                Ok(()) => self.write(&whole).await,
                Err(unsent) => Err(Some(unsent)),
            };
        }
        match sent {
            Ok((at, local)) => {
                for bytes in &parts {
                    self.note(at, local, bytes);
                }
            }
            Err(unsent) => {
                let unsent =
                    unsent.unwrap_or_else(|| judged(self.peer, &std::io::ErrorKind::BrokenPipe.into()));
                for (message, bytes) in messages.iter().zip(&parts) {
                    self.links.taps.unsent(bytes, &unsent);
                    self.refuse(message);
                }
            }
        }
    }

    fn note(&self, at: Instant, local: SocketAddr, bytes: &[u8]) {
        self.links.taps.note(&Seen {
            way: Way::Sent,
            at,
            local,
            remote: self.peer,
            transport: self.links.transport(),
            bytes,
        });
    }

    async fn open(&mut self) -> Result<(), Unsent> {
        if let Some((at, unsent)) = &self.failed
            && at.elapsed() < REST
        {
            return Err(unsent.clone());
        }
        match dial(self.links.local, self.peer, self.links.tls.as_ref()).await {
            Ok(stream) => {
                self.failed = None;
                self.adopt(stream);
                Ok(())
            }
            Err(unsent) => {
                self.failed = Some((Instant::now(), unsent.clone()));
                Err(unsent)
            }
        }
    }

    /// When it was written, and from where.
    async fn write(&mut self, bytes: &[u8]) -> Result<(Instant, SocketAddr), Option<Unsent>> {
        let Some((_, local, writing)) = &mut self.writing else {
            return Err(None);
        };
        let (at, local) = (Instant::now(), *local);
        let writes = async {
            writing.write_all(bytes).await?;
            writing.flush().await
        };
        let error = match timeout(WRITE_LIMIT, writes).await {
            Ok(Ok(())) => return Ok((at, local)),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        self.writing = None;
        Err(Some(judged(self.peer, &error)))
    }

    async fn write_raw(&mut self, bytes: &[u8]) {
        if self.writing.is_some() {
            // That the connection is gone is found out when there is something to send.
            let _ = self.write(bytes).await;
        }
    }

    /// A request that could not be sent is answered in the peer's place, as the transport's failure (RFC 3261, 8.1.3.1). The
    /// answer was on no wire, so it is in no trace.
    fn refuse(&self, message: &SipMessage) {
        let (SipMessage::Request(request), Some(endpoint)) = (message, self.links.endpoint()) else {
            return;
        };
        if request.method == Method::Ack {
            return;
        }
        let response = endpoint.make_response(request, StatusCode::ServiceUnavailable, None);
        let channel = SipConnection::Channel(self.ends.channel.clone());
        let event = TransportEvent::Incoming(response.into(), channel, self.address.clone());
        // The stack may be gone.
        let _ = self.ends.incoming.send(event);
    }
}

fn message(event: TransportEvent) -> Option<SipMessage> {
    match event {
        TransportEvent::Incoming(message, ..) => Some(message),
        TransportEvent::New(_) | TransportEvent::Closed(_) => None,
    }
}
