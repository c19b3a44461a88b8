//! Resets of established TCP connections, as a firewall or a switch that restarts would cause.

use anyhow::{Result, bail};

use super::host::Host;
use crate::fault::Proof;
use crate::tool;

/// Resets the connections of a host, or only those with one peer.
///
/// # Errors
/// There was none to be reset.
pub(super) fn reset(host: &Host, peer: Option<&Host>) -> Result<Proof> {
    let peer = peer.map_or_else(|| "10.77.0.0/24".to_owned(), |peer| peer.address().to_string());
    // Without -t it also tries sockets that cannot be killed, and fails.
    let mut command = host.command("ss");
    command.args(["-H", "-n", "-t", "-K", "dst", &peer]);
    let printed = tool::run(command)?;
    // It prints what it killed.
    let count = printed.lines().filter(|line| line.starts_with("ESTAB")).count() as u64;
    if count == 0 {
        bail!("host {} has no connection with {peer}", host.number);
    }
    Ok(Proof::new(count, "connections reset".to_owned()))
}
