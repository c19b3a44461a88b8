//! openraft's generics, closed once for this crate.

use std::fmt;

use bytes::Bytes;
use reeve_state::command::Applied;

use crate::machine::StateMachine;
use crate::member::MemberInfo;

openraft::declare_raft_types!(
    /// openraft's types as this crate uses them.
    pub(crate) TypeConfig:
        D = EntryData,
        R = Vec<Applied>,
        NodeId = u64,
        Node = MemberInfo,
        AsyncRuntime = crate::runtime::NodeRuntime,
);

/// An encoded `LogEntry`: decoded when it is applied, and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EntryData(pub(crate) Bytes);

impl fmt::Debug for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub(crate) type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, MemberInfo>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, crate::machine::SnapshotData>;
pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;
