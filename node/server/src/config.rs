//! The configuration of a node, complete and checked.

mod peers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use reeve_state::id::{KeyHash, NodeId};
use reeve_store::{MemberInfo, RaftTimings, SnapshotPolicy, StoreConfig};
use thiserror::Error;

use crate::args::NodeArgs;
use crate::bootstrap::BootstrapKey;

pub use peers::{format_peers, parse_peers};

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
    /// A node whose digests nobody acknowledges for so long sheds its sessions.
    pub shed_after: Duration,
    /// How long a worker needs to find another node.
    pub reconnect_timeout: Duration,
    /// How often nodes tell each other whom they heard.
    pub exchange_interval: Duration,
    /// A worker that reports a resource used more than this is in ERROR (R41), per cent; 100: never.
    pub unhealthy_above_percent: u32,
    /// What the first admin key of the cluster hashes to; none: somebody asks for it.
    pub bootstrap_key: Option<KeyHash>,
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
    /// How long a node that stops waits for what is under way.
    pub shutdown_timeout: Duration,
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
        let name = args.name.unwrap_or_else(|| format!("n{id}"));
        let ms = |given: Option<u64>, default: u64| Duration::from_millis(given.unwrap_or(default));
        let snapshot = SnapshotPolicy::default();
        let mut config = Self {
            id: NodeId(id),
            data_dir: args
                .data_dir
                .unwrap_or_else(|| PathBuf::from("reeve-data").join(&name)),
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
            unhealthy_above_percent: args.unhealthy_above_percent.unwrap_or(90),
            bootstrap_key: args.bootstrap_key.as_ref().and_then(BootstrapKey::hash),
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
            shutdown_timeout: ms(args.shutdown_timeout_ms, 5_000),
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

    /// Compares the settings with each other.
    ///
    /// # Errors
    /// Every rule that is broken, by the setting's name.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut violations = Vec::new();
        let mut check = |holds: bool, field: &'static str, rule: String| {
            if !holds {
                violations.push(Violation { field, rule });
            }
        };
        self.check_identity(&mut check);
        self.check_addresses(&mut check);
        self.check_liveness(&mut check);
        self.check_runs(&mut check);
        if violations.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { violations })
        }
    }

    fn check_identity(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        check(self.id.0 > 0, "id", "must be greater than 0".to_owned());
        check(
            !self.name.trim().is_empty(),
            "name",
            "must not be empty".to_owned(),
        );
        check(
            !self.cluster_id.trim().is_empty(),
            "cluster_id",
            "must not be empty".to_owned(),
        );
        check(
            !self.data_dir.as_os_str().is_empty(),
            "data_dir",
            "must not be empty".to_owned(),
        );
        if self.peers.is_empty() {
            return;
        }
        let own = self.peers.iter().find(|peer| peer.id == self.id);
        check(
            own.is_some(),
            "peers",
            format!("must contain this node, id {}", self.id),
        );
        check(
            own.is_none_or(|peer| peer.name == self.name),
            "peers",
            format!("must name this node as its name setting does, {:?}", self.name),
        );
        let count = self.peers.len();
        let distinct = |key: fn(&MemberInfo) -> String| {
            self.peers
                .iter()
                .map(key)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                == count
        };
        check(
            self.id.0 == 0 || self.peers.iter().all(|peer| peer.id.0 > 0),
            "peers",
            "ids must be greater than 0".to_owned(),
        );
        check(
            distinct(|peer| peer.id.to_string()),
            "peers",
            "ids must differ".to_owned(),
        );
        check(
            distinct(|peer| peer.name.clone()),
            "peers",
            "names must differ".to_owned(),
        );
        check(
            distinct(|peer| peer.raft_addr.clone()),
            "peers",
            "node-to-node addresses must differ".to_owned(),
        );
    }

    fn check_addresses(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let addresses = [
            ("grpc_addr", self.grpc_addr),
            ("raft_addr", self.raft_addr),
            ("http_addr", self.http_addr),
        ];
        for (index, (field, addr)) in addresses.into_iter().enumerate() {
            check(
                addr.ip().is_loopback(),
                field,
                format!(
                    "{addr} is not a loopback address; without API keys and TLS a node serves its own machine only"
                ),
            );
            let clash = addresses[..index]
                .iter()
                .find(|(_, other)| addr.port() != 0 && *other == addr);
            if let Some((other, _)) = clash {
                check(false, field, format!("{addr} is already taken by {other}"));
            }
        }
        check(
            self.raft_addr.port() != 0,
            "raft_addr",
            "must name a port, because the other nodes have to know it".to_owned(),
        );
    }

    fn check_liveness(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        check(
            !self.heartbeat_interval.is_zero(),
            "heartbeat_interval_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            !self.exchange_interval.is_zero(),
            "exchange_interval_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            self.shed_after >= self.exchange_interval * 2,
            "shed_after_ms",
            "must be at least twice exchange_interval_ms, so that one lost digest sheds nobody".to_owned(),
        );
        check(
            (10..=100).contains(&self.unhealthy_above_percent),
            "unhealthy_above_percent",
            "must be from 10 to 100".to_owned(),
        );
        let moving = self.heartbeat_interval + self.shed_after + self.reconnect_timeout;
        check(
            moving <= self.down_after,
            "down_after_ms",
            format!(
                "must be at least heartbeat_interval_ms + shed_after_ms + reconnect_timeout_ms = {} ms, \
                 so that a healthy worker can move to another node before it is declared OFFLINE",
                moving.as_millis()
            ),
        );
        let raft = &self.raft;
        check(
            !raft.heartbeat.is_zero(),
            "raft_heartbeat_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            raft.election_min >= raft.heartbeat * 2,
            "raft_election_min_ms",
            "must be at least twice raft_heartbeat_ms".to_owned(),
        );
        check(
            self.snapshot.entries > 0,
            "snapshot_after_entries",
            "must be greater than 0".to_owned(),
        );
        check(
            raft.election_max > raft.election_min,
            "raft_election_max_ms",
            "must be greater than raft_election_min_ms, so that elections do not tie".to_owned(),
        );
    }

    fn check_runs(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let day = Duration::from_secs(86_400);
        check(
            !self.ready_timeout.is_zero(),
            "ready_timeout_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            self.ready_timeout <= day,
            "ready_timeout_ms",
            "must be at most 24 h".to_owned(),
        );
        check(
            self.start_delay <= Duration::from_secs(60),
            "start_delay_ms",
            "must be at most 60000".to_owned(),
        );
        check(
            !self.stop_grace.is_zero(),
            "stop_grace_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            self.stop_grace <= day,
            "stop_grace_ms",
            "must be at most 24 h".to_owned(),
        );
        check(
            !self.shutdown_timeout.is_zero(),
            "shutdown_timeout_ms",
            "must be greater than 0".to_owned(),
        );
    }

    /// How long workers of a lost node are not suspect: a third of the down threshold, at most 10 s (D4c).
    pub fn rehome_grace(&self) -> Duration {
        (self.down_after / 3).min(Duration::from_secs(10))
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
        store
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
