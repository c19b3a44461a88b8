//! A node: how it is started.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use reeve_proto::bearer::{Bearer, Connection};
use reeve_testkit::{ADMIN_KEY, Child};
use tonic::transport::Endpoint;

use super::Stage;
use crate::fault::Target;
use crate::scenario::plan::SHED_AFTER_MS;

const CONNECT: std::time::Duration = std::time::Duration::from_secs(1);
const SECRET: &str = "chaos-chaos-chaos-chaos-chaos-chaos";
/// Keeps no log beyond what a snapshot needs, so that a node that was away long is sent one.
const FORGETFUL: &str = "n1";
const KEEP_FEW: u64 = 100;
/// The log is replayed in the end: all of it must be there.
const KEEP_ALL: u64 = 100_000_000;

/// How often nodes tell each other whom they heard, milliseconds.
pub const EXCHANGE_INTERVAL_MS: u64 = 250;

/// One node.
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Its name: `n1`.
    pub name: String,
    /// For clients and workers.
    pub grpc: String,
    /// For nodes: where they reach it.
    pub raft: String,
    /// And where it listens; a proxy may be before it.
    pub listen_raft: String,
    /// For people.
    pub http: String,
    /// Where its data is.
    pub files: PathBuf,
    /// It was not there in the beginning.
    pub spare: bool,
    /// It belongs to the cluster.
    pub member: bool,
    /// It runs the older program.
    pub older: bool,
    /// It may end by itself, and is right to.
    pub may_end: bool,
    pub(super) child: Option<Child>,
    pub(super) connection: Connection,
}

impl Node {
    pub(super) fn new(id: u64, addresses: [SocketAddr; 3], files: PathBuf, spare: bool) -> Result<Self> {
        let [grpc, raft, http] = addresses.map(|address| address.to_string());
        let endpoint = Endpoint::from_shared(format!("http://{grpc}"))?;
        let channel = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).connect_lazy();
        Ok(Self {
            name: format!("n{id}"),
            connection: Bearer::new(ADMIN_KEY)?.on(channel),
            id,
            grpc,
            listen_raft: raft.clone(),
            raft,
            http,
            files,
            spare,
            member: !spare,
            older: false,
            may_end: false,
            child: None,
        })
    }

    /// As peers know it.
    pub(super) fn peer(&self) -> String {
        format!(
            "{}={},{},{},{}",
            self.id, self.name, self.raft, self.grpc, self.http
        )
    }

    pub(super) fn command(&self, target: &Target, stage: &Stage, peers: &str) -> Result<Command> {
        let program = match (&stage.programs.older, self.older) {
            (Some(older), true) => older,
            (Some(_) | None, _) => &stage.programs.reeve,
        };
        let program = program.to_str().context("the program has a name in UTF-8")?;
        let mut command = target.command(program);
        let id = self.id.to_string();
        command.args(["node", "--exit-with-parent", "--allow-plaintext"]);
        command.args(["--id", &id, "--name", &self.name, "--cluster-id", "chaos"]);
        command.args([
            "--grpc-addr",
            &self.grpc,
            "--raft-addr",
            &self.listen_raft,
            "--http-addr",
            &self.http,
        ]);
        if self.spare {
            command.arg("--join");
        } else {
            command.args(["--peers", peers]);
        }
        let objects = stage.scratch.join("objects");
        command
            .arg("--object-store")
            .arg(format!("file://{}", objects.display()));
        command.arg("--data-dir").arg(&self.files);
        command.args(self.flags(stage));
        command.env("REEVE_BOOTSTRAP_KEY", ADMIN_KEY);
        command.env("REEVE_CLUSTER_SECRET", SECRET);
        if !stage.mutant.is_empty() {
            command.env("REEVE_MUTANT", &stage.mutant);
        }
        Ok(command)
    }

    fn flags(&self, stage: &Stage) -> Vec<String> {
        let shape = &stage.shape;
        let keep = if shape.forgetful && self.name == FORGETFUL {
            KEEP_FEW
        } else {
            KEEP_ALL
        };
        let flags = [
            // The machine is loaded on purpose; that must not make its workers unhealthy.
            ("unhealthy-above-percent", 100),
            ("heartbeat-interval-ms", shape.heartbeat_interval_ms),
            ("exchange-interval-ms", EXCHANGE_INTERVAL_MS),
            ("shed-after-ms", SHED_AFTER_MS),
            ("reconnect-timeout-ms", shape.reconnect_timeout_ms),
            ("rehome-grace-ms", shape.rehome_grace_ms),
            ("down-after-ms", shape.down_after_ms),
            ("ready-timeout-ms", 5_000),
            ("start-delay-ms", 200),
            ("stop-grace-ms", 3_000),
            ("shutdown-timeout-ms", 2_000),
            ("raft-heartbeat-ms", shape.raft_heartbeat_ms),
            ("raft-election-min-ms", shape.election_min_ms),
            ("raft-election-max-ms", shape.election_max_ms),
            ("snapshot-after-entries", shape.snapshot_after_entries),
            ("log-keep-entries", keep),
        ];
        flags
            .map(|(name, value)| format!("--{name}={value}"))
            .into_iter()
            .collect()
    }
}
