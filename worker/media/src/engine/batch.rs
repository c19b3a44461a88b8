//! Reading many datagrams with one call, each with the kernel's stamp of its arrival.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;

/// Datagrams that are read at once.
pub(super) const BATCH: usize = 8;
/// Of one; what is longer is cut off.
const ROOM: usize = 2_048;

/// Room for one batch. Headers are kept for each family of addresses: after a call they have the length of an address of that family.
pub(super) struct Batch {
    buffers: Vec<[u8; ROOM]>,
    v4: MultiHeaders<SockaddrStorage>,
    v6: MultiHeaders<SockaddrStorage>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![[0; ROOM]; BATCH],
            v4: headers(),
            v6: headers(),
        }
    }

    /// Reads at most [`BATCH`] datagrams that are there: from whom, what, and the stamp in ns since 1970. The number of them; an error, which a later
    /// call may not have, is none.
    pub(super) fn read(
        &mut self,
        socket: &UdpSocket,
        v6: bool,
        mut take: impl FnMut(SocketAddr, &[u8], Option<i64>),
    ) -> usize {
        let headers = if v6 { &mut self.v6 } else { &mut self.v4 };
        let mut unstamped = false;
        let count = {
            let mut buffers = self.buffers.iter_mut();
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|_| {
                [IoSliceMut::new(
                    buffers.next().map_or(&mut [], |buffer| &mut buffer[..]),
                )]
            });
            let result = recvmmsg(
                socket.as_raw_fd(),
                headers,
                slices.iter_mut(),
                MsgFlags::MSG_DONTWAIT,
                None,
            );
            let Ok(messages) = result else {
                return 0;
            };
            let mut count = 0;
            for message in messages {
                count += 1;
                let stamp = stamp(&message);
                unstamped |= stamp.is_none();
                let from = message.address.as_ref().and_then(address);
                if let Some(from) = from {
                    take(from, message.iovs().next().unwrap_or_default(), stamp);
                }
            }
            count
        };
        if unstamped {
            // The kernel wrote into the header how much of the room for stamps it used: none. Without new ones no stamp would ever
            // come again.
            *headers = self::headers();
        }
        count
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec)))
}

fn stamp(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<i64> {
    message.cmsgs().ok()?.find_map(|part| {
        if let ControlMessageOwned::ScmTimestampns(at) = part {
            at.tv_sec().checked_mul(1_000_000_000)?.checked_add(at.tv_nsec())
        } else {
            None
        }
    })
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = of.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    of.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}

/// The errno of a failure to send.
pub(super) fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::EIO as i32)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::engine::ports::PortRange;

    fn read_all(
        batch: &mut Batch,
        socket: &UdpSocket,
        v6: bool,
        wanted: usize,
    ) -> Vec<(SocketAddr, Vec<u8>, i64)> {
        let mut found = Vec::new();
        let start = Instant::now();
        while found.len() < wanted && start.elapsed() < Duration::from_secs(10) {
            batch.read(socket, v6, |from, bytes, stamp| {
                found.push((from, bytes.to_vec(), stamp.expect("a stamp")));
            });
        }
        found
    }

    fn now_ns() -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos().try_into().unwrap()
    }

    #[test]
    fn datagrams_come_in_order_with_their_source_and_stamp_whatever_their_family() {
        let range = PortRange::new(&(23_940..=23_959), None).unwrap();
        let mut batch = Batch::new();
        // Twice: the second batch must not see what the first left in the headers.
        for ip in ["127.0.0.1", "::1", "127.0.0.1", "::1"] {
            let Ok(ports) = range.open(ip.parse().unwrap()) else {
                assert_eq!(ip, "::1", "a machine may have no IPv6");
                continue;
            };
            let peer = UdpSocket::bind((ip, 0)).unwrap();
            let before = now_ns();
            for n in 0..20_u8 {
                peer.send_to(&vec![n; usize::from(n) * 10], ports.local).unwrap();
            }
            let after = now_ns();
            let v6 = ports.local.is_ipv6();
            for (n, (from, bytes, stamp)) in (0_u8..).zip(read_all(&mut batch, &ports.rtp, v6, 20)) {
                assert_eq!(from, peer.local_addr().unwrap());
                assert_eq!(bytes, vec![n; usize::from(n) * 10]);
                assert!(
                    (before..=after + 1_000_000).contains(&stamp),
                    "{before} {stamp} {after}"
                );
            }
            assert_eq!(batch.read(&ports.rtp, v6, |_, _, _| panic!("nothing is left")), 0);
        }
    }
}
