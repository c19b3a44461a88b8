//! Sockets of a call: an even port for RTP and the odd one above it for RTCP.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv4Tos, Ipv6TClass, RcvBuf, ReceiveTimestampns, SndBuf};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket};

/// What an RTP socket may hold until it is read, bytes as the kernel counts them: more than a second of packets.
const RTP_BUFFER: usize = 128 << 10;
/// RTCP is read less often, and has little.
const RTCP_BUFFER: usize = 32 << 10;

/// The two sockets of a call.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) local: SocketAddr,
    // The last to go: until the sockets are closed, nobody need try.
    _lease: Lease,
}

/// Pairs that this process has, by their first port. Whoever looks for a free one passes them by without asking the system: with most in
/// use that would be thousands of sockets for one call.
type Taken = Arc<Mutex<HashSet<SocketAddr>>>;

/// A pair that is in use.
#[derive(Debug)]
struct Lease {
    taken: Taken,
    local: SocketAddr,
}

impl Lease {
    /// `None`: it is in use.
    fn of(taken: &Taken, local: SocketAddr) -> Option<Self> {
        let new = taken.lock().unwrap_or_else(PoisonError::into_inner).insert(local);
        new.then(|| Self {
            taken: Arc::clone(taken),
            local,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.local);
    }
}

/// Hands out ports, each as late as possible after its last use: packets of an old call may still come.
#[derive(Debug)]
pub(crate) struct PortRange {
    first: u16,
    pairs: usize,
    next: AtomicUsize,
    taken: Taken,
    tos: Option<u8>,
}

impl PortRange {
    /// # Errors
    /// `InvalidInput`: the range has no even port with an odd one above it.
    pub(crate) fn new(ports: &RangeInclusive<u16>, tos: Option<u8>) -> io::Result<Self> {
        let start = u32::from(*ports.start()).next_multiple_of(2);
        let end = u32::from(*ports.end()) + 1;
        let pairs = end.saturating_sub(start) as usize / 2;
        let first = u16::try_from(start).ok().filter(|first| *first > 0 && pairs > 0);
        let first = first.ok_or_else(|| {
            let why = format!(
                "ports: {}-{} has no even port above 0 that is followed by an odd one",
                ports.start(),
                ports.end()
            );
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })?;
        Ok(Self {
            first,
            pairs,
            next: AtomicUsize::new(0),
            taken: Taken::default(),
            tos,
        })
    }

    /// Binds the next free pair.
    ///
    /// # Errors
    /// `EADDRINUSE`: none is free. Others as the operating system has them.
    pub(crate) fn open(&self, local: IpAddr) -> io::Result<Ports> {
        for _ in 0..self.pairs {
            let pair = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = usize::from(self.first) + 2 * pair;
            // The range was checked to end below 65,536.
            let port = u16::try_from(port).unwrap_or(u16::MAX - 1);
            let local = SocketAddr::new(local, port);
            let Some(lease) = Lease::of(&self.taken, local) else {
                continue;
            };
            match self.pair(local, lease) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return other,
            }
        }
        Err(Errno::EADDRINUSE.into())
    }

    fn pair(&self, local: SocketAddr, lease: Lease) -> io::Result<Ports> {
        let above = SocketAddr::new(local.ip(), local.port() + 1);
        Ok(Ports {
            rtp: self.socket(local, RTP_BUFFER)?,
            rtcp: self.socket(above, RTCP_BUFFER)?,
            local,
            _lease: lease,
        })
    }

    fn socket(&self, local: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
        let family = match local {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd: OwnedFd = socket(family, SockType::Datagram, flags, None)?;
        // Before it is bound, so that no packet comes without a stamp.
        setsockopt(&fd, ReceiveTimestampns, &true)?;
        setsockopt(&fd, RcvBuf, &buffer)?;
        setsockopt(&fd, SndBuf, &buffer)?;
        if let Some(tos) = self.tos {
            match local {
                SocketAddr::V4(_) => setsockopt(&fd, Ipv4Tos, &i32::from(tos))?,
                SocketAddr::V6(_) => setsockopt(&fd, Ipv6TClass, &i32::from(tos))?,
            }
        }
        bind(fd.as_raw_fd(), &SockaddrStorage::from(local))?;
        Ok(UdpSocket::from(fd))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_range_without_a_pair_is_refused() {
        let backwards = RangeInclusive::new(12, 11);
        for ports in [9..=9, 10..=10, 11..=12, backwards, 0..=1, 65_535..=65_535] {
            let error = PortRange::new(&ports, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{ports:?}");
        }
        for (ports, first, pairs) in [
            (9..=11, 10, 1),
            (10..=11, 10, 1),
            (10..=14, 10, 2),
            (65_534..=65_535, 65_534, 1),
        ] {
            let range = PortRange::new(&ports, None).unwrap();
            assert_eq!((range.first, range.pairs), (first, pairs), "{ports:?}");
        }
    }

    #[test]
    fn pairs_are_even_and_odd_and_taken_in_turn_until_none_is_left() {
        let range = PortRange::new(&(23_901..=23_907), Some(0xb8)).unwrap();
        let one = range.open(HERE).unwrap();
        let two = range.open(HERE).unwrap();
        let three = range.open(HERE).unwrap();
        assert_eq!(
            [one.local.port(), two.local.port(), three.local.port()],
            [23_902, 23_904, 23_906]
        );
        assert_eq!(one.rtp.local_addr().unwrap().port(), 23_902);
        assert_eq!(one.rtcp.local_addr().unwrap().port(), 23_903);
        let error = range.open(HERE).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRINUSE as i32));
        drop(two);
        assert_eq!(range.open(HERE).unwrap().local.port(), 23_904);
    }

    #[test]
    fn a_pair_of_ours_is_passed_by_and_one_of_somebody_elses_is_tried() {
        let range = PortRange::new(&(23_908..=23_913), None).unwrap();
        let foreign = UdpSocket::bind((HERE, 23_911)).unwrap();
        let ours = range.open(HERE).unwrap();
        let next = range.open(HERE).unwrap();
        assert_eq!([ours.local.port(), next.local.port()], [23_908, 23_912]);
        let taken = || range.taken.lock().unwrap().len();
        assert_eq!(taken(), 2, "what could not be bound is not held");
        drop((ours, next));
        assert_eq!(taken(), 0);
        drop(foreign);
        assert_eq!(range.open(HERE).unwrap().local.port(), 23_908);
        assert_eq!(range.open(HERE).unwrap().local.port(), 23_910);
    }

    #[test]
    fn an_address_of_another_machine_is_the_operating_systems_error() {
        let range = PortRange::new(&(23_920..=23_929), None).unwrap();
        let error = range.open("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL as i32));
    }
}
