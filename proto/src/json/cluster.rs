//! What a node knows of the cluster, as JSON.

use serde::{Deserialize, Serialize};

use crate::names::name_of;
use crate::v1;

/// One node's answer about itself and the members it knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatusJson {
    /// The cluster.
    pub cluster_id: String,
    /// The answering node.
    pub node_id: u64,
    /// Its name.
    pub node_name: String,
    /// 0: no leader is known.
    pub leader_id: u64,
    /// Raft term.
    pub term: u64,
    /// End of its log.
    pub last_log_index: u64,
    /// What it has applied.
    pub last_applied_index: u64,
    /// Revision of its state.
    pub revision: u64,
    /// What the state may use.
    pub cluster_version: u64,
    /// The nodes.
    pub members: Vec<MemberJson>,
    /// Workers with a session on it.
    pub sessions: u32,
    /// Absent unless asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state_hash: String,
    /// Index of its last snapshot.
    pub snapshot_index: u64,
    /// Of the program.
    pub version: String,
    /// Process id.
    pub pid: u64,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MemberJson {
    /// Its number.
    pub node_id: u64,
    /// Its name.
    pub name: String,
    /// VOTER or LEARNER.
    pub role: String,
    /// Whether it leads.
    pub leader: bool,
    /// For other nodes.
    pub raft_addr: String,
    /// For clients and workers.
    pub grpc_addr: String,
    /// REST, metrics, events.
    pub http_addr: String,
    /// Whether the answering node heard from it lately.
    pub reachable: bool,
    /// Last log index stored there; known on the leader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_index: Option<u64>,
    /// Workers connected there.
    pub workers: u32,
    /// Workers that flapped there within the last hour (R108).
    pub flapping_workers: u32,
    /// How often they did.
    pub flaps_last_hour: u32,
}

impl From<&v1::GetStatusResponse> for ClusterStatusJson {
    fn from(status: &v1::GetStatusResponse) -> Self {
        Self {
            cluster_id: status.cluster_id.clone(),
            node_id: status.node_id,
            node_name: status.node_name.clone(),
            leader_id: status.leader_id,
            term: status.term,
            last_log_index: status.last_log_index,
            last_applied_index: status.last_applied_index,
            revision: status.revision,
            cluster_version: status.cluster_version,
            members: status.members.iter().map(MemberJson::from).collect(),
            sessions: status.sessions,
            state_hash: status.state_hash.clone(),
            snapshot_index: status.snapshot_index,
            version: status.version.clone(),
            pid: status.pid,
        }
    }
}

impl From<&v1::Member> for MemberJson {
    fn from(member: &v1::Member) -> Self {
        Self {
            node_id: member.node_id,
            name: member.name.clone(),
            role: name_of::<v1::MemberRole>(member.role).to_owned(),
            leader: member.leader,
            raft_addr: member.raft_addr.clone(),
            grpc_addr: member.grpc_addr.clone(),
            http_addr: member.http_addr.clone(),
            reachable: member.reachable,
            matched_index: member.matched_index,
            workers: member.workers,
            flapping_workers: member.flapping_workers,
            flaps_last_hour: member.flaps_last_hour,
        }
    }
}
