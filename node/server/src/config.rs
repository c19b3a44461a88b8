//! The configuration of a node, complete and checked.

mod check;
mod peers;
mod secret;
#[cfg(test)]
mod tests;
mod webhooks;
mod workers;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use reeve_state::id::{KeyHash, NodeId};
use reeve_store::{ClusterSecret, MemberInfo, RaftTimings, SnapshotPolicy, StoreConfig};
use thiserror::Error;

use crate::args::NodeArgs;
use crate::bootstrap::BootstrapKey;
use crate::evidence::ObjectsSetting;

pub use peers::{format_peers, parse_peers};
pub use secret::GivenSecret;
pub use webhooks::WebhookSettings;
pub use workers::{HealthThresholds, PingSettings, SessionLimits};

/// A setting and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Name of the setting, as in the file.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub rule: String,
}

/// Every setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// At least one.
    pub violations: Vec<Violation>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration: ")?;
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.rule)?;
        }
        Ok(())
    }
}

/// Everything a node is told before it starts.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Number of this node, greater than 0.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Folder for the log and the state.
    pub data_dir: PathBuf,
    /// Nodes of another cluster are refused.
    pub cluster_id: String,
    /// Clients and workers (gRPC).
    pub grpc_addr: SocketAddr,
    /// Other nodes.
    pub raft_addr: SocketAddr,
    /// REST, metrics and health.
    pub http_addr: SocketAddr,
    /// First members of the cluster, this node among them; none: it waits to be added.
    pub peers: Vec<MemberInfo>,
    /// How often a worker is heard, at the latest (D4).
    pub heartbeat_interval: Duration,
    /// A worker that is silent for so long is OFFLINE (D4).
    pub down_after: Duration,
    /// A node that no quorum, or not the leader, hears for so long sheds its sessions.
    pub shed_after: Duration,
    /// How long a worker needs to find another node.
    pub reconnect_timeout: Duration,
    /// How often nodes tell each other whom they heard.
    pub exchange_interval: Duration,
    /// How long workers of a lost node are not suspect; none: as [`NodeConfig::rehome_grace`] says.
    pub rehome_grace: Option<Duration>,
    /// A worker that reports a resource used more than this is in ERROR (R41).
    pub unhealthy_above: HealthThresholds,
    /// The liveness of ping workers (D4).
    pub ping: PingSettings,
    /// A worker that has been DELETED for so long is forgotten (D7).
    pub worker_purge_after: Duration,
    /// Deadline of a drain that names none (D5a).
    pub drain_timeout: Duration,
    /// What workers may ask of this node at once.
    pub sessions: SessionLimits,
    /// What the first admin key of the cluster hashes to; none: somebody asks for it.
    pub bootstrap_key: Option<KeyHash>,
    /// Whether it may listen beyond loopback although nothing is encrypted.
    pub allow_plaintext: bool,
    /// What nodes show each other.
    pub cluster_secret: Option<ClusterSecret>,
    /// Heartbeats and elections of Raft.
    pub raft: RaftTimings,
    /// When a snapshot is made, and how much log stays after it.
    pub snapshot: SnapshotPolicy,
    /// How long offered workers have to confirm.
    pub ready_timeout: Duration,
    /// From RUNNING until the common start instant.
    pub start_delay: Duration,
    /// How long endpoints have to hang up when a run is stopped (D8).
    pub stop_grace: Duration,
    /// Where evidence of runs is stored.
    pub object_store: ObjectsSetting,
    /// How long a run is kept after its end.
    pub run_retention: Duration,
    /// How long a node that stops waits for what is under way.
    pub shutdown_timeout: Duration,
    /// Where webhooks may be sent.
    pub webhooks: WebhookSettings,
}

impl NodeConfig {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// What cannot even be read: no id, or a list of peers that is not one.
    pub fn from_args(args: NodeArgs) -> Result<Self, ConfigError> {
        let mut violations = Vec::new();
        let id = args.id.unwrap_or_default();
        if args.id.is_none() {
            violations.push(Violation {
                field: "id",
                rule: "is required".to_owned(),
            });
        }
        if args
            .bootstrap_key
            .as_ref()
            .is_some_and(|key| key.hash().is_none())
        {
            violations.push(Violation {
                field: "bootstrap_key",
                rule: "must be cmk_ and 32 hex digits in lower case".to_owned(),
            });
        }
        let unhealthy_above = HealthThresholds::from_args(&args);
        let (ping, sessions) = (PingSettings::from_args(&args), SessionLimits::from_args(&args));
        let cluster_secret = match args.cluster_secret.as_ref().map(GivenSecret::check).transpose() {
            Ok(secret) => secret,
            Err(rule) => {
                let field = "cluster_secret";
                violations.push(Violation { field, rule });
                None
            }
        };
        let webhooks = WebhookSettings::from_args(&args).unwrap_or_else(|violation| {
            violations.push(violation);
            WebhookSettings::default()
        });
        let name = args.name.unwrap_or_else(|| format!("n{id}"));
        let data_dir = args
            .data_dir
            .unwrap_or_else(|| PathBuf::from("reeve-data").join(&name));
        let object_store = match args
            .object_store
            .as_deref()
            .map(ObjectsSetting::parse)
            .transpose()
        {
            Ok(given) => given.unwrap_or_else(|| ObjectsSetting::Folder(data_dir.join("objects"))),
            Err(rule) => {
                let field = "object_store";
                violations.push(Violation { field, rule });
                ObjectsSetting::Folder(data_dir.join("objects"))
            }
        };
        let ms = |given: Option<u64>, default: u64| Duration::from_millis(given.unwrap_or(default));
        let snapshot = SnapshotPolicy::default();
        let mut config = Self {
            id: NodeId(id),
            data_dir,
            name,
            cluster_id: args.cluster_id.unwrap_or_else(|| "reeve".to_owned()),
            grpc_addr: args.grpc_addr.unwrap_or_else(|| loopback(50_052)),
            raft_addr: args.raft_addr.unwrap_or_else(|| loopback(50_051)),
            http_addr: args.http_addr.unwrap_or_else(|| loopback(8_080)),
            peers: Vec::new(),
            heartbeat_interval: ms(args.heartbeat_interval_ms, 30_000),
            down_after: ms(args.down_after_ms, 60_000),
            shed_after: ms(args.shed_after_ms, 5_000),
            reconnect_timeout: ms(args.reconnect_timeout_ms, 10_000),
            exchange_interval: ms(args.exchange_interval_ms, 1_000),
            rehome_grace: args.rehome_grace_ms.map(Duration::from_millis),
            unhealthy_above,
            ping,
            worker_purge_after: ms(args.worker_purge_after_ms, 7 * 86_400_000),
            drain_timeout: ms(args.drain_timeout_ms, 3_600_000),
            sessions,
            bootstrap_key: args.bootstrap_key.as_ref().and_then(BootstrapKey::hash),
            allow_plaintext: args.allow_plaintext.unwrap_or(false),
            cluster_secret,
            raft: RaftTimings {
                heartbeat: ms(args.raft_heartbeat_ms, 50),
                election_min: ms(args.raft_election_min_ms, 150),
                election_max: ms(args.raft_election_max_ms, 300),
            },
            snapshot: SnapshotPolicy {
                entries: args.snapshot_after_entries.unwrap_or(snapshot.entries),
                keep_entries: args.log_keep_entries.unwrap_or(snapshot.keep_entries),
                ..snapshot
            },
            ready_timeout: ms(args.ready_timeout_ms, 10_000),
            start_delay: ms(args.start_delay_ms, 500),
            stop_grace: ms(args.stop_grace_ms, 30_000),
            object_store,
            run_retention: Duration::from_secs(args.run_retention_s.unwrap_or(30 * 86_400)),
            shutdown_timeout: ms(args.shutdown_timeout_ms, 5_000),
            webhooks,
        };
        let join = args.join.unwrap_or(false);
        match args.peers.as_deref() {
            Some(_) if join => violations.push(Violation {
                field: "peers",
                rule: "cannot be given together with join".to_owned(),
            }),
            Some(text) => match parse_peers(text) {
                Ok(peers) => config.peers = peers,
                Err(rule) => violations.push(Violation { field: "peers", rule }),
            },
            None if join => {}
            None => config.peers = vec![config.member()],
        }
        if violations.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { violations })
        }
    }

    /// How long workers of a lost node are not suspect; by default a third of the down threshold, at most 10 s (D4c).
    pub fn rehome_grace(&self) -> Duration {
        self.rehome_grace
            .unwrap_or((self.down_after / 3).min(Duration::from_secs(10)))
    }

    /// This node as its addresses say.
    pub fn member(&self) -> MemberInfo {
        MemberInfo {
            id: self.id,
            name: self.name.clone(),
            raft_addr: self.raft_addr.to_string(),
            grpc_addr: self.grpc_addr.to_string(),
            http_addr: self.http_addr.to_string(),
        }
    }

    /// What the store needs of it.
    pub fn store_config(&self) -> StoreConfig {
        let mut store = StoreConfig::new(
            self.id,
            self.cluster_id.clone(),
            self.data_dir.clone(),
            self.raft_addr,
        );
        store.node_name = self.name.clone();
        store.members = self.peers.clone();
        store.raft = self.raft;
        store.snapshot = self.snapshot;
        store.cluster_secret = self.cluster_secret.clone();
        store
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
