//! A connection to one node, the same for sessions and single calls.

use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::backoff::BackoffLimits;
use crate::cause::{Cause, CauseKind};

/// HTTP/2 pings find a dead connection below a session whose heartbeats are far apart.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects, within the limits.
pub async fn connect(node: &str, limits: &BackoffLimits) -> Result<Channel, Cause> {
    let endpoint = Endpoint::from_shared(format!("http://{node}"))?
        .connect_timeout(limits.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    match timeout(limits.connect_timeout, endpoint.connect()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(Cause::new(CauseKind::TimedOut, "no connection")),
    }
}
