//! What runs once there is anything to do: a thread for signalling, one for media, and a SIP stack for each address of ours
//! and each transport.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use reeve_media::EngineConfig;
use reeve_sip::{Desk, Stack};
use tokio::runtime::Runtime;

use super::over::Over;

/// See the module.
pub(super) struct Engine {
    pub runtime: Option<Runtime>,
    pub desk: Desk,
    /// By our address, and what messages travel by.
    pub stacks: BTreeMap<(IpAddr, Over), Stack>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropped within a runtime it must not wait for its own.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sip")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            desk: Desk::start(EngineConfig::default())?,
            stacks: BTreeMap::new(),
        })
    }
}

/// Our address that packets to this one leave from.
pub(super) fn facing(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // Nothing is sent by it.
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_faces_loopback_is_loopback() {
        for peer in ["127.0.0.1:5060", "[::1]:5060"] {
            let peer: SocketAddr = peer.parse().unwrap_or_else(|_| unreachable!());
            // There may be no IPv6 here.
            if let Ok(local) = facing(peer) {
                assert!(local.is_loopback());
            }
        }
    }
}
