//! A path between two calls, in userspace: it delays, jitters and loses what passes, and counts what it did.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What one direction does to what passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path {
    /// Added to every packet, RTCP too.
    pub delay: Duration,
    /// Added to every packet of RTP, from zero to this, all equally likely. Packets may change places.
    pub jitter: Duration,
    /// The share of packets of RTP that are lost, 0 to 1.
    pub loss: f64,
    /// How many packets of RTP come twice, 0 to 1.
    pub duplicates: f64,
}

/// What a direction did to packets of RTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// That came to it.
    pub came: u64,
    /// That it lost.
    pub lost: u64,
    /// That it sent twice.
    pub doubled: u64,
}

/// Two pairs of ports: what comes to one leaves from the other, to the address set for that side.
pub struct Relay {
    sides: [Arc<Side>; 2],
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What comes from one of the two calls.
struct Side {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    path: Path,
    /// Where this side's call is: what comes from the other side goes there.
    call: Mutex<Option<(SocketAddr, SocketAddr)>>,
    came: AtomicU64,
    lost: AtomicU64,
    doubled: AtomicU64,
}

/// Something on its way: when it arrives, what, and whether it is RTCP.
type Passing = (Instant, Vec<u8>, bool);

impl Relay {
    /// Between A and B: `there` is done to what A sends, `back` to what B sends. The seed decides which packets are lost and how late they
    /// are.
    ///
    /// # Errors
    /// The ports cannot be bound, or a thread not started.
    pub fn start(there: Path, back: Path, seed: u64) -> io::Result<Self> {
        let sides = [Arc::new(Side::bind(there)?), Arc::new(Side::bind(back)?)];
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (n, seed) in [(0, seed), (1, seed ^ 0x5eed)] {
            let (from, to) = (Arc::clone(&sides[n]), Arc::clone(&sides[1 - n]));
            let (queue, passing) = mpsc::channel();
            for rtcp in [false, true] {
                let (from, queue, stop) = (Arc::clone(&from), queue.clone(), Arc::clone(&stop));
                let random = StdRng::seed_from_u64(seed);
                threads.push(spawn(move || from.take(rtcp, &queue, &stop, random))?);
            }
            threads.push(spawn(move || to.deliver(&passing))?);
        }
        Ok(Self { sides, stop, threads })
    }

    /// Where A has to send RTP and RTCP to reach B.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn for_a(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.sides[0].addresses()
    }

    /// Where B has to send RTP and RTCP to reach A.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn for_b(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.sides[1].addresses()
    }

    /// Where A and B receive RTP; RTCP is one port above.
    pub fn connect(&self, a: SocketAddr, b: SocketAddr) {
        for (side, call) in self.sides.iter().zip([a, b]) {
            let mut rtcp = call;
            rtcp.set_port(call.port() + 1);
            *side.call.lock().unwrap_or_else(PoisonError::into_inner) = Some((call, rtcp));
        }
    }

    /// What was done to A's packets and to B's.
    #[must_use]
    pub fn counted(&self) -> [Counted; 2] {
        [self.sides[0].counted(), self.sides[1].counted()]
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Side {
    fn bind(path: Path) -> io::Result<Self> {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            Ok::<_, io::Error>(socket)
        };
        Ok(Self {
            rtp: socket()?,
            rtcp: socket()?,
            path,
            call: Mutex::new(None),
            came: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            doubled: AtomicU64::new(0),
        })
    }

    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.rtp.local_addr()?, self.rtcp.local_addr()?))
    }

    fn counted(&self) -> Counted {
        Counted {
            came: self.came.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            doubled: self.doubled.load(Ordering::Relaxed),
        }
    }

    /// Takes what comes from this side's call, until it is stopped.
    fn take(&self, rtcp: bool, queue: &Sender<Passing>, stop: &AtomicBool, mut random: StdRng) {
        let socket = if rtcp { &self.rtcp } else { &self.rtp };
        let mut buffer = [0; 2_048];
        while !stop.load(Ordering::Relaxed) {
            let Ok((len, _)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let now = Instant::now();
            let mut copies = 1;
            if !rtcp {
                self.came.fetch_add(1, Ordering::Relaxed);
                if random.random_bool(self.path.loss) {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    copies = 0;
                } else if random.random_bool(self.path.duplicates) {
                    self.doubled.fetch_add(1, Ordering::Relaxed);
                    copies = 2;
                }
            }
            for _ in 0..copies {
                let jitter = if rtcp { 0.0 } else { random.random::<f64>() };
                let at = now + self.path.delay + self.path.jitter.mul_f64(jitter);
                let _ = queue.send((at, buffer[..len].to_vec(), rtcp));
            }
        }
    }

    /// Sends to this side's call what comes from the other, each at its time, until no more can come.
    fn deliver(&self, passing: &Receiver<Passing>) {
        let mut waiting = BTreeMap::new();
        let mut count = 0_u64;
        let mut open = true;
        while open || !waiting.is_empty() {
            let next = waiting.keys().next().map(|(at, _): &(Instant, u64)| *at);
            let left = next.map_or(Duration::from_secs(1), |at| {
                at.saturating_duration_since(Instant::now())
            });
            match passing.recv_timeout(left) {
                Ok((at, bytes, rtcp)) => {
                    count += 1;
                    waiting.insert((at, count), (bytes, rtcp));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    open = false;
                    thread::sleep(left.min(Duration::from_millis(1)));
                }
            }
            while let Some(entry) = waiting
                .first_entry()
                .filter(|entry| entry.key().0 <= Instant::now())
            {
                let (bytes, rtcp) = entry.remove();
                self.send(&bytes, rtcp);
            }
        }
    }

    fn send(&self, bytes: &[u8], rtcp: bool) {
        let call = *self.call.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((to_rtp, to_rtcp)) = call {
            // As on any path, what cannot be sent is lost.
            let _ = if rtcp {
                self.rtcp.send_to(bytes, to_rtcp)
            } else {
                self.rtp.send_to(bytes, to_rtp)
            };
        }
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("relay".into()).spawn(run)
}
