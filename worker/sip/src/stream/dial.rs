//! A connection to a peer: plain, or within TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tap::{Fault, Unsent};
use crate::tls::Tls;

/// Longest time that a connection may take: a little less than Timer B and F, so that it is told why nothing came.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

pub(super) type Reading = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of a connection.
pub(super) struct Stream {
    pub local: SocketAddr,
    pub reading: Reading,
    pub writing: Writing,
    /// Its place among those that peers opened, if one did.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Stream {
    /// Of a connection that stands.
    pub fn plain(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let (reading, writing) = stream.into_split();
        Ok(Self {
            local,
            reading: Box::new(reading),
            writing: Box::new(writing),
            room: None,
        })
    }
}

/// A socket at this address, which others of ours may share with it.
pub(super) fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections at the socket's address.
pub(super) fn listen(socket: TcpSocket) -> io::Result<tokio::net::TcpListener> {
    socket.listen(BACKLOG)
}

/// Connects. It leaves from the address that our Contact names where that can be had: a registrar that looks for a connection to
/// that address finds this one, and need not open one of its own, which with TLS it could not.
pub(super) async fn dial(local: SocketAddr, peer: SocketAddr, tls: Option<&Tls>) -> Result<Stream, Unsent> {
    let connecting = async {
        let stream = connect(local, peer).await?;
        match tls {
            Some(tls) => secured(stream, tls).await,
            None => Stream::plain(stream),
        }
    };
    match timeout(CONNECT_LIMIT, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(judged(peer, &error)),
        Err(_) => Err(Unsent {
            fault: Fault::Silence,
            why: format!("no connection to {peer} within {} s", CONNECT_LIMIT.as_secs()),
        }),
    }
}

async fn connect(local: SocketAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    // From its own port to its own port a socket would connect to itself.
    if local != peer {
        let shared = async { socket(local)?.connect(peer).await };
        match shared.await {
            // The last one between these two ports is not forgotten yet.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse
                ) => {}
            result => return result,
        }
    }
    socket(SocketAddr::new(local.ip(), 0))?.connect(peer).await
}

async fn secured(stream: TcpStream, tls: &Tls) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let connector = TlsConnector::from(tls.config());
    let stream = connector.connect(tls.name(), stream).await;
    let stream =
        stream.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}")))?;
    let (reading, writing) = tokio::io::split(stream);
    Ok(Stream {
        local,
        reading: Box::new(reading),
        writing: Box::new(writing),
        room: None,
    })
}

/// Whose fault it is that there is no connection.
pub(super) fn judged(peer: SocketAddr, error: &io::Error) -> Unsent {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    let theirs = matches!(
        kind,
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::HostUnreachable
            | Kind::InvalidData
            | Kind::UnexpectedEof
            | Kind::WriteZero
    );
    let fault = if kind == Kind::TimedOut {
        Fault::Silence
    } else if theirs {
        Fault::Theirs
    } else {
        // No descriptors, no route, no memory.
        Fault::Ours
    };
    Unsent {
        fault,
        why: format!("no connection to {peer}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_refuses_is_its_own_fault_and_a_missing_route_is_ours() {
        let peer = ([10, 0, 0, 1], 5060).into();
        let fault = |kind: io::ErrorKind| judged(peer, &kind.into()).fault;
        assert_eq!(fault(io::ErrorKind::ConnectionRefused), Fault::Theirs);
        assert_eq!(fault(io::ErrorKind::TimedOut), Fault::Silence);
        assert_eq!(fault(io::ErrorKind::NetworkUnreachable), Fault::Ours);
        assert_eq!(
            judged(peer, &io::Error::from_raw_os_error(24)).fault,
            Fault::Ours,
            "EMFILE"
        );
    }
}
