//! What an operator can set: flags, environment variables and a TOML file, in this order of precedence.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::bootstrap::BootstrapKey;
use crate::config::GivenSecret;
use crate::config::{ConfigError, NodeConfig, Violation};

/// Settings of a node as they were given; what is not given has the default named in its help.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NodeArgs {
    /// TOML file with the same settings, in snake_case; flags and environment go before it
    #[arg(long, env = "REEVE_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Number of this node, unique in the cluster and greater than 0 [required]
    #[arg(long, env = "REEVE_NODE_ID", value_name = "N")]
    pub id: Option<u64>,
    /// Name of this node [default: n<ID>]
    #[arg(long, env = "REEVE_NODE_NAME")]
    pub name: Option<String>,
    /// Folder for the log and the state [default: reeve-data/<NAME>]
    #[arg(long, env = "REEVE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Name of the cluster; nodes of another one are refused [default: reeve]
    #[arg(long, env = "REEVE_CLUSTER_ID", value_name = "NAME")]
    pub cluster_id: Option<String>,
    /// Where clients and workers are served (gRPC) [default: 127.0.0.1:50052]
    #[arg(long, env = "REEVE_GRPC_ADDR", value_name = "ADDR")]
    pub grpc_addr: Option<SocketAddr>,
    /// Where the other nodes are served [default: 127.0.0.1:50051]
    #[arg(long, env = "REEVE_RAFT_ADDR", value_name = "ADDR")]
    pub raft_addr: Option<SocketAddr>,
    /// Where REST, metrics and health are served [default: 127.0.0.1:8080]
    #[arg(long, env = "REEVE_HTTP_ADDR", value_name = "ADDR")]
    pub http_addr: Option<SocketAddr>,
    /// All first members, this node among them: "1=n1,RAFT,GRPC,HTTP;2=…" [default: this node alone]
    #[arg(long, env = "REEVE_PEERS", value_name = "LIST")]
    pub peers: Option<String>,
    /// Start without a cluster and wait until `reeve cluster add` names this node
    #[arg(long, env = "REEVE_JOIN", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub join: Option<bool>,
    /// How often a worker is heard, at the latest, milliseconds [default: 30000]
    #[arg(long, env = "REEVE_HEARTBEAT_INTERVAL_MS", value_name = "MS")]
    pub heartbeat_interval_ms: Option<u64>,
    /// A worker that is silent for so long is OFFLINE, milliseconds [default: 60000]
    #[arg(long, env = "REEVE_DOWN_AFTER_MS", value_name = "MS")]
    pub down_after_ms: Option<u64>,
    /// A node that no quorum, or not the leader, hears for so long sheds its sessions, milliseconds [default: 5000]
    #[arg(long, env = "REEVE_SHED_AFTER_MS", value_name = "MS")]
    pub shed_after_ms: Option<u64>,
    /// How long a worker needs to find another node, milliseconds [default: 10000]
    #[arg(long, env = "REEVE_RECONNECT_TIMEOUT_MS", value_name = "MS")]
    pub reconnect_timeout_ms: Option<u64>,
    /// How often nodes tell each other whom they heard, milliseconds [default: 1000]
    #[arg(long, env = "REEVE_EXCHANGE_INTERVAL_MS", value_name = "MS")]
    pub exchange_interval_ms: Option<u64>,
    /// A worker that reports a resource used more than this is in ERROR, per cent; 100: never [default: 90]
    #[arg(long, env = "REEVE_UNHEALTHY_ABOVE_PERCENT", value_name = "PERCENT")]
    pub unhealthy_above_percent: Option<u32>,
    /// The same for processor time alone [default: unhealthy-above-percent]
    #[arg(long, env = "REEVE_UNHEALTHY_ABOVE_CPU_PERCENT", value_name = "PERCENT")]
    pub unhealthy_above_cpu_percent: Option<u32>,
    /// The same for memory alone [default: unhealthy-above-percent]
    #[arg(long, env = "REEVE_UNHEALTHY_ABOVE_MEMORY_PERCENT", value_name = "PERCENT")]
    pub unhealthy_above_memory_percent: Option<u32>,
    /// The same for disk space alone [default: unhealthy-above-percent]
    #[arg(long, env = "REEVE_UNHEALTHY_ABOVE_DISK_PERCENT", value_name = "PERCENT")]
    pub unhealthy_above_disk_percent: Option<u32>,
    /// How long workers of a lost node are not suspect, milliseconds [default: a third of down-after-ms, at most 10000]
    #[arg(long, env = "REEVE_REHOME_GRACE_MS", value_name = "MS")]
    pub rehome_grace_ms: Option<u64>,
    /// How often a ping worker is told to ping, milliseconds [default: 20000]
    #[arg(long, env = "REEVE_PING_INTERVAL_MS", value_name = "MS")]
    pub ping_interval_ms: Option<u64>,
    /// A ping worker that is silent for so long is UNREACHABLE, milliseconds [default: 120000]
    #[arg(long, env = "WORKER_UNREACHABLE_THRESHOLD_MS", value_name = "MS")]
    pub worker_unreachable_threshold_ms: Option<u64>,
    /// A ping worker that is silent for so long is OFFLINE, milliseconds [default: 360000]
    #[arg(long, env = "WORKER_OFFLINE_THRESHOLD_MS", value_name = "MS")]
    pub worker_offline_threshold_ms: Option<u64>,
    /// A ping worker that has been OFFLINE for so long is deleted, milliseconds [default: 86400000]
    #[arg(long, env = "WORKER_OFFLINE_DELETE_THRESHOLD_MS", value_name = "MS")]
    pub worker_offline_delete_threshold_ms: Option<u64>,
    /// A worker that has been DELETED for so long is forgotten, milliseconds [default: 604800000]
    #[arg(long, env = "REEVE_WORKER_PURGE_AFTER_MS", value_name = "MS")]
    pub worker_purge_after_ms: Option<u64>,
    /// Deadline of a drain that names none, milliseconds [default: 3600000]
    #[arg(long, env = "REEVE_DRAIN_TIMEOUT_MS", value_name = "MS")]
    pub drain_timeout_ms: Option<u64>,
    /// Most sessions of workers on this node; more are sent to another [default: 200000]
    #[arg(long, env = "REEVE_MAX_SESSIONS", value_name = "N")]
    pub max_sessions: Option<usize>,
    /// Most connections of workers that have not said yet who they are [default: 20000]
    #[arg(long, env = "REEVE_MAX_UNIDENTIFIED_CONNECTIONS", value_name = "N")]
    pub max_unidentified_connections: Option<usize>,
    /// A worker's connection that says nothing for so long after it was made is closed, milliseconds [default: 10000]
    #[arg(long, env = "REEVE_HELLO_TIMEOUT_MS", value_name = "MS")]
    pub hello_timeout_ms: Option<u64>,
    /// A session with more heartbeats than this is ended, per second [default: 20]
    #[arg(long, env = "REEVE_MAX_HEARTBEATS_PER_S", value_name = "N")]
    pub max_heartbeats_per_s: Option<u32>,
    /// First admin key of the cluster, cmk_ and 32 hex digits; without one, `reeve key bootstrap` makes it. Better given by the
    /// environment or the file: others can see flags
    #[arg(long, env = "REEVE_BOOTSTRAP_KEY", hide_env_values = true, value_name = "KEY")]
    pub bootstrap_key: Option<BootstrapKey>,
    /// Listen on other addresses than loopback although nothing is encrypted; only for private networks [default: false]
    #[arg(long, env = "REEVE_ALLOW_PLAINTEXT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_plaintext: Option<bool>,
    /// What nodes show each other, the same on every node, 32 characters or more; needed where raft_addr is not a loopback address.
    /// Better given by the environment or the file: others can see flags
    #[arg(
        long,
        env = "REEVE_CLUSTER_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub cluster_secret: Option<GivenSecret>,
    /// Raft: interval of the leader's heartbeats, milliseconds [default: 50]
    #[arg(long, env = "REEVE_RAFT_HEARTBEAT_MS", value_name = "MS")]
    pub raft_heartbeat_ms: Option<u64>,
    /// Raft: shortest election timeout, milliseconds [default: 150]
    #[arg(long, env = "REEVE_RAFT_ELECTION_MIN_MS", value_name = "MS")]
    pub raft_election_min_ms: Option<u64>,
    /// Raft: longest election timeout, milliseconds [default: 300]
    #[arg(long, env = "REEVE_RAFT_ELECTION_MAX_MS", value_name = "MS")]
    pub raft_election_max_ms: Option<u64>,
    /// A snapshot is made after this many entries of the log [default: 200000]
    #[arg(long, env = "REEVE_SNAPSHOT_AFTER_ENTRIES", value_name = "N", hide = true)]
    pub snapshot_after_entries: Option<u64>,
    /// Entries that stay in the log although a snapshot has them, at most [default: 1000000]
    #[arg(long, env = "REEVE_LOG_KEEP_ENTRIES", value_name = "N", hide = true)]
    pub log_keep_entries: Option<u64>,
    /// How long offered workers have to confirm, milliseconds [default: 10000]
    #[arg(long, env = "REEVE_READY_TIMEOUT_MS", value_name = "MS")]
    pub ready_timeout_ms: Option<u64>,
    /// From RUNNING until the common start instant, milliseconds [default: 500]
    #[arg(long, env = "REEVE_START_DELAY_MS", value_name = "MS")]
    pub start_delay_ms: Option<u64>,
    /// How long endpoints have to hang up when a run is stopped, milliseconds [default: 30000]
    #[arg(long, env = "REEVE_STOP_GRACE_MS", value_name = "MS")]
    pub stop_grace_ms: Option<u64>,
    /// Where evidence of runs is stored: file:///FOLDER or s3://BUCKET/PREFIX [default: DATA_DIR/objects]
    #[arg(long, env = "REEVE_OBJECT_STORE", value_name = "URL")]
    pub object_store: Option<String>,
    /// How long a run is kept after its end, with its evidence, seconds [default: 2592000]
    #[arg(long, env = "REEVE_RUN_RETENTION_S", value_name = "S")]
    pub run_retention_s: Option<u64>,
    /// How long a node that stops waits for what is under way, milliseconds [default: 5000]
    #[arg(long, env = "REEVE_SHUTDOWN_TIMEOUT_MS", value_name = "MS")]
    pub shutdown_timeout_ms: Option<u64>,
    /// Networks that are not public and that webhooks may be sent to all the same, and unencrypted: true for all private ones, loopback, or
    /// a list of addresses and networks such as 10.1.0.0/16 [default: false]
    #[arg(
        long,
        env = "REEVE_WEBHOOK_ALLOW_PRIVATE",
        num_args = 0..=1,
        default_missing_value = "true",
        value_name = "LIST"
    )]
    pub webhook_allow_private: Option<String>,
    /// How long one attempt to post to a webhook may take in all, milliseconds [default: 15000]
    #[arg(long, env = "REEVE_WEBHOOK_TIMEOUT_MS", value_name = "MS")]
    pub webhook_timeout_ms: Option<u64>,
}

impl NodeArgs {
    /// Reads the file if one is named, fills in the defaults, and checks the whole.
    ///
    /// # Errors
    /// The file cannot be read, or some setting is wrong: then every violation at once.
    pub fn load(mut self) -> Result<NodeConfig, ConfigError> {
        if let Some(path) = self.config.take() {
            self = self.or(read_file(&path)?);
        }
        let config = NodeConfig::from_args(self)?;
        config.validate()?;
        Ok(config)
    }

    /// These settings, and those of `other` where these have none. A line each: longer than other functions, and nothing to cut.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            config: self.config.or(other.config),
            id: self.id.or(other.id),
            name: self.name.or(other.name),
            data_dir: self.data_dir.or(other.data_dir),
            cluster_id: self.cluster_id.or(other.cluster_id),
            grpc_addr: self.grpc_addr.or(other.grpc_addr),
            raft_addr: self.raft_addr.or(other.raft_addr),
            http_addr: self.http_addr.or(other.http_addr),
            peers: self.peers.or(other.peers),
            join: self.join.or(other.join),
            heartbeat_interval_ms: self.heartbeat_interval_ms.or(other.heartbeat_interval_ms),
            down_after_ms: self.down_after_ms.or(other.down_after_ms),
            shed_after_ms: self.shed_after_ms.or(other.shed_after_ms),
            reconnect_timeout_ms: self.reconnect_timeout_ms.or(other.reconnect_timeout_ms),
            exchange_interval_ms: self.exchange_interval_ms.or(other.exchange_interval_ms),
            unhealthy_above_percent: self.unhealthy_above_percent.or(other.unhealthy_above_percent),
            unhealthy_above_cpu_percent: self
                .unhealthy_above_cpu_percent
                .or(other.unhealthy_above_cpu_percent),
            unhealthy_above_memory_percent: self
                .unhealthy_above_memory_percent
                .or(other.unhealthy_above_memory_percent),
            unhealthy_above_disk_percent: self
                .unhealthy_above_disk_percent
                .or(other.unhealthy_above_disk_percent),
            rehome_grace_ms: self.rehome_grace_ms.or(other.rehome_grace_ms),
            ping_interval_ms: self.ping_interval_ms.or(other.ping_interval_ms),
            worker_unreachable_threshold_ms: self
                .worker_unreachable_threshold_ms
                .or(other.worker_unreachable_threshold_ms),
            worker_offline_threshold_ms: self
                .worker_offline_threshold_ms
                .or(other.worker_offline_threshold_ms),
            worker_offline_delete_threshold_ms: self
                .worker_offline_delete_threshold_ms
                .or(other.worker_offline_delete_threshold_ms),
            worker_purge_after_ms: self.worker_purge_after_ms.or(other.worker_purge_after_ms),
            drain_timeout_ms: self.drain_timeout_ms.or(other.drain_timeout_ms),
            max_sessions: self.max_sessions.or(other.max_sessions),
            max_unidentified_connections: self
                .max_unidentified_connections
                .or(other.max_unidentified_connections),
            hello_timeout_ms: self.hello_timeout_ms.or(other.hello_timeout_ms),
            max_heartbeats_per_s: self.max_heartbeats_per_s.or(other.max_heartbeats_per_s),
            bootstrap_key: self.bootstrap_key.or(other.bootstrap_key),
            allow_plaintext: self.allow_plaintext.or(other.allow_plaintext),
            cluster_secret: self.cluster_secret.or(other.cluster_secret),
            raft_heartbeat_ms: self.raft_heartbeat_ms.or(other.raft_heartbeat_ms),
            raft_election_min_ms: self.raft_election_min_ms.or(other.raft_election_min_ms),
            raft_election_max_ms: self.raft_election_max_ms.or(other.raft_election_max_ms),
            snapshot_after_entries: self.snapshot_after_entries.or(other.snapshot_after_entries),
            log_keep_entries: self.log_keep_entries.or(other.log_keep_entries),
            ready_timeout_ms: self.ready_timeout_ms.or(other.ready_timeout_ms),
            start_delay_ms: self.start_delay_ms.or(other.start_delay_ms),
            stop_grace_ms: self.stop_grace_ms.or(other.stop_grace_ms),
            object_store: self.object_store.or(other.object_store),
            run_retention_s: self.run_retention_s.or(other.run_retention_s),
            shutdown_timeout_ms: self.shutdown_timeout_ms.or(other.shutdown_timeout_ms),
            webhook_allow_private: self.webhook_allow_private.or(other.webhook_allow_private),
            webhook_timeout_ms: self.webhook_timeout_ms.or(other.webhook_timeout_ms),
        }
    }
}

fn read_file(path: &Path) -> Result<NodeArgs, ConfigError> {
    let wrong = |rule: String| ConfigError {
        violations: vec![Violation {
            field: "config",
            rule,
        }],
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))
}
