//! The rules that settings keep among each other.

use std::net::SocketAddr;

use std::time::Duration;

use reeve_store::MemberInfo;

use super::{ConfigError, NodeConfig, Violation};

impl NodeConfig {
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
        self.check_raft(&mut check);
        self.check_workers(&mut check);
        self.check_runs(&mut check);
        self.check_evidence(&mut check);
        self.check_webhooks(&mut check);
        if violations.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { violations })
        }
    }

    fn check_evidence(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let unsupported = self.object_store.unsupported();
        check(
            unsupported.is_none(),
            "object_store",
            unsupported.unwrap_or_default(),
        );
        let century = Duration::from_secs(100 * 365 * 86_400);
        check(
            (Duration::from_secs(1)..=century).contains(&self.run_retention),
            "run_retention_s",
            "must be between 1 and 3153600000".to_owned(),
        );
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
            self.check_reach(field, addr, check);
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

    /// Nothing is encrypted, so a node serves its own machine unless it is told that the network is a private one.
    fn check_reach(
        &self,
        field: &'static str,
        addr: SocketAddr,
        check: &mut impl FnMut(bool, &'static str, String),
    ) {
        if addr.ip().is_loopback() {
            return;
        }
        check(
            self.allow_plaintext,
            field,
            format!(
                "{addr} is not a loopback address, and nothing is encrypted: set allow_plaintext if the network is private"
            ),
        );
        check(
            !addr.ip().is_unspecified(),
            field,
            format!("{addr} is no address that others can call: name one of this machine's"),
        );
        check(
            field != "raft_addr" || self.cluster_secret.is_some(),
            "cluster_secret",
            format!("is required, because raft_addr {addr} is not a loopback address"),
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
        check(
            self.rehome_grace() <= self.down_after / 3,
            "rehome_grace_ms",
            "must be at most a third of down_after_ms, so that a lost worker is still declared OFFLINE in time".to_owned(),
        );
    }

    fn check_raft(&self, check: &mut impl FnMut(bool, &'static str, String)) {
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
}
