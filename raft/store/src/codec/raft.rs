//! Bytes of openraft's types: votes, log ids, memberships and entries.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use reeve_proto::internal as wire;

use super::{DecodeError, Wire, message, optional, required};
use crate::member::MemberInfo;
use crate::types::{Entry, EntryData, LeaderId, LogId, Membership, StoredMembership, Vote};
use reeve_state::id::NodeId;

impl Wire for LeaderId {
    type Proto = wire::LeaderId;

    fn to_proto(&self) -> Self::Proto {
        wire::LeaderId {
            term: self.term,
            node: self.node_id,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            term: proto.term,
            node_id: proto.node,
        })
    }
}

impl Wire for LogId {
    type Proto = wire::LogId;

    fn to_proto(&self) -> Self::Proto {
        wire::LogId {
            leader: Some(self.leader_id.to_proto()),
            index: self.index,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            leader_id: message("leader", proto.leader)?,
            index: proto.index,
        })
    }
}

impl Wire for Vote {
    type Proto = wire::Vote;

    fn to_proto(&self) -> Self::Proto {
        wire::Vote {
            leader: Some(self.leader_id.to_proto()),
            committed: self.committed,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            leader_id: message("leader", proto.leader)?,
            committed: proto.committed,
        })
    }
}

impl Wire for MemberInfo {
    type Proto = wire::Member;

    fn to_proto(&self) -> Self::Proto {
        wire::Member {
            id: self.id.0,
            name: self.name.clone(),
            raft_addr: self.raft_addr.clone(),
            grpc_addr: self.grpc_addr.clone(),
            http_addr: self.http_addr.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: NodeId(proto.id),
            name: proto.name,
            raft_addr: proto.raft_addr,
            grpc_addr: proto.grpc_addr,
            http_addr: proto.http_addr,
        })
    }
}

impl Wire for Membership {
    type Proto = wire::Membership;

    fn to_proto(&self) -> Self::Proto {
        let configs = self.get_joint_config().iter();
        let nodes = self.nodes().map(|(id, node)| (*id, node.to_proto()));
        wire::Membership {
            configs: configs
                .map(|ids| wire::VoterSet {
                    ids: ids.iter().copied().collect(),
                })
                .collect(),
            nodes: nodes.collect(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let configs: Vec<BTreeSet<u64>> = proto
            .configs
            .into_iter()
            .map(|set| set.ids.into_iter().collect())
            .collect();
        let nodes: Result<BTreeMap<u64, MemberInfo>, DecodeError> = proto
            .nodes
            .into_iter()
            .map(|(id, node)| Ok((id, MemberInfo::from_proto(node)?)))
            .collect();
        let nodes = nodes?;
        if configs.is_empty() && nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(configs, nodes)
            .map_err(|_| DecodeError::Inconsistent("a membership names a voter that it does not describe"))
    }
}

impl Wire for StoredMembership {
    type Proto = wire::StoredMembership;

    fn to_proto(&self) -> Self::Proto {
        wire::StoredMembership {
            log_id: self.log_id().as_ref().map(Wire::to_proto),
            membership: Some(self.membership().to_proto()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let log_id = optional(proto.log_id)?;
        Ok(Self::new(log_id, message("membership", proto.membership)?))
    }
}

impl Wire for Entry {
    type Proto = wire::RaftEntry;

    fn to_proto(&self) -> Self::Proto {
        use wire::raft_entry::Payload;
        let payload = match &self.payload {
            EntryPayload::Blank => Payload::Blank(wire::Empty {}),
            EntryPayload::Normal(data) => Payload::Normal(data.0.clone()),
            EntryPayload::Membership(membership) => Payload::Membership(membership.to_proto()),
        };
        wire::RaftEntry {
            log_id: Some(self.log_id.to_proto()),
            payload: Some(payload),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::raft_entry::Payload;
        let payload = match required("payload", proto.payload)? {
            Payload::Blank(wire::Empty {}) => EntryPayload::Blank,
            Payload::Normal(data) => EntryPayload::Normal(EntryData(data)),
            Payload::Membership(membership) => EntryPayload::Membership(Membership::from_proto(membership)?),
        };
        Ok(Self {
            log_id: message("log_id", proto.log_id)?,
            payload,
        })
    }
}
