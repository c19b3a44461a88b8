//! The UDP socket under the stack: every datagram passes the taps on its way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rsipstack::platform::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use crate::tap::{Fault, Seen, Transport, Unsent, Way};
use crate::taps::Taps;

/// Bursts of build-ups must fit; the kernel caps it where its limit is lower.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// No datagram is larger.
const LARGEST_BYTES: usize = 64 * 1024;

/// A socket whose traffic is written down.
pub struct TappedSocket {
    socket: tokio::net::UdpSocket,
    local: SocketAddr,
    taps: Arc<Taps>,
    /// Where datagrams are received, so that they are seen whole.
    whole: Mutex<Box<[u8]>>,
}

impl TappedSocket {
    /// Binds.
    ///
    /// # Errors
    /// As the system says: the port is in use, no descriptors are left.
    pub fn bind(address: SocketAddr, taps: Arc<Taps>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        socket.bind(&address.into())?;
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        let whole = Mutex::new(vec![0; LARGEST_BYTES].into_boxed_slice());
        Ok(Self {
            socket,
            local,
            taps,
            whole,
        })
    }

    fn note(&self, way: Way, at: Instant, remote: SocketAddr, bytes: &[u8]) {
        self.taps.note(&Seen {
            way,
            at,
            local: self.local,
            remote,
            transport: Transport::Udp,
            bytes,
        });
    }
}

#[async_trait::async_trait]
impl UdpSocket for TappedSocket {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        loop {
            self.socket.readable().await?;
            let mut whole = self.whole.lock();
            let (length, from) = match self.socket.try_recv_from(&mut whole[..]) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            self.note(Way::Received, Instant::now(), from, &whole[..length]);
            // The stack has room for less than the largest datagram. Half a message would be another one.
            if let Some(room) = buffer.get_mut(..length) {
                room.copy_from_slice(&whole[..length]);
                return Ok((length, from));
            }
            tracing::debug!(%from, length, "a message is too long and is dropped");
        }
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        let at = Instant::now();
        let sent = self.socket.send_to(bytes, to).await;
        match &sent {
            Ok(_) => self.note(Way::Sent, at, to, bytes),
            Err(error) => self.taps.unsent(
                bytes,
                &Unsent {
                    fault: Fault::Ours,
                    why: error.to_string(),
                },
            ),
        }
        Ok(sent?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.local)
    }
}
