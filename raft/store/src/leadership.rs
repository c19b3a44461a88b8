//! Who leads: follows Raft's own account, and starts the cluster clock when this node does.

use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use reeve_state::id::NodeId;
use tokio::time::Instant;

use crate::shared::Shared;
use crate::types::Metrics;

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// This node leads, and an entry of its own term is committed and applied here: its state is the newest there is.
    pub established: bool,
    /// Since when all of this holds.
    pub since: Instant,
}

impl Leadership {
    pub(crate) fn unknown() -> Self {
        Self {
            leader: None,
            term: 0,
            established: false,
            since: Instant::now(),
        }
    }
}

/// Follows Raft until it ends, or the store is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut metrics = shared.raft.metrics();
    loop {
        let now = metrics.borrow_watched().clone();
        observe(&shared, &now);
        if let Err(fault) = &now.running_state {
            stopped(&shared, &fault.to_string());
            return;
        }
        if metrics.changed().await.is_err() {
            stopped(&shared, "raft ended");
            return;
        }
    }
}

fn stopped(shared: &Shared, fault: &str) {
    if !shared.stopping.load(std::sync::atomic::Ordering::Relaxed) {
        shared.fatal.set(format!("raft stopped: {fault}"));
    }
    shared
        .leadership
        .send_modify(|leadership| *leadership = Leadership::unknown());
}

fn observe(shared: &Shared, metrics: &Metrics) {
    let leads = metrics.state == ServerState::Leader && metrics.current_leader == Some(shared.me.0);
    let own_entry = metrics
        .last_applied
        .is_some_and(|id| id.leader_id.term == metrics.current_term && id.leader_id.node_id == shared.me.0);
    *shared.voters.lock() = metrics.membership_config.voter_ids().map(NodeId).collect();
    let leader = metrics.current_leader.map(NodeId);
    // A candidate of a higher term follows nobody: the leader that it knew is one of a term before.
    let leader = if leader == Some(shared.me) && !leads {
        None
    } else {
        leader
    };
    let next = Leadership {
        leader,
        term: metrics.current_term,
        established: leads && own_entry,
        since: Instant::now(),
    };
    let before = *shared.leadership.borrow();
    let same_leader = (before.leader, before.term) == (next.leader, next.term);
    if !same_leader && leads {
        shared
            .clock
            .lock()
            .lead(shared.published.state().meta().cluster_time, Instant::now());
    }
    if !same_leader || before.established != next.established {
        shared.leadership.send_replace(next);
        tracing::info!(leader = ?next.leader, term = next.term, established = next.established, "leadership");
    }
    if before.leader != next.leader && next.leader.is_some() {
        metrics::counter!("reeve_leader_changes_total").increment(1);
    }
    record(shared, metrics, leads);
}

fn record(shared: &Shared, metrics: &Metrics, leads: bool) {
    metrics::gauge!("reeve_raft_is_leader").set(if leads { 1.0 } else { 0.0 });
    metrics::gauge!("reeve_raft_term").set(metrics.current_term as f64);
    let applied = metrics.last_applied.map_or(0, |id| id.index);
    metrics::gauge!("reeve_raft_last_applied_index").set(applied as f64);
    metrics::gauge!("reeve_raft_purged_index").set(metrics.purged.map_or(0, |id| id.index) as f64);
    let Some(replication) = metrics.replication.as_ref().filter(|_| leads) else {
        metrics::gauge!("reeve_raft_quorum_lag_entries").set(0.0);
        return;
    };
    let voters = shared.voters.lock();
    let mut matched: Vec<u64> = voters
        .iter()
        .map(|voter| {
            replication
                .get(&voter.0)
                .and_then(|id| id.as_ref())
                .map_or(0, |id| id.index)
        })
        .collect();
    matched.sort_unstable_by(|a, b| b.cmp(a));
    // What a quorum has is at the middle of the list.
    let quorum = matched.get(matched.len() / 2).copied().unwrap_or(0);
    let last = metrics.last_log_index.unwrap_or(0);
    metrics::gauge!("reeve_raft_quorum_lag_entries").set(last.saturating_sub(quorum) as f64);
}
