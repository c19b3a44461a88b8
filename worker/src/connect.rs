//! A connection to one node, the same for sessions and single calls.

use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::backoff::BackoffLimits;
use crate::cause::{Cause, CauseKind};

/// HTTP/2 pings find a dead connection below a session whose heartbeats are far apart.
pub(crate) const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a name may take when a connection timed out and the question is why.
const NAME_TIMEOUT: Duration = Duration::from_millis(500);

/// Connects, within the limits.
pub async fn connect(node: &str, limits: &BackoffLimits) -> Result<Channel, Cause> {
    let endpoint = Endpoint::from_shared(format!("http://{node}"))?
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    // No limit of the endpoint's own: that would not tell a name server from a firewall.
    match timeout(limits.connect_timeout, endpoint.connect()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(why_timed_out(node).await),
    }
}

/// A firewall, or a name server that does not answer: the two are mended in different places.
async fn why_timed_out(node: &str) -> Cause {
    match timeout(NAME_TIMEOUT, lookup_host(node)).await {
        Ok(Ok(_)) => Cause::new(CauseKind::TimedOut, "no connection"),
        Ok(Err(error)) => Cause::new(CauseKind::Dns, error.to_string()),
        Err(_) => Cause::new(CauseKind::Dns, "no answer of a name server"),
    }
}
