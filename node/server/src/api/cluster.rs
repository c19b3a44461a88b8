//! The service `Cluster`.

use reeve_proto::v1;
use reeve_state::id::NodeId;
use reeve_store::{MemberInfo, MemberStatus};

use super::{Api, Call};
use crate::convert::enums;
use crate::error::ApiError;

impl Api {
    /// What this node knows, without asking anyone.
    pub async fn cluster_status(&self, request: v1::GetStatusRequest) -> v1::GetStatusResponse {
        let Self { context } = self;
        let status = context.store.status();
        let state_hash =
            if request.include_state_hash { Some(context.store.state_hash().await) } else { None };
        // The hash belongs to the index that it was computed at.
        let (last_applied_index, state_hash) = state_hash.unwrap_or((status.last_applied_index, String::new()));
        v1::GetStatusResponse {
            cluster_id: context.config.cluster_id.clone(),
            node_id: status.node_id.0,
            node_name: context.config.name.clone(),
            leader_id: status.leader.map_or(0, |leader| leader.0),
            term: status.term,
            last_log_index: status.last_log_index.max(last_applied_index),
            last_applied_index,
            revision: status.revision.0,
            cluster_version: status.cluster_version.into(),
            members: status.members.iter().map(member).collect(),
            sessions: u32::try_from(context.liveness.session_count()).unwrap_or(u32::MAX),
            state_hash,
            snapshot_index: status.snapshot_index,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id().into(),
        }
    }

    /// Adds a node.
    pub async fn add_member(
        &self,
        request: v1::AddMemberRequest,
        call: &Call,
    ) -> Result<v1::AddMemberResponse, ApiError> {
        let given = [
            ("name", &request.name),
            ("raft_addr", &request.raft_addr),
            ("grpc_addr", &request.grpc_addr),
            ("http_addr", &request.http_addr),
        ];
        let mut violations: Vec<_> = given
            .into_iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(field, _)| violation(field, "is required"))
            .collect();
        if request.node_id == 0 {
            violations.insert(0, violation("node_id", "must be greater than 0"));
        }
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let info = MemberInfo {
            id: request.node_id,
            name: request.name,
            raft_addr: request.raft_addr,
            grpc_addr: request.grpc_addr,
            http_addr: request.http_addr,
        };
        self.context.store.add_member(info, call.deadline).await?;
        Ok(v1::AddMemberResponse { members: self.members() })
    }

    /// Removes a node.
    pub async fn remove_member(
        &self,
        request: v1::RemoveMemberRequest,
        call: &Call,
    ) -> Result<v1::RemoveMemberResponse, ApiError> {
        if request.node_id == 0 {
            return Err(ApiError::invalid("node_id", "must be greater than 0"));
        }
        self.context.store.remove_member(NodeId(request.node_id), call.deadline).await?;
        Ok(v1::RemoveMemberResponse { members: self.members() })
    }

    /// Hands leadership over.
    pub async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
        call: &Call,
    ) -> Result<v1::TransferLeaderResponse, ApiError> {
        let to = (request.node_id > 0).then_some(NodeId(request.node_id));
        let leader = self.context.store.transfer_leader(to, call.deadline).await?;
        Ok(v1::TransferLeaderResponse { leader_id: leader.0 })
    }

    fn members(&self) -> Vec<v1::Member> {
        self.context.store.status().members.iter().map(member).collect()
    }
}

fn violation(field: &str, rule: &str) -> reeve_state::command::FieldViolation {
    reeve_state::command::FieldViolation { field: field.to_owned(), rule: rule.to_owned() }
}

fn member(status: &MemberStatus) -> v1::Member {
    v1::Member {
        node_id: status.info.id,
        name: status.info.name.clone(),
        role: enums::member_role(status.role).into(),
        leader: status.leader,
        raft_addr: status.info.raft_addr.clone(),
        grpc_addr: status.info.grpc_addr.clone(),
        http_addr: status.info.http_addr.clone(),
        reachable: status.reachable,
        matched_index: status.matched_index,
    }
}
