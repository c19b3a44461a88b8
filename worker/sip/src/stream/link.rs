//! One peer, and the connection to it: opened when there is something to send, and opened again when it broke.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rsipstack::sip::{Method, SipMessage, StatusCode};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::connection::{TransportReceiver, TransportSender};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

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
/// So often a connection is tried again that endpoints wait at.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// A link that had neither connection nor traffic for so long is given up; the next message to the peer begins another.
const USELESS_AFTER: Duration = Duration::from_secs(120);
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
const GOODBYE_LIMIT: Duration = Duration::from_millis(100);

/// What a link is told by others than the stack.
pub(super) enum Told {
    /// The peer connected to us.
    Came(Stream),
    /// It asks whether we are there. Cleared when it is answered: one question at a time is enough.
    Pinged(Arc<AtomicBool>),
    /// Something is about to be sent by it.
    Wanted,
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

/// The connection that there is.
pub(super) struct Open {
    number: u64,
    local: SocketAddr,
    writing: Writing,
    /// Ends the reader too: a connection of which only one half is given up stays open until the peer closes it.
    _reader: DropGuard,
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
    /// One is this, one is in the table, and every other one is a [`Hold`](super::Hold).
    pub holds: Arc<()>,
    pub open: Option<Open>,
    pub failed: Option<(Instant, Unsent)>,
    pub number: u64,
}

impl Link {
    /// Until the stack ends, a peer that came is gone, or the link is of no use.
    pub async fn run(mut self) {
        let links = Arc::clone(&self.links);
        loop {
            self.serve().await;
            let Some(told) = links.forget(&mut self) else {
                break;
            };
            self.heard(told).await;
        }
        // What was sent before the stack knew.
        self.ends.outgoing.close();
        let mut late = Vec::new();
        while let Ok(event) = self.ends.outgoing.try_recv() {
            late.extend(message(event));
        }
        if !late.is_empty() && !links.ends.is_cancelled() {
            self.send(late).await;
        }
        if let Some(mut open) = self.open.take() {
            // Nobody waits for it.
            let _ = timeout(GOODBYE_LIMIT, open.writing.shutdown()).await;
        }
    }

    /// Until there is no reason to go on.
    async fn serve(&mut self) {
        let ends = self.links.ends.clone();
        let mut batch = Vec::with_capacity(MOST_AT_ONCE);
        loop {
            tokio::select! {
                biased;
                () = ends.cancelled() => return,
                Some(told) = self.told.recv() => {
                    if self.heard(told).await {
                        return;
                    }
                }
                count = self.ends.outgoing.recv_many(&mut batch, MOST_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    let messages = batch.drain(..).filter_map(message).collect();
                    self.send(messages).await;
                }
                () = sleep(PING_AFTER), if self.open.is_some() => self.keep_alive().await,
                () = sleep(TRY_AGAIN), if self.is_missed() => self.stay_reachable().await,
                () = sleep(USELESS_AFTER), if self.open.is_none() => {
                    if !self.is_missed() && Arc::strong_count(&self.holds) <= 2 {
                        return;
                    }
                }
            }
        }
    }

    /// Whether this is a reason to go on after all.
    pub fn is_needed_for(&self, told: &Told) -> bool {
        match told {
            Told::Came(_) => true,
            Told::Wanted => !self.theirs,
            Told::Pinged(_) | Told::Ended(_) => false,
        }
    }

    /// Whether the link is over.
    async fn heard(&mut self, told: Told) -> bool {
        match told {
            Told::Came(stream) => self.adopt(stream),
            Told::Pinged(asked) => {
                asked.store(false, Ordering::Relaxed);
                self.write_raw(PONG).await;
            }
            Told::Wanted => {}
            Told::Ended(number) => {
                self.open.take_if(|open| open.number == number);
                if self.theirs {
                    return self.open.is_none();
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
    fn is_missed(&self) -> bool {
        let (was_open, is_open) = (self.number > 0, self.open.is_some());
        was_open && !is_open && !self.theirs && self.links.tls.is_some() && !self.links.taps.idle()
    }

    async fn stay_reachable(&mut self) {
        if self.is_missed()
            && let Err(unsent) = self.connect().await
        {
            tracing::debug!(peer = %self.peer, why = unsent.why, "a connection is not opened again");
        }
    }

    fn adopt(&mut self, stream: Stream) {
        self.number += 1;
        let closes = CancellationToken::new();
        let reader = Reader {
            links: Arc::clone(&self.links),
            peer: self.peer,
            address: self.address.clone(),
            local: stream.local,
            channel: self.ends.channel.clone(),
            incoming: self.ends.incoming.clone(),
            tell: self.tell.clone(),
            number: self.number,
            pinged: Arc::default(),
            closes: closes.clone(),
            room: stream.room,
        };
        tokio::spawn(reader.run(stream.reading));
        self.open = Some(Open {
            number: self.number,
            local: stream.local,
            writing: stream.writing,
            _reader: closes.drop_guard(),
        });
    }

    /// Sends these, on a new connection if the one there is has broken.
    async fn send(&mut self, messages: Vec<SipMessage>) {
        let parts: Vec<Vec<u8>> = messages.iter().map(SipMessage::to_bytes).collect();
        let whole = parts.concat();
        let mut sent = match self.open.is_some() {
            true => self.write(&whole).await,
            false => Err(None),
        };
        if sent.is_err() && !self.theirs {
            sent = match self.connect().await {
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

    async fn connect(&mut self) -> Result<(), Unsent> {
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
        let Some(open) = &mut self.open else {
            return Err(None);
        };
        let (at, local) = (Instant::now(), open.local);
        let writes = async {
            open.writing.write_all(bytes).await?;
            open.writing.flush().await
        };
        let error = match timeout(WRITE_LIMIT, writes).await {
            Ok(Ok(())) => return Ok((at, local)),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        self.open = None;
        Err(Some(judged(self.peer, &error)))
    }

    async fn write_raw(&mut self, bytes: &[u8]) {
        if self.open.is_some() {
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
