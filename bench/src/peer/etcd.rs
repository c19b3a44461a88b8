//! Three etcd nodes with default settings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_testkit::{Child, free_addresses, on_path, until, until_some};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::load::{CALL_TIMEOUT, Caller};
use crate::numbers::fresh;
use crate::spread::{Target, nodes_of_connections, share};

mod wire {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("etcdserverpb");
}

use wire::kv_client::KvClient;
use wire::maintenance_client::MaintenanceClient;
use wire::request_op::Request as Operation;
use wire::{
    MoveLeaderRequest, PutRequest, RangeRequest, RequestOp, StatusRequest, StatusResponse, TxnRequest,
};

const NODES: usize = 3;
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(60);
/// Size of a value.
const VALUE_BYTES: usize = 256;
/// Keys that writes rotate over.
pub const KEYS: u64 = 1_000;

struct Node {
    name: String,
    client: String,
    peer: String,
    channel: Channel,
    child: Option<Child>,
}

/// The cluster.
pub struct Etcd {
    program: PathBuf,
    directory: PathBuf,
    nodes: Vec<Node>,
    version: String,
}

impl Etcd {
    /// Starts three nodes and waits for a leader; `None` if etcd is not installed.
    ///
    /// # Errors
    /// It is installed, and does not start.
    pub async fn start(directory: &Path) -> Result<Option<Self>> {
        let Some(program) = on_path("etcd") else {
            return Ok(None);
        };
        let mut nodes = Vec::new();
        for (position, ports) in free_addresses(NODES * 2)?.chunks_exact(2).enumerate() {
            let client = format!("http://{}", ports[0]);
            let endpoint = Endpoint::from_shared(client.clone())?.tcp_nodelay(true);
            nodes.push(Node {
                name: format!("e{}", position + 1),
                channel: endpoint.connect_lazy(),
                client,
                peer: format!("http://{}", ports[1]),
                child: None,
            });
        }
        let mut etcd = Self {
            program,
            directory: directory.to_owned(),
            nodes,
            version: String::new(),
        };
        for position in 0..NODES {
            etcd.start_node(position)?;
        }
        let leader = etcd.agreed_leader().await?;
        etcd.version = etcd.status(leader).await?.version;
        Ok(Some(etcd))
    }

    /// As etcd says it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts a node that does not run, on the data that it has.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_node(&mut self, position: usize) -> Result<()> {
        let members: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("{}={}", node.name, node.peer))
            .collect();
        let node = &mut self.nodes[position];
        let mut command = Command::new(&self.program);
        command
            .args(["--name", &node.name, "--data-dir"])
            .arg(self.directory.join(&node.name))
            .args([
                "--listen-client-urls",
                &node.client,
                "--advertise-client-urls",
                &node.client,
            ])
            .args([
                "--listen-peer-urls",
                &node.peer,
                "--initial-advertise-peer-urls",
                &node.peer,
            ])
            .args([
                "--initial-cluster",
                &members.join(","),
                "--initial-cluster-state",
                "new",
            ]);
        let log = self.directory.join(format!("{}.log", node.name));
        node.child = Some(Child::spawn(&node.name, command, &log)?);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self, position: usize) -> Result<()> {
        let node = &mut self.nodes[position];
        let Some(mut child) = node.child.take() else {
            bail!("{} does not run", node.name)
        };
        child.kill()?;
        Ok(())
    }

    /// Process ids of the nodes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes
            .iter()
            .filter_map(|node| Some(node.child.as_ref()?.pid()))
            .collect()
    }

    async fn status(&self, position: usize) -> Result<StatusResponse, Status> {
        let mut request = Request::new(StatusRequest {});
        request.set_timeout(STATUS_TIMEOUT);
        let mut client = MaintenanceClient::new(self.nodes[position].channel.clone());
        Ok(client.status(request).await?.into_inner())
    }

    /// Waits for a leader that every running node follows.
    ///
    /// # Errors
    /// There is none within a minute.
    pub async fn agreed_leader(&self) -> Result<usize> {
        until_some(SETTLE, "every etcd node follows one leader", || self.agreement()).await
    }

    async fn agreement(&self) -> Option<usize> {
        let mut leaders = Vec::new();
        let mut members = [0; NODES];
        for (position, _) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.child.is_some())
        {
            let status = self.status(position).await.ok()?;
            members[position] = status.header?.member_id;
            leaders.push(status.leader);
        }
        leaders.dedup();
        let [leader] = leaders[..] else { return None };
        members.iter().position(|member| *member == leader && leader != 0)
    }

    /// Waits until a node has applied what the leader had applied when this was called.
    ///
    /// # Errors
    /// Not within a minute.
    pub async fn caught_up(&self, position: usize) -> Result<()> {
        let leader = self.agreed_leader().await?;
        let goal = self.status(leader).await?.raft_applied_index;
        until(SETTLE, "the etcd node caught up", || async {
            self.status(position)
                .await
                .is_ok_and(|status| status.raft_applied_index >= goal)
        })
        .await
    }

    /// Hands leadership to another node.
    ///
    /// # Errors
    /// It was refused.
    pub async fn transfer_leader(&self, from: usize, to: usize) -> Result<()> {
        let target_id = self
            .status(to)
            .await?
            .header
            .context("etcd sends a header")?
            .member_id;
        let mut client = MaintenanceClient::new(self.nodes[from].channel.clone());
        client.move_leader(MoveLeaderRequest { target_id }).await?;
        Ok(())
    }

    /// One open connection for each share of the clients.
    async fn channels(&self, clients: usize, target: Target) -> Result<Vec<Channel>> {
        let leader = self.agreed_leader().await?;
        let mut channels = Vec::new();
        for node in nodes_of_connections(clients, target, NODES, leader) {
            let endpoint = Endpoint::from_shared(self.nodes[node].client.clone())?;
            channels.push(endpoint.tcp_nodelay(true).connect().await?);
        }
        Ok(channels)
    }

    /// That many clients that put values of 256 bytes.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn putters(&self, clients: usize, target: Target) -> Result<Vec<Put>> {
        let channels = self.channels(clients, target).await?;
        Ok(share(&channels, clients).map(Put::new).collect())
    }

    /// A client of one node, for the probe of availability.
    pub fn putter_at(&self, position: usize) -> Put {
        Put::new(self.nodes[position].channel.clone())
    }

    /// That many clients that put so many values in one transaction.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn batchers(&self, clients: usize, target: Target, batch: u32) -> Result<Vec<PutBatch>> {
        let putters = self.putters(clients, target).await?.into_iter();
        Ok(putters.map(|put| PutBatch { put, batch }).collect())
    }

    /// That many clients that read one key, linearizably.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn readers(&self, clients: usize, target: Target) -> Result<Vec<Get>> {
        let channels = self.channels(clients, target).await?;
        let first = channels.first().context("at least one connection")?;
        let (number, request) = put_request();
        KvClient::new(first.clone()).put(request).await?;
        let callers = share(&channels, clients).map(|channel| Get {
            client: KvClient::new(channel),
            key: key(number),
        });
        Ok(callers.collect())
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("bench/{:04}", number % KEYS).into_bytes()
}

/// The next put, and its number.
fn put_request() -> (u64, PutRequest) {
    let number = fresh();
    let mut value = number.to_string().into_bytes();
    value.resize(VALUE_BYTES, b'x');
    let key = key(number);
    (number, PutRequest { key, value })
}

/// Puts one value after the other, rotating over the keys.
#[derive(Clone)]
pub struct Put {
    client: KvClient<Channel>,
}

impl Put {
    fn new(channel: Channel) -> Self {
        Self {
            client: KvClient::new(channel),
        }
    }
}

impl Caller for Put {
    async fn call(&mut self) -> Result<(), Status> {
        let mut request = Request::new(put_request().1);
        request.set_timeout(CALL_TIMEOUT);
        self.client.put(request).await.map(drop)
    }
}

/// Puts many values in one transaction.
pub struct PutBatch {
    put: Put,
    batch: u32,
}

impl Caller for PutBatch {
    async fn call(&mut self) -> Result<(), Status> {
        let success = (0..self.batch).map(|_| RequestOp {
            request: Some(Operation::RequestPut(put_request().1)),
        });
        let mut request = Request::new(TxnRequest {
            success: success.collect(),
        });
        request.set_timeout(CALL_TIMEOUT);
        self.put.client.txn(request).await.map(drop)
    }
}

/// Reads one key.
pub struct Get {
    client: KvClient<Channel>,
    key: Vec<u8>,
}

impl Caller for Get {
    async fn call(&mut self) -> Result<(), Status> {
        let mut request = Request::new(RangeRequest {
            key: self.key.clone(),
            serializable: false,
        });
        request.set_timeout(CALL_TIMEOUT);
        match self.client.range(request).await?.into_inner().kvs.is_empty() {
            false => Ok(()),
            true => Err(Status::not_found("the key that is read does not exist")),
        }
    }
}
