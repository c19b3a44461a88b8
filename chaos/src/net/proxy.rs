//! A TCP proxy for each directed link: what is left of the network's faults without root.
//!
//! The proxy of a link carries the connections that its sender opens, in both directions, and each direction has a
//! mode of its own. A proxy cannot lose a packet: where a network would drop, it stalls.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::host::Link;

const CHUNK: usize = 16 * 1024;
/// Chunks under way in one direction; a sender that is faster waits.
const UNDER_WAY: usize = 256;
const CONNECT: Duration = Duration::from_secs(2);

/// What happens to bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    #[default]
    Pass,
    /// They wait until the mode changes.
    Stall,
    /// They are swallowed; the stream has a hole then, so the connection is reset when the mode changes.
    Drop,
    /// They come late, in order.
    Delay(Duration),
    /// The connection is reset, and so is every new one.
    Reset,
}

/// The modes of both directions of the connections of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// From whoever opened the connection.
    pub forward: Mode,
    /// To whoever opened the connection.
    pub backward: Mode,
}

/// The proxies of all links.
pub type Proxies = BTreeMap<Link, Proxy>;

/// One proxy. Dropping it closes it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    modes: watch::Sender<Modes>,
    hits: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free local port and connects to `target`.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("a proxy needs a port")?;
        let address = listener.local_addr()?;
        let (modes, watched) = watch::channel(Modes::default());
        let hits = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, target, watched, Arc::clone(&hits)));
        Ok(Self {
            address,
            modes,
            hits,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the modes at once, for connections that exist too.
    pub fn set(&self, modes: Modes) {
        self.modes.send_replace(modes);
    }

    /// The modes now.
    pub fn modes(&self) -> Modes {
        *self.modes.borrow()
    }

    /// How many chunks and connections met a mode other than [`Mode::Pass`].
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Direction {
    modes: watch::Receiver<Modes>,
    forward: bool,
    hits: Arc<AtomicU64>,
}

impl Direction {
    fn mode(&self) -> Mode {
        let modes = *self.modes.borrow();
        if self.forward {
            modes.forward
        } else {
            modes.backward
        }
    }

    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the mode is not this one.
    async fn over(&mut self, mode: Mode) {
        while self.mode() == mode {
            if self.modes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn becomes_reset(&mut self) {
        loop {
            let modes = *self.modes.borrow_and_update();
            if modes.forward == Mode::Reset || modes.backward == Mode::Reset {
                return;
            }
            if self.modes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    modes: watch::Receiver<Modes>,
    hits: Arc<AtomicU64>,
) {
    // Its connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // A connection that is gone before it is accepted is nobody's loss.
        let Ok((client, _)) = accepted else { continue };
        let direction = Direction {
            modes: modes.clone(),
            forward: true,
            hits: Arc::clone(&hits),
        };
        connections.spawn(carry(client, target, direction));
    }
}

/// The connection cannot go on: it is to be reset.
struct Broken;

/// One connection, until it ends or is reset.
async fn carry(mut client: TcpStream, target: SocketAddr, direction: Direction) {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(target)).await;
    let Ok(Ok(mut server)) = connected else {
        // The client sees what it would see without us.
        let _ = client.set_zero_linger();
        return;
    };
    // Small messages are not to wait for more; a socket that refuses that only is slower.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let backward = Direction {
        forward: false,
        ..direction.clone()
    };
    let mut watcher = direction.clone();
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = watcher.becomes_reset() => {
                watcher.hit();
                Err(Broken)
            }
            both = async {
                tokio::try_join!(
                    pump(from_client, to_server, direction),
                    pump(from_server, to_client, backward),
                )
            } => both.map(|_| ()),
        }
    };
    if ended.is_err() {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Bytes of one direction, until the sender has no more.
async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, direction: Direction) -> Result<(), Broken> {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    tokio::try_join!(read(from, sender, direction), write(to, receiver)).map(|_| ())
}

async fn read(
    mut from: ReadHalf<'_>,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mut direction: Direction,
) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    let mut swallowed = false;
    loop {
        let mut watcher = direction.clone();
        let count = tokio::select! {
            read = from.read(&mut buffer) => read.map_err(|_| Broken)?,
            () = watcher.over(Mode::Drop), if swallowed => return Err(Broken),
        };
        if count == 0 {
            return Ok(());
        }
        let mode = direction.mode();
        if mode != Mode::Pass {
            direction.hit();
        }
        let due = match mode {
            Mode::Pass | Mode::Reset => Instant::now(),
            Mode::Stall => {
                direction.over(mode).await;
                Instant::now()
            }
            Mode::Drop => {
                swallowed = true;
                continue;
            }
            Mode::Delay(delay) => Instant::now() + delay,
        };
        sender
            .send((due, buffer[..count].to_vec()))
            .await
            .map_err(|_| Broken)?;
    }
}

async fn write(mut to: WriteHalf<'_>, mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>) -> Result<(), Broken> {
    while let Some((due, bytes)) = chunks.recv().await {
        tokio::time::sleep_until(due).await;
        to.write_all(&bytes).await.map_err(|_| Broken)?;
    }
    to.shutdown().await.map_err(|_| Broken)
}

#[cfg(test)]
mod tests;
