//! The service `Cluster`.

use reeve_proto::v1;
use reeve_state::id::NodeId;
use reeve_store::{AdminError, MemberInfo, MemberRole, MemberStatus};

use super::connections::Connections;
use super::{Api, Call};
use crate::convert::enums;
use crate::error::ApiError;

impl Api {
    /// What this node knows, without asking anyone.
    pub async fn cluster_status(&self, request: v1::GetStatusRequest) -> v1::GetStatusResponse {
        let Self { context, hub: _ } = self;
        let status = context.store.status();
        let state_hash = if request.include_state_hash {
            Some(context.store.state_hash().await)
        } else {
            None
        };
        // The hash belongs to the index that it was computed at.
        let (last_applied_index, state_hash) = state_hash.unwrap_or((status.applied_index, String::new()));
        v1::GetStatusResponse {
            cluster_id: context.config.cluster_id.clone(),
            node_id: status.node_id.0,
            node_name: context.config.name.clone(),
            leader_id: status.leader.map_or(0, |leader| leader.0),
            term: status.term,
            last_log_index: status.last_log_index.max(last_applied_index),
            last_applied_index,
            revision: status.revision.0,
            cluster_version: context.store.local().meta().cluster_version.into(),
            members: self.members(),
            sessions: u32::try_from(context.liveness.session_count()).unwrap_or(u32::MAX),
            state_hash,
            snapshot_index: status.snapshot_index.unwrap_or(0),
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
            id: NodeId(request.node_id),
            name: request.name,
            raft_addr: request.raft_addr,
            grpc_addr: request.grpc_addr,
            http_addr: request.http_addr,
        };
        in_time(call, self.context.store.add_member(info)).await?;
        Ok(v1::AddMemberResponse {
            members: self.members(),
        })
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
        in_time(call, self.context.store.remove_member(NodeId(request.node_id))).await?;
        Ok(v1::RemoveMemberResponse {
            members: self.members(),
        })
    }

    /// Hands leadership over.
    pub async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
        call: &Call,
    ) -> Result<v1::TransferLeaderResponse, ApiError> {
        let to = (request.node_id > 0).then_some(NodeId(request.node_id));
        in_time(call, self.context.store.transfer_leader(to)).await?;
        // This node may hear of it later than the old leader did.
        let mut leadership = self.context.store.leadership();
        let follows =
            leadership.wait_for(|now| now.leader.is_some_and(|leader| to.is_none_or(|to| to == leader)));
        let now = match tokio::time::timeout_at(call.deadline, follows).await {
            Ok(Ok(now)) => *now,
            Ok(Err(_)) => return Err(ApiError::ShuttingDown),
            Err(_) => return Err(AdminError::Unavailable.into()),
        };
        Ok(v1::TransferLeaderResponse {
            leader_id: now.leader.map_or(0, |leader| leader.0),
        })
    }

    fn members(&self) -> Vec<v1::Member> {
        let connections = Connections::of(&self.context.store.local(), self.context.store.cluster_now());
        let members = self.context.store.status().members;
        members
            .iter()
            .map(|status| connections.shown(member(status)))
            .collect()
    }
}

/// A change that takes longer than the call may yet happen.
async fn in_time<T>(call: &Call, change: impl Future<Output = Result<T, AdminError>>) -> Result<T, ApiError> {
    let changed = tokio::time::timeout_at(call.deadline, change).await;
    Ok(changed.unwrap_or(Err(AdminError::Unavailable))?)
}

fn violation(field: &str, rule: &str) -> reeve_state::command::FieldViolation {
    reeve_state::command::FieldViolation {
        field: field.to_owned(),
        rule: rule.to_owned(),
    }
}

fn member(status: &MemberStatus) -> v1::Member {
    v1::Member {
        node_id: status.info.id.0,
        name: status.info.name.clone(),
        role: enums::member_role(status.role).into(),
        leader: status.role == MemberRole::Leader,
        raft_addr: status.info.raft_addr.clone(),
        grpc_addr: status.info.grpc_addr.clone(),
        http_addr: status.info.http_addr.clone(),
        // Of others only the leader knows; whom a follower follows, it hears.
        reachable: status.reachable.unwrap_or(status.role == MemberRole::Leader),
        matched_index: status.matched_index,
        ..v1::Member::default()
    }
}
