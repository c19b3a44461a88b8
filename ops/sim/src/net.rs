//! The network and the wall clock of a simulation, as the nodes take them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use reeve_store::outside::{Incoming, Outside, Wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use turmoil::net::{TcpListener, TcpStream};

/// Simulated time begins here, Unix milliseconds.
pub(crate) const EPOCH_MS: i64 = 1_800_000_000_000;

/// Connections between two addresses, broken together.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<BTreeMap<(IpAddr, IpAddr), CancellationToken>>>);

impl Links {
    fn of(&self, one: IpAddr, other: IpAddr) -> CancellationToken {
        let key = (one.min(other), one.max(other));
        self.0.lock().entry(key).or_default().clone()
    }

    /// Breaks what stands between two addresses. The simulated TCP does not repeat what was lost, so a connection over a link that
    /// lost something would be silent for ever.
    pub(crate) fn reset(&self, one: IpAddr, other: IpAddr) {
        let key = (one.min(other), one.max(other));
        if let Some(token) = self.0.lock().remove(&key) {
            token.cancel();
        }
    }
}

/// What the nodes of a simulation take from their machine.
pub(crate) struct Ground {
    now_ms: Rc<Cell<u64>>,
    random: RefCell<StdRng>,
    links: Links,
}

impl Ground {
    pub(crate) fn new(seed: u64, now_ms: Rc<Cell<u64>>, links: Links) -> Self {
        Self {
            now_ms,
            random: RefCell::new(StdRng::seed_from_u64(seed ^ 0x0675_1de0)),
            links,
        }
    }
}

impl Outside for Ground {
    fn wall_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.now_ms.get()).unwrap_or(i64::MAX)
    }

    fn random(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    fn connect(&self, authority: String) -> BoxFuture<'static, io::Result<Wire>> {
        let links = self.links.clone();
        Box::pin(async move {
            let to: SocketAddr = authority.parse().map_err(io::Error::other)?;
            let stream = TcpStream::connect(to).await?;
            wire(stream, &links)
        })
    }

    fn listen(&self, addr: SocketAddr) -> BoxFuture<'static, io::Result<Incoming>> {
        let links = self.links.clone();
        Box::pin(async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, addr.port())).await?;
            let accept = |(listener, links): (TcpListener, Links)| async move {
                let accepted = listener.accept().await;
                let accepted = accepted.and_then(|(stream, _)| wire(stream, &links));
                Some((accepted, (listener, links)))
            };
            Ok(futures::stream::unfold((listener, links), accept).boxed())
        })
    }
}

fn wire(stream: TcpStream, links: &Links) -> io::Result<Wire> {
    let (local, peer) = (stream.local_addr()?.ip(), stream.peer_addr()?.ip());
    Ok(Wire(Box::pin(Breakable {
        reset: Box::pin(links.of(local, peer).cancelled_owned()),
        stream,
    })))
}

/// A connection that can be reset.
struct Breakable {
    stream: TcpStream,
    reset: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Breakable {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.reset.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
