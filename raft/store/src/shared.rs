//! What the tasks of a store have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use reeve_proto::internal as wire;
use reeve_state::id::NodeId;
use reeve_state::time::Time;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::clock::{ClusterClock, LeaderTime, PeerWalls};
use crate::error::UnavailableReason;
use crate::fatal::FatalCell;
use crate::lanes::Lanes;
use crate::leadership::Leadership;
use crate::member::MemberInfo;
use crate::outside::wall_ms;
use crate::peers::Peers;
use crate::published::Published;
use crate::reader::ReadIndexer;
use crate::types::{Metrics, Raft};

/// The wall clocks of the other nodes.
#[derive(Clone, Default)]
pub(crate) struct Walls(Arc<Mutex<PeerWalls>>);

impl Walls {
    /// Notes what a node's wall clock says now.
    pub(crate) fn note(&self, node: u64, wall_ms: i64) {
        self.0.lock().note(NodeId(node), wall_ms, Instant::now());
    }
}

/// What the tasks of a store have in common.
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) name: String,
    pub(crate) cluster_id: String,
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) published: Arc<Published>,
    pub(crate) lanes: Lanes,
    pub(crate) reads: ReadIndexer,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) walls: Walls,
    pub(crate) clock: Mutex<ClusterClock>,
    pub(crate) leader_time: Mutex<Option<LeaderTime>>,
    pub(crate) voters: Mutex<Vec<NodeId>>,
    pub(crate) fatal: FatalCell,
    pub(crate) stopping: AtomicBool,
    pub(crate) election_max: std::time::Duration,
    /// When a leader last spoke to this node.
    pub(crate) heard_leader: Mutex<Instant>,
}

impl Shared {
    /// Refuses calls that are meant for another cluster or node.
    pub(crate) fn check(&self, peering: Option<wire::Peering>) -> Result<(), Status> {
        let peering = peering.ok_or_else(|| Status::invalid_argument("peering is missing"))?;
        if peering.cluster_id != self.cluster_id {
            return Err(Status::failed_precondition(format!(
                "this node is of cluster {:?}, the call is for {:?}",
                self.cluster_id, peering.cluster_id
            )));
        }
        if peering.to_node != self.me.0 {
            return Err(Status::failed_precondition(format!(
                "this is node {}, the call is for node {}",
                self.me, peering.to_node
            )));
        }
        Ok(())
    }

    /// Raft's own account of itself.
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// Who leads, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leadership.borrow().leader
    }

    /// Notes that a leader spoke to this node.
    pub(crate) fn note_leader(&self) {
        *self.heard_leader.lock() = Instant::now();
    }

    /// The leader, unless it is silent: with pre-votes a node keeps the term of a leader that died until another is elected.
    pub(crate) fn live_leader(&self) -> Option<NodeId> {
        self.leader().filter(|leader| {
            if *leader == self.me {
                return self.has_quorum();
            }
            self.heard_leader.lock().elapsed() <= 2 * self.election_max
        })
    }

    /// How a member is reached.
    pub(crate) fn member(&self, id: NodeId) -> Option<MemberInfo> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.get_node(&id.0).cloned()
    }

    /// Cluster time for an entry of this leader.
    pub(crate) fn stamp(&self) -> Time {
        let now = Instant::now();
        let median = self
            .walls
            .0
            .lock()
            .median(wall_ms(), &self.voters.lock(), self.me, now);
        self.clock.lock().now(median, now)
    }

    /// Cluster time as well as this node knows it.
    pub(crate) fn cluster_now(&self) -> Time {
        let applied = self.published.state().meta().cluster_time;
        if self.leader() == Some(self.me) {
            return self.stamp().max(applied);
        }
        let estimate = self.leader_time.lock().map(|time| time.now(Instant::now()));
        estimate.unwrap_or(applied).max(applied)
    }

    /// Why nothing goes on.
    pub(crate) fn why_unavailable(&self) -> UnavailableReason {
        if self.stopping.load(Ordering::Relaxed) {
            return UnavailableReason::ShuttingDown;
        }
        match (self.leader(), self.live_leader()) {
            (_, Some(_)) => UnavailableReason::Overdue,
            (Some(leader), None) if leader == self.me => UnavailableReason::NoQuorum,
            (Some(_) | None, None) => UnavailableReason::NoLeader,
        }
    }

    fn has_quorum(&self) -> bool {
        let acked = self.metrics().last_quorum_acked;
        acked.is_some_and(|at| at.elapsed() <= 2 * self.election_max)
    }
}
