//! The list of first members as text: `1=n1,RAFT,GRPC,HTTP;2=…`.

use reeve_state::id::NodeId;
use reeve_store::MemberInfo;

/// Reads the list.
///
/// # Errors
/// The entry that cannot be read, and the form it should have.
pub fn parse_peers(text: &str) -> Result<Vec<MemberInfo>, String> {
    let peers = text
        .split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(parse_peer)
        .collect::<Result<Vec<_>, _>>()?;
    if peers.is_empty() {
        return Err("names no node; expected ID=NAME,RAFT,GRPC,HTTP;…".to_owned());
    }
    Ok(peers)
}

fn parse_peer(entry: &str) -> Result<MemberInfo, String> {
    let wrong = || format!("{entry:?} is not ID=NAME,RAFT,GRPC,HTTP");
    let (id, rest) = entry.split_once('=').ok_or_else(wrong)?;
    let id = NodeId(id.trim().parse().map_err(|_| wrong())?);
    let parts: Vec<&str> = rest.split(',').map(str::trim).collect();
    let [name, raft, grpc, http] = parts.as_slice() else {
        return Err(wrong());
    };
    for addr in [raft, grpc, http] {
        check_addr(addr).map_err(|rule| format!("{entry:?}: {rule}"))?;
    }
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(MemberInfo {
        id,
        name: (*name).to_owned(),
        raft_addr: (*raft).to_owned(),
        grpc_addr: (*grpc).to_owned(),
        http_addr: (*http).to_owned(),
    })
}

/// A host and a port; the host may be a name.
fn check_addr(addr: &str) -> Result<(), String> {
    let port = addr
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(()),
        Some(_) | None => Err(format!("{addr:?} is not HOST:PORT")),
    }
}

/// Writes the list in the form that [`parse_peers`] reads.
pub fn format_peers(peers: &[MemberInfo]) -> String {
    peers
        .iter()
        .map(|peer| {
            format!(
                "{}={},{},{},{}",
                peer.id, peer.name, peer.raft_addr, peer.grpc_addr, peer.http_addr
            )
        })
        .collect::<Vec<_>>()
        .join(";")
}
