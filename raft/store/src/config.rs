//! What a store is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy as RaftSnapshotPolicy};
use reeve_state::id::NodeId;

use crate::error::OpenError;
use crate::member::MemberInfo;
use crate::secret::ClusterSecret;

/// What a store is told when it is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// This node.
    pub node_id: NodeId,
    /// For people.
    pub node_name: String,
    /// Nodes of other clusters are refused.
    pub cluster_id: String,
    /// Holds everything that this node knows; made if it is missing.
    pub data_dir: PathBuf,
    /// Where other nodes reach this one.
    pub raft_addr: SocketAddr,
    /// The first membership, the same on every node; later ones are in the log.
    pub members: Vec<MemberInfo>,
    /// Heartbeats and elections.
    pub raft: RaftTimings,
    /// When the log is cut.
    pub snapshot: SnapshotPolicy,
    /// What nodes show each other; none: whoever reaches this node is taken for one.
    pub cluster_secret: Option<ClusterSecret>,
    /// Commands that may wait, per lane.
    pub lane_capacity: usize,
}

impl StoreConfig {
    /// Defaults for everything but who and where.
    pub fn new(
        node_id: NodeId,
        cluster_id: impl Into<String>,
        data_dir: PathBuf,
        raft_addr: SocketAddr,
    ) -> Self {
        Self {
            node_id,
            node_name: format!("node-{node_id}"),
            cluster_id: cluster_id.into(),
            data_dir,
            raft_addr,
            members: Vec::new(),
            raft: RaftTimings::default(),
            snapshot: SnapshotPolicy::default(),
            cluster_secret: None,
            lane_capacity: 20_000,
        }
    }
}

/// Heartbeats and elections: the one place for their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTimings {
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// A follower waits at least this long for a leader before it runs itself.
    pub election_min: Duration,
    /// And at most this long; votes are refused for this long after the last word of a leader.
    pub election_max: Duration,
}

impl Default for RaftTimings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
        }
    }
}

/// When a snapshot is made, and how much log stays after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After this many bytes of commands.
    pub bytes: u64,
    /// After this many entries.
    pub entries: u64,
    /// After this time, if anything was applied.
    pub interval: Duration,
    /// Entries that a snapshot has stay in the log for this long, so that a short absence does not cost a snapshot. A node that
    /// restarts counts from then.
    pub keep_for: Duration,
    /// They go sooner when there are more than this.
    pub keep_entries: u64,
    /// And when their commands have more bytes than this.
    pub keep_bytes: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            entries: 200_000,
            interval: Duration::from_secs(600),
            keep_for: Duration::from_secs(600),
            keep_entries: 1_000_000,
            keep_bytes: 512 << 20,
        }
    }
}

impl StoreConfig {
    /// Refuses what cannot work, and translates the rest for openraft.
    pub(crate) fn to_raft(&self) -> Result<Config, OpenError> {
        let RaftTimings {
            heartbeat,
            election_min,
            election_max,
        } = self.raft;
        let refuse = |field, rule: &str| {
            Err(OpenError::Config {
                field,
                rule: rule.to_owned(),
            })
        };
        if heartbeat < Duration::from_millis(5) {
            return refuse("raft.heartbeat", "must be at least 5 ms");
        }
        if election_min < heartbeat * 2 {
            return refuse("raft.election_min", "must be at least twice the heartbeat");
        }
        if election_max <= election_min {
            return refuse("raft.election_max", "must be greater than election_min");
        }
        if self.snapshot.entries == 0 || self.snapshot.bytes == 0 {
            return refuse("snapshot", "bytes and entries must be greater than 0");
        }
        if self.cluster_id.is_empty() {
            return refuse("cluster_id", "must not be empty");
        }
        if !self.members.is_empty() && !self.members.iter().any(|member| member.id == self.node_id) {
            return refuse("members", "must contain this node");
        }
        let config = Config {
            cluster_name: self.cluster_id.clone(),
            heartbeat_interval: millis(heartbeat),
            election_timeout_min: millis(election_min),
            election_timeout_max: millis(election_max),
            // The transport gives up when nothing moves; a large state may take its time.
            install_snapshot_timeout: 600_000,
            snapshot_policy: RaftSnapshotPolicy::Never,
            // The log is cut by our own policy, which knows bytes and time.
            max_in_snapshot_log_to_keep: u64::MAX,
            // A learner this close to the leader may become a voter.
            replication_lag_threshold: 1_000,
            enable_pre_vote: Some(true),
            // A node that restarts is leader again only by a new election, in a term of its own.
            enable_leader_restore: Some(false),
            backoff: "20ms 40ms ..500ms".to_owned(),
            ..Config::default()
        };
        config.validate().map_err(|error| OpenError::Config {
            field: "raft",
            rule: error.to_string(),
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
