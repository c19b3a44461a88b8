//! Changes of the cluster itself: members, and who leads. They run on the leader; other nodes hand them on.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::errors::{ClientWriteError, RaftError};
use reeve_state::id::NodeId;
use tokio::time::Instant;

use crate::error::AdminError;
use crate::forward;
use crate::member::MemberInfo;
use crate::shared::Shared;
use crate::status::answers_leader;
use crate::types::TypeConfig;

/// How long a change may take; a new member has to catch up first.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a transfer of leadership may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// A change of the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A new member: it learns, catches up, and then votes.
    Add(MemberInfo),
    /// A member leaves.
    Remove(NodeId),
    /// Another voter leads; `None`: any.
    Transfer(Option<NodeId>),
}

/// Makes a change, here or at the leader.
pub(crate) async fn change(shared: &Shared, change: Change) -> Result<(), AdminError> {
    let deadline = Instant::now() + CHANGE_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(fault) = shared.fatal.get() {
            return Err(AdminError::Fatal(fault));
        }
        match shared.leader() {
            Some(leader) if leader == shared.me => return change_here(shared, &change).await,
            Some(leader) => {
                match tokio::time::timeout_at(deadline, forward::change_cluster(shared, leader, &change))
                    .await
                {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(status)) if status.code() == tonic::Code::FailedPrecondition => {
                        return Err(AdminError::Refused(status.message().to_owned()));
                    }
                    // Adding, removing and transferring are all harmless to repeat.
                    Ok(Err(_)) => {}
                    Err(_) => return Err(AdminError::Unavailable),
                }
            }
            None => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(AdminError::Unavailable)
}

/// Makes a change on this node, which leads.
pub(crate) async fn change_here(shared: &Shared, change: &Change) -> Result<(), AdminError> {
    let work = async {
        match change {
            Change::Add(member) => add(shared, member).await,
            Change::Remove(node) => remove(shared, *node).await,
            Change::Transfer(to) => transfer(shared, *to).await,
        }
    };
    tokio::time::timeout(CHANGE_TIMEOUT, work)
        .await
        .unwrap_or(Err(AdminError::Unavailable))
}

fn refused(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> AdminError {
    AdminError::Refused(error.to_string())
}

async fn add(shared: &Shared, member: &MemberInfo) -> Result<(), AdminError> {
    if member.id.0 == 0 {
        return Err(AdminError::Refused("a node id must not be 0".to_owned()));
    }
    if let Some(known) = shared.member(member.id)
        && known != *member
    {
        return Err(AdminError::Refused(format!(
            "node {} is a member already, under other addresses",
            member.id
        )));
    }
    shared
        .raft
        .add_learner(member.id.0, member.clone(), true)
        .await
        .map_err(refused)?;
    let voters = ChangeMembers::AddVoterIds(BTreeSet::from([member.id.0]));
    shared
        .raft
        .change_membership(voters, false)
        .await
        .map_err(refused)?;
    Ok(())
}

async fn remove(shared: &Shared, node: NodeId) -> Result<(), AdminError> {
    if shared.member(node).is_none() {
        return Err(AdminError::Refused(format!("node {node} is not a member")));
    }
    let voters: Vec<NodeId> = shared.voters.lock().clone();
    if voters == [node] {
        return Err(AdminError::Refused("the last voter cannot leave".to_owned()));
    }
    if voters.contains(&node) {
        let leaving = ChangeMembers::RemoveVoters(BTreeSet::from([node.0]));
        shared
            .raft
            .change_membership(leaving, false)
            .await
            .map_err(refused)?;
    } else {
        let leaving = ChangeMembers::RemoveNodes(BTreeSet::from([node.0]));
        shared
            .raft
            .change_membership(leaving, true)
            .await
            .map_err(refused)?;
    }
    Ok(())
}

/// Hands leadership over and waits until another node leads.
pub(crate) async fn transfer(shared: &Shared, to: Option<NodeId>) -> Result<(), AdminError> {
    let target = match to {
        Some(to) if to == shared.me => return Ok(()),
        Some(to) if !shared.voters.lock().contains(&to) => {
            return Err(AdminError::Refused(format!("node {to} is not a voter")));
        }
        // Raft would stop leading for the sake of a node that cannot.
        Some(to) if !answers_leader(shared, &shared.metrics(), to.0) => {
            return Err(AdminError::Refused(format!(
                "node {to} does not answer the leader, so it cannot lead"
            )));
        }
        Some(to) => to,
        None => best_successor(shared)
            .ok_or_else(|| AdminError::Refused("there is no other voter that answers".to_owned()))?,
    };
    let mut leadership = shared.leadership.subscribe();
    let others = |leader: Option<NodeId>| leader.is_some_and(|leader| leader != shared.me);
    let deadline = Instant::now() + TRANSFER_TIMEOUT;
    loop {
        shared
            .raft
            .trigger()
            .transfer_leader(target.0)
            .await
            .map_err(|fault| AdminError::Refused(format!("raft does not run: {fault}")))?;
        // Raft drops a request that the target was not ready for: ask again.
        let wait = (Instant::now() + 4 * shared.election_max).min(deadline);
        match tokio::time::timeout_at(wait, leadership.wait_for(|l| others(l.leader))).await {
            Ok(_) => return Ok(()),
            Err(_) if wait >= deadline => return Err(AdminError::Unavailable),
            Err(_) => {}
        }
    }
}

/// The voter that has the most of the log, of those that answer: in a quiet cluster one that died has all of it.
fn best_successor(shared: &Shared) -> Option<NodeId> {
    let metrics = shared.metrics();
    let replication = metrics.replication.as_ref();
    let matched = |voter: &NodeId| {
        replication
            .and_then(|r| r.get(&voter.0))
            .and_then(|id| id.map(|id| id.index))
    };
    shared
        .voters
        .lock()
        .iter()
        .copied()
        .filter(|voter| *voter != shared.me && answers_leader(shared, &metrics, voter.0))
        .max_by_key(matched)
}
