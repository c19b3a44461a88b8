//! A store's account of itself.

use openraft::{Instant as _, ServerState};
use reeve_state::id::{NodeId, Revision};

use crate::member::MemberInfo;
use crate::shared::Shared;
use crate::types::Metrics;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// It leads.
    Leader,
    /// It votes.
    Follower,
    /// It only receives, until it has caught up.
    Learner,
}

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who it is.
    pub info: MemberInfo,
    /// What it does.
    pub role: MemberRole,
    /// The last entry that it is known to have; only the leader knows.
    pub matched_index: Option<u64>,
    /// Whether it answers the leader; only the leader knows of others.
    pub reachable: Option<bool>,
}

/// A store's account of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// This node.
    pub node_id: NodeId,
    /// Its name.
    pub node_name: String,
    /// Its cluster.
    pub cluster_id: String,
    /// The current term.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// The last entry in the log.
    pub last_log_index: u64,
    /// The last entry that is applied.
    pub applied_index: u64,
    /// The state's revision.
    pub revision: Revision,
    /// The last entry that the newest snapshot covers.
    pub snapshot_index: Option<u64>,
    /// The last entry that is cut off the log; members that lack it get a snapshot.
    pub purged_index: Option<u64>,
    /// Everyone, by id.
    pub members: Vec<MemberStatus>,
}

pub(crate) fn status(shared: &Shared) -> StoreStatus {
    let metrics = shared.metrics();
    let (applied_index, state) = shared.published.with_index();
    let members = metrics
        .membership_config
        .nodes()
        .map(|(id, info)| member(shared, &metrics, *id, info));
    StoreStatus {
        node_id: shared.me,
        node_name: shared.name.clone(),
        cluster_id: shared.cluster_id.clone(),
        term: metrics.current_term,
        leader: shared.live_leader(),
        last_log_index: metrics.last_log_index.unwrap_or(0),
        applied_index,
        revision: state.meta().revision,
        snapshot_index: metrics.snapshot.map(|id| id.index),
        purged_index: metrics.purged.map(|id| id.index),
        members: members.collect(),
    }
}

fn member(shared: &Shared, metrics: &Metrics, id: u64, info: &MemberInfo) -> MemberStatus {
    let leads = metrics.state == ServerState::Leader;
    let role = if shared.live_leader() == Some(NodeId(id)) {
        MemberRole::Leader
    } else if metrics.membership_config.voter_ids().any(|voter| voter == id) {
        MemberRole::Follower
    } else {
        MemberRole::Learner
    };
    let matched = metrics
        .replication
        .as_ref()
        .and_then(|r| r.get(&id))
        .and_then(|id| id.map(|id| id.index));
    let reachable = if id == shared.me.0 {
        Some(true)
    } else if leads {
        Some(answers_leader(shared, metrics, id))
    } else {
        None
    };
    let matched_index = if id == shared.me.0 {
        metrics.last_log_index
    } else {
        matched
    };
    MemberStatus {
        info: info.clone(),
        role,
        matched_index: matched_index.filter(|_| leads),
        reachable,
    }
}

/// Whether a node answered our heartbeats lately; only the leader has any to be answered.
pub(crate) fn answers_leader(shared: &Shared, metrics: &Metrics, id: u64) -> bool {
    let heard = metrics.heartbeat.as_ref().and_then(|heard| heard.get(&id));
    heard
        .copied()
        .flatten()
        .is_some_and(|at| at.elapsed() <= 2 * shared.election_max)
}
