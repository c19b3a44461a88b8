//! A member of the cluster, as the membership in the log describes it.

use reeve_state::id::NodeId;

/// Who a node is and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its id, never given to another node.
    pub id: NodeId,
    /// For people.
    pub name: String,
    /// `host:port` of its node-to-node listener.
    pub raft_addr: String,
    /// `host:port` of its public gRPC listener.
    pub grpc_addr: String,
    /// `host:port` of its public HTTP listener.
    pub http_addr: String,
}

impl Default for MemberInfo {
    fn default() -> Self {
        Self {
            id: NodeId(0),
            name: String::new(),
            raft_addr: String::new(),
            grpc_addr: String::new(),
            http_addr: String::new(),
        }
    }
}
