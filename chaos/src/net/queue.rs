//! The delay daemon: takes packets from a netfilter queue and lets each go when it is due.
//!
//! This kernel has no netem. The queue holds the packets; the daemon only says when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{BufRead, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nfq::{Message, Queue, Verdict};
use nix::errno::Errno;

use super::delay::{Counts, Delays, Order};
use super::host::{Link, address};
use super::rules::QUEUE;

/// Only the addresses are looked at.
const COPIED_BYTES: u16 = 64;
/// The kernel may hold so many packets.
const LONGEST_QUEUE: u32 = 65_535;
/// Between two looks at an empty queue: the library offers nothing to wait on.
const PAUSE: Duration = Duration::from_micros(300);

struct Daemon {
    seed: u64,
    begun: Instant,
    links: BTreeMap<Link, Delays>,
    counts: BTreeMap<Link, u64>,
    held: BTreeMap<u64, Message>,
    /// When the packets of `held` are due, microseconds, and their keys there, which are in order of arrival.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    arrived: u64,
}

/// Serves the queue until stdin ends.
///
/// # Errors
/// The queue cannot be had, or is lost.
pub fn serve(seed: u64) -> Result<()> {
    let mut queue = Queue::open()?;
    queue
        .bind(QUEUE)
        .context("the queue is taken, or this is not root")?;
    queue.set_copy_range(QUEUE, COPIED_BYTES)?;
    queue.set_queue_max_len(QUEUE, LONGEST_QUEUE)?;
    queue.set_fail_open(QUEUE, true)?;
    queue.set_nonblocking(true);
    let orders = orders();
    let mut daemon = Daemon {
        seed,
        begun: Instant::now(),
        links: BTreeMap::new(),
        counts: BTreeMap::new(),
        held: BTreeMap::new(),
        due: BinaryHeap::new(),
        arrived: 0,
    };
    loop {
        let idle = !daemon.take(&mut queue)? & !daemon.release(&mut queue)?;
        match orders.try_recv() {
            Ok(order) => daemon.obey(order)?,
            Err(TryRecvError::Empty) if idle => std::thread::sleep(PAUSE),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn orders() -> Receiver<Order> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            // What we do not understand ends us: the harness then knows that nothing is delayed.
            let Some(order) = order else { return };
            if sender.send(order).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Daemon {
    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes one packet; true: there was one.
    fn take(&mut self, queue: &mut Queue) -> Result<bool> {
        let mut message = match queue.recv() {
            Ok(message) => message,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            // The kernel gave up a packet before we let it go.
            Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => return Ok(true),
            Err(error) => return Err(error).context("the queue is lost"),
        };
        let now = self.now_us();
        message.set_verdict(Verdict::Accept);
        let link = link_of(message.get_payload());
        let due = link
            .and_then(|link| self.links.get_mut(&link))
            .map(|delays| delays.due(now));
        let (Some(link), Some(due)) = (link, due) else {
            queue.verdict(message)?;
            return Ok(true);
        };
        *self.counts.entry(link).or_default() += 1;
        self.arrived += 1;
        self.held.insert(self.arrived, message);
        self.due.push(Reverse((due, self.arrived)));
        Ok(true)
    }

    /// Lets go what is due; true: something was.
    fn release(&mut self, queue: &mut Queue) -> Result<bool> {
        let now = self.now_us();
        let mut any = false;
        while let Some(Reverse((due, key))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            if let Some(message) = self.held.remove(&key) {
                queue.verdict(message)?;
            }
            any = true;
        }
        Ok(any)
    }

    fn obey(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Set(shapes) => {
                // A link that stays as it is goes on in its stream.
                let mut known = std::mem::take(&mut self.links);
                for (link, shape) in shapes {
                    let delays = known
                        .remove(&link)
                        .filter(|delays| delays.shape() == shape)
                        .unwrap_or_else(|| Delays::new(self.seed, link, shape));
                    self.links.insert(link, delays);
                }
            }
            Order::Count => {}
        }
        let counts: Counts = self.counts.iter().map(|(link, count)| (*link, *count)).collect();
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &counts)?;
        out.write_all(b"\n")?;
        out.flush().context("nobody listens")
    }
}

/// The link of an IPv4 packet between two of our hosts.
fn link_of(packet: &[u8]) -> Option<Link> {
    let at = |offset: usize| -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = packet.get(offset..offset + 4)?.try_into().ok()?;
        Some(bytes.into())
    };
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let ours = |of: Ipv4Addr| (address(of.octets()[3]) == of).then_some(of.octets()[3]);
    Some(Link::new(ours(at(12)?)?, ours(at(16)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u8, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        packet[0] = version << 4 | 5;
        packet[12..16].copy_from_slice(&from);
        packet[16..20].copy_from_slice(&to);
        packet
    }

    #[test]
    fn the_link_of_a_packet_is_in_its_header() {
        let ours = packet(4, [10, 77, 0, 1], [10, 77, 0, 2]);
        assert_eq!(link_of(&ours), Some(Link::new(1, 2)));
    }

    #[test]
    fn what_is_none_of_ours_has_no_link() {
        assert_eq!(link_of(&packet(6, [10, 77, 0, 1], [10, 77, 0, 2])), None);
        assert_eq!(link_of(&packet(4, [10, 78, 0, 1], [10, 77, 0, 2])), None);
        assert_eq!(link_of(&[0x45; 3]), None);
        assert_eq!(link_of(&[]), None);
    }
}
