//! The nodes of one cluster, each a process.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::{Bearer, Connection};
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::keys_client::KeysClient;
use reeve_proto::v1::{GetStatusRequest, GetStatusResponse, TransferLeaderRequest, WhoAmIRequest};
use tonic::transport::Endpoint;

use tonic::{Request, Status};

use crate::child::Child;
use crate::ports::free_addresses;
use crate::wait::{until, until_some};

/// How long a node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The admin key of every cluster of the testkit.
pub const ADMIN_KEY: &str = "cmk_00112233445566778899aabbccddeeff";

fn bearer() -> Result<Bearer> {
    Ok(Bearer::new(ADMIN_KEY)?)
}

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// The `reeve` program.
    pub program: PathBuf,
    /// Where data and logs are kept; it exists.
    pub directory: PathBuf,
    /// How many nodes.
    pub nodes: usize,
    /// Further flags of `reeve node`, the same for each.
    pub flags: Vec<String>,
}

/// Where a node is reached.
#[derive(Clone, Debug)]
pub struct NodeAddresses {
    /// Its number, from 1.
    pub id: u64,
    /// Its name, `n1` for number 1.
    pub name: String,
    /// Clients and workers.
    pub grpc: String,
    /// Other nodes.
    pub raft: String,
    /// Metrics and REST.
    pub http: String,
}

/// A cluster whose nodes can be killed and started again. Positions count from 0.
#[derive(Debug)]
pub struct Cluster {
    spec: ClusterSpec,
    nodes: Vec<NodeAddresses>,
    children: Vec<Option<Child>>,
    channels: Vec<Connection>,
}

impl Cluster {
    /// Starts every node. Returns before there is a leader.
    ///
    /// # Errors
    /// A node cannot be started.
    pub fn start(spec: ClusterSpec) -> Result<Self> {
        let ports = free_addresses(spec.nodes * 3)?;
        let nodes: Vec<NodeAddresses> = ports
            .chunks_exact(3)
            .zip(1..)
            .map(|(ports, id)| NodeAddresses {
                id,
                name: format!("n{id}"),
                grpc: ports[0].clone(),
                raft: ports[1].clone(),
                http: ports[2].clone(),
            })
            .collect();
        let channels = nodes
            .iter()
            .map(|node| Ok(bearer()?.on(endpoint(&node.grpc)?.connect_lazy())))
            .collect::<Result<Vec<_>>>()?;
        let mut cluster = Self {
            children: nodes.iter().map(|_| None).collect(),
            spec,
            nodes,
            channels,
        };
        for position in 0..cluster.nodes.len() {
            cluster.start_node(position)?;
        }
        Ok(cluster)
    }

    /// Starts a node that does not run, on the data that it has.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_node(&mut self, position: usize) -> Result<()> {
        let node = &self.nodes[position];
        let peers: Vec<String> = self
            .nodes
            .iter()
            .map(|peer| {
                let NodeAddresses {
                    id,
                    name,
                    grpc,
                    raft,
                    http,
                } = peer;
                format!("{id}={name},{raft},{grpc},{http}")
            })
            .collect();
        let mut command = Command::new(&self.spec.program);
        command
            .args(["node", "--exit-with-parent"])
            .args(["--id", &node.id.to_string(), "--name", &node.name])
            .args(["--cluster-id", "testkit", "--peers", &peers.join(";")])
            .args([
                "--grpc-addr",
                &node.grpc,
                "--raft-addr",
                &node.raft,
                "--http-addr",
                &node.http,
            ])
            .arg("--object-store")
            .arg(format!(
                "file://{}",
                self.spec.directory.join("objects").display()
            ))
            .arg("--data-dir")
            .arg(self.spec.directory.join(&node.name))
            .args(&self.spec.flags)
            .env("REEVE_BOOTSTRAP_KEY", ADMIN_KEY);
        let log = self.spec.directory.join(format!("{}.log", node.name));
        self.children[position] = Some(Child::spawn(&node.name, command, &log)?);
        Ok(())
    }

    /// SIGKILL. Returns once the process is gone.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self, position: usize) -> Result<()> {
        let Some(mut child) = self.children[position].take() else {
            bail!("{} does not run", self.nodes[position].name);
        };
        child
            .kill()
            .with_context(|| format!("{} cannot be killed", child.name()))?;
        Ok(())
    }

    /// Whether the node was started and not killed by us.
    pub fn runs(&self, position: usize) -> bool {
        self.children[position].is_some()
    }

    /// Nodes that ended although nobody killed them, with how and where to read why.
    pub fn unexpected_ends(&mut self) -> Vec<String> {
        let children = self.children.iter_mut().flatten();
        children
            .filter_map(|child| {
                let status = child.ended()?;
                Some(format!(
                    "{} ended by itself: {status}; see {}",
                    child.name(),
                    child.log().display()
                ))
            })
            .collect()
    }

    /// Where the nodes are reached.
    pub fn nodes(&self) -> &[NodeAddresses] {
        &self.nodes
    }

    /// Process id of a node that runs.
    pub fn pid(&self, position: usize) -> Option<u32> {
        self.children[position].as_ref().map(Child::pid)
    }

    /// A connection to a node that opens when it is used, and again when it broke.
    pub fn channel(&self, position: usize) -> Connection {
        self.channels[position].clone()
    }

    /// A new connection to a node, open.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn connect(&self, position: usize) -> Result<Connection> {
        let channel = endpoint(&self.nodes[position].grpc)?.connect().await?;
        Ok(bearer()?.on(channel))
    }

    /// What a node knows of itself and the cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, position: usize, with_hash: bool) -> Result<GetStatusResponse, Status> {
        let mut request = Request::new(GetStatusRequest {
            include_state_hash: with_hash,
        });
        request.set_timeout(STATUS_TIMEOUT);
        let answer = ClusterClient::new(self.channel(position))
            .get_status(request)
            .await?;
        Ok(answer.into_inner())
    }

    /// The node that says that it leads, with the highest term, if there is one.
    pub async fn leader(&self) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for position in (0..self.nodes.len()).filter(|position| self.runs(*position)) {
            if let Ok(status) = self.status(position, false).await
                && status.leader_id == status.node_id
                && best.is_none_or(|(term, _)| status.term > term)
            {
                best = Some((status.term, position));
            }
        }
        best.map(|(_, position)| position)
    }

    /// Waits for a leader that every running node follows.
    ///
    /// # Errors
    /// There is none within the limit, or a node ended.
    pub async fn agreed_leader(&mut self, limit: Duration) -> Result<usize> {
        let found = until_some(limit, "every node follows one leader", || self.agreement()).await;
        let ends = self.unexpected_ends();
        if !ends.is_empty() {
            bail!("{}", ends.join("; "));
        }
        found
    }

    async fn agreement(&self) -> Option<usize> {
        let mut leaders = Vec::new();
        for position in (0..self.nodes.len()).filter(|position| self.runs(*position)) {
            leaders.push(self.status(position, false).await.ok()?.leader_id);
        }
        leaders.dedup();
        let [leader] = leaders[..] else { return None };
        let position = self.nodes.iter().position(|node| node.id == leader)?;
        // Until the first key is committed nobody can call.
        KeysClient::new(self.channel(position))
            .who_am_i(WhoAmIRequest {})
            .await
            .ok()?;
        Some(position)
    }

    /// Waits until a node has applied what the leader had applied when this was called.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn caught_up(&self, position: usize, limit: Duration) -> Result<()> {
        let what = "a leader that answers";
        let goal = until_some(limit, what, || async {
            let leader = self.leader().await?;
            Some(self.status(leader, false).await.ok()?.last_applied_index)
        })
        .await?;
        let what = format!("{} applies entry {goal}", self.nodes[position].name);
        until(limit, &what, || async {
            let status = self.status(position, false).await;
            status.is_ok_and(|status| status.last_applied_index >= goal && status.leader_id != 0)
        })
        .await
    }

    /// Hands leadership to another node.
    ///
    /// # Errors
    /// It was refused, or took longer than the limit.
    pub async fn transfer_leader(&self, from: usize, to: usize, limit: Duration) -> Result<(), Status> {
        let mut request = Request::new(TransferLeaderRequest {
            node_id: self.nodes[to].id,
        });
        request.set_timeout(limit);
        ClusterClient::new(self.channel(from))
            .transfer_leader(request)
            .await?;
        Ok(())
    }
}

fn endpoint(address: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true))
}
