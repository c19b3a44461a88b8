//! Where the RTP of many calls arrives and is sent back: one socket, which writes down when each packet of each call came.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// Bursts of a worker that was held up must fit.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How often it looks whether it is to end.
const BEAT: Duration = Duration::from_millis(100);
/// A caller that keeps time leaves at most 40 ms between two packets: one in time, the next 20 ms late. The rest is for the way and for
/// this side, which may be late itself.
pub const MOST_GAP_MS: u32 = 60;
/// A second as this side sees it may begin and end so much later or earlier.
const BLUR_MS: u32 = 30;

/// Arrivals of a call, milliseconds since the sink began, by the port that it sends from.
pub type Arrivals = HashMap<u16, Vec<u32>>;

/// A thread that echoes.
pub struct Sink {
    /// Where it listens.
    pub port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Arrivals>,
}

impl Sink {
    /// Starts it.
    ///
    /// # Errors
    /// There is no port, or no thread.
    pub fn start() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        socket.bind(&any.into())?;
        let socket: UdpSocket = socket.into();
        socket.set_read_timeout(Some(BEAT))?;
        let port = socket.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || echo(&socket, &stopped))?;
        Ok(Self { port, stop, thread })
    }

    /// Ends it.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn end(self) -> Result<Arrivals> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the sink broke")
    }
}

fn echo(socket: &UdpSocket, stop: &AtomicBool) -> Arrivals {
    let begun = Instant::now();
    let mut arrivals = Arrivals::new();
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let at = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
                arrivals.entry(from.port()).or_default().push(at);
                // As on any path, what cannot be sent is lost.
                let _ = socket.send_to(&buffer[..length], from);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // A caller that has closed its socket.
            Err(_) => {}
        }
    }
    arrivals
}

/// Whether in the second of this number, from 0, a gap in the arrivals says that the caller cannot have kept time.
pub fn has_gap(arrivals: &[u32], second: u32) -> bool {
    let Some(first) = arrivals.first() else {
        return true;
    };
    let (from, until) = (
        first + second * 1_000 + BLUR_MS,
        first + (second + 1) * 1_000 - BLUR_MS,
    );
    arrivals.windows(2).any(|pair| {
        let (earlier, later) = (pair[0].max(from), pair[1].min(until));
        later.saturating_sub(earlier) > MOST_GAP_MS
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_gap_is_in_the_second_that_it_is_in() {
        let steady: Vec<u32> = (0..200).map(|number| 500 + number * 20).collect();
        assert!((0..4).all(|second| !has_gap(&steady, second)));
        let held_up: Vec<u32> = steady
            .iter()
            .copied()
            .filter(|at| !(1_700..1_800).contains(at))
            .collect();
        let found: Vec<u32> = (0..4).filter(|second| has_gap(&held_up, *second)).collect();
        assert_eq!(found, [1]);
        assert!(has_gap(&[], 0), "a call of which nothing ever came");
    }

    #[test]
    fn what_comes_is_sent_back_and_counted() {
        let sink = Sink::start().unwrap();
        let caller = UdpSocket::bind("127.0.0.1:0").unwrap();
        caller.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        caller.send_to(b"sound", ("127.0.0.1", sink.port)).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(caller.recv(&mut buffer).unwrap(), 5);
        let port = caller.local_addr().unwrap().port();
        assert_eq!(sink.end().unwrap()[&port].len(), 1);
    }
}
