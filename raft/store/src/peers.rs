//! Connections to the other nodes: few, long-lived, and apart by purpose, so that bulk never delays a heartbeat.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_proto::bearer::{Bearer, Connection};
use reeve_proto::internal::leader_service_client::LeaderServiceClient;
use reeve_proto::internal::raft_transport_client::RaftTransportClient;
use reeve_proto::internal::{self as wire};
use tonic::transport::Endpoint;

use crate::outside;

/// Largest message between nodes; a log read stops at 2 MiB, one entry may be a little over 1 MiB.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Votes and entries.
    Replication,
    /// Heartbeats.
    Heartbeat,
    /// Whole states.
    Snapshot,
    /// What followers hand on to the leader.
    Forward,
}

/// Connections by address and purpose.
pub(crate) struct Peers {
    cluster_id: String,
    me: u64,
    connect_timeout: Duration,
    bearer: Bearer,
    channels: Mutex<HashMap<(String, Purpose), Connection>>,
}

impl Peers {
    pub(crate) fn new(cluster_id: String, me: u64, connect_timeout: Duration, bearer: Bearer) -> Self {
        Self {
            cluster_id,
            me,
            connect_timeout,
            bearer,
            channels: Mutex::default(),
        }
    }

    /// What every call to `target` carries.
    pub(crate) fn peering(&self, target: u64) -> Option<wire::Peering> {
        Some(wire::Peering {
            cluster_id: self.cluster_id.clone(),
            from_node: self.me,
            to_node: target,
        })
    }

    /// A Raft client. Connects when it is first used, and again after a failure.
    pub(crate) fn raft(
        &self,
        addr: &str,
        purpose: Purpose,
    ) -> Result<RaftTransportClient<Connection>, tonic::transport::Error> {
        let client = RaftTransportClient::new(self.channel(addr, purpose)?);
        Ok(client
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// A client for what only the leader does.
    pub(crate) fn leader(
        &self,
        addr: &str,
    ) -> Result<LeaderServiceClient<Connection>, tonic::transport::Error> {
        let client = LeaderServiceClient::new(self.channel(addr, Purpose::Forward)?);
        Ok(client
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    fn channel(&self, addr: &str, purpose: Purpose) -> Result<Connection, tonic::transport::Error> {
        let mut channels = self.channels.lock();
        let key = (addr.to_owned(), purpose);
        if let Some(channel) = channels.get(&key) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{addr}"))?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(8 << 20)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let channel = self.bearer.on(outside::connect_lazy(&endpoint));
        channels.insert(key, channel.clone());
        Ok(channel)
    }
}

/// Whether a call failed before anything of it was sent.
pub(crate) fn never_sent(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}
