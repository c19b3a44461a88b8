//! What a node takes from its machine: threads, sockets, the wall clock, chance. A simulation gives it its own.
//!
//! A simulation (`ops/sim`) runs all nodes on one thread and says so with [`simulate`]; on every other thread all of this is the
//! machine's. What it replaces here is all that would make a run differ from the next of the same seed.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};

/// A two-way stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A simulated connection.
pub struct Wire(pub Pin<Box<dyn Duplex>>);

/// Connections as they come in.
pub type Incoming = BoxStream<'static, io::Result<Wire>>;

/// What a simulation gives the nodes of its thread.
pub trait Outside {
    /// The wall clock, Unix milliseconds.
    fn wall_ms(&self) -> i64;
    /// The next of its numbers.
    fn random(&self) -> u64;
    /// Connects to `host:port`.
    fn connect(&self, authority: String) -> BoxFuture<'static, io::Result<Wire>>;
    /// Listens.
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'static, io::Result<Incoming>>;
}

thread_local! {
    static OUTSIDE: RefCell<Option<Rc<dyn Outside>>> = const { RefCell::new(None) };
}

/// Everything on this thread is simulated until the answer is dropped.
#[must_use]
pub fn simulate(outside: Rc<dyn Outside>) -> Simulated {
    OUTSIDE.set(Some(outside));
    Simulated(())
}

/// Ends a simulation when it is dropped.
pub struct Simulated(());

impl Drop for Simulated {
    fn drop(&mut self) {
        OUTSIDE.set(None);
    }
}

fn outside() -> Option<Rc<dyn Outside>> {
    OUTSIDE.with_borrow(Clone::clone)
}

/// Whether this thread is a simulation's.
pub fn is_simulated() -> bool {
    OUTSIDE.with_borrow(Option::is_some)
}

/// This machine's wall clock, Unix milliseconds.
pub fn wall_ms() -> i64 {
    if let Some(outside) = outside() {
        return outside.wall_ms();
    }
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// A simulation's next number; `None`: ask the machine.
pub(crate) fn random() -> Option<u64> {
    outside().map(|outside| outside.random())
}

/// Runs what takes long on a thread of its own. A simulation has one thread, on which nothing takes time.
///
/// # Errors
/// It panicked, or the runtime is closing.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if is_simulated() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// A channel that connects when it is first used.
pub fn connect_lazy(endpoint: &Endpoint) -> Channel {
    if !is_simulated() {
        return endpoint.connect_lazy();
    }
    endpoint.connect_with_connector_lazy(tower::service_fn(dial))
}

/// Must not be made before it is polled: the connector is used on the simulation's thread only.
fn dial(uri: Uri) -> BoxFuture<'static, io::Result<TokioIo<Wire>>> {
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let Some(outside) = outside() else {
        return Box::pin(async { Err(io::Error::other("the simulation is over")) });
    };
    let connecting = outside.connect(authority);
    Box::pin(async move { connecting.await.map(TokioIo::new) })
}

/// Listens in a simulation.
///
/// # Errors
/// The address is not free, or this thread is not a simulation's.
pub async fn listen(addr: SocketAddr) -> io::Result<Incoming> {
    let listening = outside().map(|outside| outside.listen(addr));
    match listening {
        Some(listening) => listening.await,
        None => Err(io::Error::other("this is no simulation")),
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}
