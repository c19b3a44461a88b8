//! What a worker needs to know before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use reeve_sip::tls::Trust;

use crate::backoff::BackoffLimits;
use crate::capacity::CapacityRules;
use crate::error::ConfigError;
use crate::health::HealthConfig;
use crate::token::Token;

/// The configuration of one worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// gRPC addresses of nodes, `host:port`. One is enough to begin: nodes name the others.
    pub nodes: Vec<String>,
    /// The worker's credential.
    pub token: Token,
    /// The configuration file that the token came from; read again when the token is refused. None: it came otherwise.
    pub token_file: Option<PathBuf>,
    /// How many endpoints this process holds.
    pub capacity: CapacityRules,
    /// How the host or container is looked at.
    pub health: HealthConfig,
    /// Where health and metrics are served; None: nowhere.
    pub http_addr: Option<SocketAddr>,
    /// How long a drain waits for endpoints to finish before they are hung up.
    pub drain_deadline: Duration,
    /// Least time between two progress reports of an assignment, where the node names none.
    pub report_interval: Duration,
    /// The certificate authorities, a PEM file, that registrars within TLS are certified by. None: those of this machine.
    pub sip_ca: Option<PathBuf>,
    /// Limits of reconnecting.
    pub reconnect: BackoffLimits,
}

impl WorkerConfig {
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
            token_file: None,
            capacity: CapacityRules::default(),
            health: HealthConfig::default(),
            http_addr: None,
            drain_deadline: Self::DRAIN_DEADLINE,
            report_interval: Duration::from_secs(1),
            sip_ca: None,
            reconnect: BackoffLimits::default(),
        }
    }

    /// Checks every rule; the error names the field. Reads the file of authorities.
    pub fn validate(&self) -> Result<(), ConfigError> {
        validate_nodes(&self.nodes)?;
        self.capacity.validate()?;
        self.health.validate()?;
        if let Some(path) = &self.sip_ca {
            Trust::file(path).map_err(|error| ConfigError::field("sip_ca", error.to_string()))?;
        }
        if self.drain_deadline > Duration::from_secs(24 * 3600) {
            return Err(ConfigError::field("drain_deadline", "must be at most 24h"));
        }
        Ok(())
    }
}

/// At least one, and each `host:port`.
pub(crate) fn validate_nodes(nodes: &[String]) -> Result<(), ConfigError> {
    if nodes.is_empty() {
        return Err(ConfigError::field(
            "nodes",
            "must name at least one node as host:port",
        ));
    }
    match nodes.iter().find(|node| !is_address(node)) {
        Some(node) => Err(ConfigError::field(
            "nodes",
            format!("each must be host:port, {node:?} is not"),
        )),
        None => Ok(()),
    }
}

/// Whether this is `host:port`.
pub fn is_address(text: &str) -> bool {
    let parts = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains('/'));
    parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}
