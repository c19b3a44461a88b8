//! Connections under the stack, by TCP or within TLS: one to each peer, which all endpoints share.
//!
//! The stack below would open connections of its own, whose bytes nobody sees. It is given channels instead, one for each peer: what it
//! sends by one is written down and goes into the connection, what comes by the connection is cut into messages, written
//! down, and goes to the stack. A channel is a reliable transport to it, so that it repeats nothing, and its address says TCP or TLS, so
//! that Via does too.

mod dial;
mod frame;
mod link;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rsipstack::transaction::endpoint::{EndpointInner, EndpointInnerRef};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use self::dial::Stream;
use self::link::{Ends, Link, Told};
use crate::tap::Transport;
use crate::taps::Taps;
use crate::tls::Tls;

/// So long nothing is accepted after that went wrong: there are no descriptors, and trying at once would find none.
const REST: Duration = Duration::from_millis(100);

/// Most connections that peers may have opened at once.
const MOST_ACCEPTED: usize = 1_024;

/// The connections of a stack.
pub(crate) struct Links {
    local: SocketAddr,
    tls: Option<Tls>,
    taps: Arc<Taps>,
    ends: CancellationToken,
    endpoint: OnceLock<Weak<EndpointInner>>,
    table: Mutex<HashMap<SocketAddr, Known>>,
    /// For connections that peers open.
    room: Arc<Semaphore>,
}

/// A link, as others know it.
#[derive(Clone)]
struct Known {
    tell: mpsc::UnboundedSender<Told>,
    holds: Arc<()>,
}

/// The link to a peer does not end while this lives: in a call the stack below goes where a Route says without asking, and must find
/// the link there.
pub(crate) struct Hold {
    _one: Arc<()>,
}

/// A place to be called at, until it is served.
pub(crate) enum Place {
    /// It takes connections.
    Open(TcpListener),
    /// It only keeps the port: who wants to talk within TLS to us would need a certificate of ours.
    Kept(TcpSocket),
}

impl Links {
    /// Takes the address.
    pub fn bind(
        address: SocketAddr,
        tls: Option<Tls>,
        taps: Arc<Taps>,
        ends: CancellationToken,
    ) -> io::Result<(Arc<Self>, Place)> {
        let socket = dial::socket(address)?;
        let local = socket.local_addr()?;
        let place = match tls {
            Some(_) => Place::Kept(socket),
            None => Place::Open(dial::listen(socket)?),
        };
        let links = Self {
            local,
            tls,
            taps,
            ends,
            endpoint: OnceLock::new(),
            table: Mutex::default(),
            room: Arc::new(Semaphore::new(MOST_ACCEPTED)),
        };
        Ok((Arc::new(links), place))
    }

    /// Our address, as others reach us.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How messages travel.
    pub fn transport(&self) -> Transport {
        match self.tls {
            Some(_) => Transport::Tls,
            None => Transport::Tcp,
        }
    }

    /// An address in the stack's terms.
    pub fn address(&self, of: SocketAddr) -> SipAddr {
        SipAddr::new(self.transport().word(), of.into())
    }

    /// Serves this stack.
    pub async fn serve(self: &Arc<Self>, endpoint: &EndpointInnerRef, place: Place) -> rsipstack::Result<()> {
        let _ = self.endpoint.set(Arc::downgrade(endpoint));
        // What the stack takes as its own address. Nothing is ever sent by it.
        let (channel, _) = self.channel(self.local).await?;
        endpoint.transport_layer.add_transport(channel.into());
        tokio::spawn(Arc::clone(self).accept(place));
        Ok(())
    }

    /// What the stack sends to this peer goes by a connection of ours from now on. It is opened when there is something to send.
    pub async fn reach(self: &Arc<Self>, peer: SocketAddr) -> rsipstack::Result<SipAddr> {
        let known = self.table.lock().get(&peer).cloned();
        // Told while it is in the table, so that it does not end before it is used.
        if known.is_none_or(|known| known.tell.send(Told::Wanted).is_err()) {
            self.link(peer, None).await?;
        }
        Ok(self.address(peer))
    }

    /// Keeps the link to this peer, if there is one.
    pub fn hold(&self, peer: SocketAddr) -> Option<Hold> {
        let table = self.table.lock();
        let holds = &table.get(&peer)?.holds;
        Some(Hold {
            _one: Arc::clone(holds),
        })
    }

    fn endpoint(&self) -> Option<EndpointInnerRef> {
        self.endpoint.get().and_then(Weak::upgrade)
    }

    async fn channel(&self, peer: SocketAddr) -> rsipstack::Result<(ChannelConnection, Ends)> {
        let (incoming, from_us) = mpsc::unbounded_channel();
        let (to_us, outgoing) = mpsc::unbounded_channel();
        // Cancelled when the peer that it leads to is gone, so that calls look for another way.
        let token = self.ends.child_token();
        let address = self.address(peer);
        let channel = ChannelConnection::create_connection(from_us, to_us, address, Some(token)).await?;
        let ends = Ends {
            channel: channel.clone(),
            outgoing,
            incoming,
        };
        Ok((channel, ends))
    }

    /// Links to a peer, or hands it a connection that came if there is a link.
    async fn link(self: &Arc<Self>, peer: SocketAddr, came: Option<Stream>) -> rsipstack::Result<()> {
        let (channel, ends) = self.channel(peer).await?;
        let (tell, told) = mpsc::unbounded_channel();
        let theirs = came.is_some();
        let mut table = self.table.lock();
        let known = table.get(&peer).map(|known| &known.tell);
        if let Some(stream) = came {
            // Its receiver is in the table for as long as the link lives.
            let _ = known.unwrap_or(&tell).send(Told::Came(stream));
        }
        if known.is_some() {
            return Ok(());
        }
        let Some(endpoint) = self.endpoint() else {
            return Ok(());
        };
        let known = Known {
            tell: tell.clone(),
            holds: Arc::default(),
        };
        let holds = Arc::clone(&known.holds);
        table.insert(peer, known);
        endpoint
            .transport_layer
            .add_connection(SipConnection::Channel(channel));
        drop(table);
        let link = Link {
            links: Arc::clone(self),
            peer,
            address: self.address(peer),
            theirs,
            ends,
            tell,
            told,
            holds,
            open: None,
            failed: None,
            number: 0,
        };
        tokio::spawn(link.run());
        Ok(())
    }

    /// Forgets a link, unless it was told something meanwhile that it is needed for: that is given back.
    fn forget(&self, link: &mut Link) -> Option<Told> {
        let mut table = self.table.lock();
        while let Ok(told) = link.told.try_recv() {
            if link.is_needed_for(&told) {
                return Some(told);
            }
        }
        table.remove(&link.peer);
        if let Some(endpoint) = self.endpoint() {
            let channel = SipConnection::Channel(link.ends.channel.clone());
            endpoint.transport_layer.remove_connection(&channel);
        }
        None
    }

    async fn accept(self: Arc<Self>, place: Place) {
        let listener = match place {
            Place::Open(listener) => listener,
            Place::Kept(socket) => {
                self.ends.cancelled().await;
                drop(socket);
                return;
            }
        };
        loop {
            let accepted = tokio::select! {
                () = self.ends.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let linked = match accepted {
                Ok((stream, peer)) => self.take_in(stream, peer).await,
                Err(error) => Err(error),
            };
            if let Err(error) = linked {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }

    async fn take_in(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::debug!(%peer, "a connection is closed at once: there are too many");
            return Ok(());
        };
        let mut stream = Stream::plain(stream)?;
        stream.room = Some(room);
        self.link(peer, Some(stream)).await.map_err(io::Error::other)
    }
}
