//! How clients share connections, the same for everyone that is measured.

use serde::Serialize;

/// Most connections, four for each of three nodes.
const MAX_CONNECTIONS: usize = 12;

/// Which nodes the clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Target {
    /// All three in turn, so two thirds of the calls meet a follower.
    AllNodes,
    /// Only the node that leads when the round begins.
    Leader,
}

impl Target {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AllNodes, Self::Leader];

    /// For the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::AllNodes => "all nodes",
            Self::Leader => "leader only",
        }
    }
}

/// "1 client", "64 clients".
pub fn count_of(clients: usize) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

/// How many connections that many clients open.
pub fn connections(clients: usize) -> usize {
    clients.clamp(1, MAX_CONNECTIONS)
}

/// The node of each connection, by position.
pub fn nodes_of_connections(clients: usize, target: Target, nodes: usize, leader: usize) -> Vec<usize> {
    (0..connections(clients))
        .map(|connection| match target {
            Target::AllNodes => connection % nodes,
            Target::Leader => leader,
        })
        .collect()
}

/// Hands the connections to the clients in turn.
pub fn share<T: Clone>(connections: &[T], clients: usize) -> impl Iterator<Item = T> {
    connections.iter().cycle().take(clients).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_meet_every_node_alike() {
        let nodes = nodes_of_connections(256, Target::AllNodes, 3, 1);
        for node in 0..3 {
            assert_eq!(nodes.iter().filter(|other| **other == node).count(), 4);
        }
        assert_eq!(share(&nodes, 256).count(), 256);
    }

    #[test]
    fn one_client_has_one_connection() {
        assert_eq!(nodes_of_connections(1, Target::Leader, 3, 2), [2]);
    }
}
