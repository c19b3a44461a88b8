//! What a worker needs to know before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::backoff::BackoffLimits;
use crate::error::ConfigError;
use crate::token::Token;

/// Most endpoints that a worker may claim to hold.
const MOST_CAPACITY: u32 = 10_000_000;

/// The configuration of one worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// gRPC addresses of nodes, `host:port`. One is enough to begin: nodes name the others.
    pub nodes: Vec<String>,
    /// The worker's credential.
    pub token: Token,
    /// Most endpoints that this process holds.
    pub capacity: u32,
    /// Where health and metrics are served; None: nowhere.
    pub http_addr: Option<SocketAddr>,
    /// How long a drain waits for endpoints to finish before they are hung up.
    pub drain_deadline: Duration,
    /// Least time between two progress reports of an assignment, where the node names none.
    pub report_interval: Duration,
    /// Limits of reconnecting.
    pub reconnect: BackoffLimits,
}

impl WorkerConfig {
    /// Default of [`WorkerConfig::capacity`].
    pub const CAPACITY: u32 = 100_000;
    /// Default of [`WorkerConfig::http_addr`] in the programs.
    pub const HTTP_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3030);
    /// Default of [`WorkerConfig::drain_deadline`].
    pub const DRAIN_DEADLINE: Duration = Duration::from_secs(60);

    /// Defaults for everything but the addresses and the credential; no HTTP.
    #[must_use]
    pub fn new(nodes: Vec<String>, token: Token) -> Self {
        Self {
            nodes,
            token,
            capacity: Self::CAPACITY,
            http_addr: None,
            drain_deadline: Self::DRAIN_DEADLINE,
            report_interval: Duration::from_secs(1),
            reconnect: BackoffLimits::default(),
        }
    }

    /// Checks every rule; the error names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.nodes.is_empty() {
            return Err(ConfigError::field(
                "nodes",
                "must name at least one node as host:port",
            ));
        }
        for node in &self.nodes {
            let port = node
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty() && !host.contains('/'));
            if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return Err(ConfigError::field(
                    "nodes",
                    format!("each must be host:port, {node:?} is not"),
                ));
            }
        }
        if !(1..=MOST_CAPACITY).contains(&self.capacity) {
            let rule = format!(
                "must be between 1 and {MOST_CAPACITY} endpoints, is {}",
                self.capacity
            );
            return Err(ConfigError::field("capacity", rule));
        }
        if self.drain_deadline > Duration::from_secs(24 * 3600) {
            return Err(ConfigError::field("drain_deadline", "must be at most 24h"));
        }
        Ok(())
    }
}

/// Whether this is `host:port`.
pub fn is_address(text: &str) -> bool {
    let parts = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains('/'));
    parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}
