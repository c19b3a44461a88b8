//! A host of the network, and what can be done in its place.

use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use crate::tool;

/// The number of the harness itself, which has a cable too but no namespace of its own.
pub const HARNESS: u8 = 250;
/// "Discard": nobody listens there, nobody needs to.
const DISCARD: u16 = 9;

/// One direction between two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Number of the host that sends.
    pub from: u8,
    /// Number of the host that receives.
    pub to: u8,
}

impl Link {
    /// From one to another.
    pub fn new(from: u8, to: u8) -> Self {
        Self { from, to }
    }

    /// Both directions between every one of these and every one of those.
    pub fn between(these: &[u8], those: &[u8]) -> Vec<Self> {
        let pairs = these.iter().flat_map(|a| those.iter().map(move |b| (*a, *b)));
        pairs
            .flat_map(|(a, b)| [Self::new(a, b), Self::new(b, a)])
            .collect()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.from, self.to)
    }
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// 1 to 200, or [`HARNESS`].
    pub number: u8,
}

impl Host {
    pub(super) fn new(number: u8) -> Self {
        Self { number }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// Starts a program in its place, as the process that is spawned.
    ///
    /// Not by `ip netns exec`: that copies the mounts, and a copy held by one node would keep the disk of another
    /// mounted, so that no power cut could ever be healed.
    pub fn command(&self, program: &str) -> Command {
        if self.number == HARNESS {
            return Command::new(program);
        }
        let namespace = format!("--net={}", namespace(&format!("n{}", self.number)).display());
        tool::command("nsenter", [namespace.as_str(), "--", program])
    }

    /// Does something on a thread that stands in its place. Sockets that it makes stay there.
    ///
    /// # Errors
    /// There is no such host, or the act failed.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.number == HARNESS {
            return act();
        }
        let path = namespace(&format!("n{}", self.number));
        let namespace = File::open(&path).with_context(|| path.display().to_string())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET)?;
                act()
            });
            thread
                .join()
                .map_err(|_| anyhow!("a thread within {path:?} panicked"))?
        })
    }

    /// A datagram socket of this host, on a free port.
    ///
    /// # Errors
    /// As [`Host::within`].
    pub fn udp(&self) -> Result<UdpSocket> {
        let address = SocketAddrV4::new(self.address(), 0);
        self.within(|| Ok(UdpSocket::bind(address)?))
    }

    /// Sends datagrams to a port of another host where nobody listens.
    pub(super) fn send_probes(&self, to: &Self, count: u32) -> Result<()> {
        let socket = self.udp()?;
        for _ in 0..count {
            socket.send_to(b"probe", (to.address(), DISCARD))?;
        }
        Ok(())
    }
}

/// Where a namespace has its name.
pub(super) fn namespace(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

/// The address of a host.
pub(super) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

/// Runs a program in the place of the switch.
pub(super) fn in_switch(program: &str, arguments: &[&str]) -> Command {
    let namespace = format!("--net={}", namespace("sw").display());
    let mut command = tool::command("nsenter", [namespace.as_str(), "--"]);
    command.arg(tool::find(program).unwrap_or_else(|| PathBuf::from(program)));
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_has_both_directions_of_every_pair() {
        let links = Link::between(&[1], &[2, 3]);
        let expected = [(1, 2), (2, 1), (1, 3), (3, 1)].map(|(from, to)| Link::new(from, to));
        assert_eq!(links, expected);
    }

    #[test]
    fn hosts_have_fixed_addresses() {
        assert_eq!(Host::new(3).address().to_string(), "10.77.0.3");
        assert_eq!(Link::new(1, 2).to_string(), "1→2");
    }
}
