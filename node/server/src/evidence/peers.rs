//! Asking another node for what it alone has.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reeve_proto::bearer::{Bearer, Connection};
use reeve_proto::internal::node_evidence_client::NodeEvidenceClient;
use reeve_proto::internal::{
    DeleteRunRequest, GetObjectRequest, LiveSecond, PutMediaRequest, WatchLiveRequest,
};
use reeve_state::id::{NodeId, RunId};
use reeve_store::{MemberInfo, Store, shown_secret};
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

use crate::config::NodeConfig;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Client = NodeEvidenceClient<Connection>;

/// One channel to each of the others.
pub struct Peers {
    me: NodeId,
    cluster_id: String,
    bearer: Bearer,
    clients: Mutex<HashMap<NodeId, (String, Client)>>,
}

impl Peers {
    pub(super) fn new(config: &NodeConfig) -> Self {
        Self {
            me: config.id,
            cluster_id: config.cluster_id.clone(),
            bearer: shown_secret(config.cluster_secret.as_ref()),
            clients: Mutex::default(),
        }
    }

    /// The other members.
    pub fn others(&self, store: &Store) -> Vec<MemberInfo> {
        let members = store.status().members.into_iter().map(|member| member.info);
        members.filter(|member| member.id != self.me).collect()
    }

    /// An object that another node stored.
    pub async fn get_object(&self, store: &Store, node: NodeId, path: &str) -> Result<Bytes, Status> {
        let mut client = self.client(store, node)?;
        let request = GetObjectRequest {
            cluster_id: self.cluster_id.clone(),
            to_node: node.0,
            path: path.to_owned(),
        };
        let answer = tokio::time::timeout(PATIENCE, client.get_object(request)).await;
        Ok(answer.map_err(|_| silent(node))??.into_inner().data)
    }

    /// Has another node store a media file.
    pub async fn put_media(
        &self,
        store: &Store,
        node: NodeId,
        sha256: [u8; 32],
        data: Bytes,
    ) -> Result<(), Status> {
        let mut client = self.client(store, node)?;
        let request = PutMediaRequest {
            cluster_id: self.cluster_id.clone(),
            to_node: node.0,
            sha256: Bytes::copy_from_slice(&sha256),
            data,
        };
        let answer = tokio::time::timeout(PATIENCE, client.put_media(request)).await;
        answer.map_err(|_| silent(node))?.map(|_| ())
    }

    /// Has another node delete its objects of a run.
    pub async fn delete_run(&self, store: &Store, node: NodeId, run: RunId) -> Result<(), Status> {
        let mut client = self.client(store, node)?;
        let request = DeleteRunRequest {
            cluster_id: self.cluster_id.clone(),
            to_node: node.0,
            run: Bytes::copy_from_slice(run.as_bytes()),
        };
        let answer = tokio::time::timeout(PATIENCE, client.delete_run(request)).await;
        answer.map_err(|_| silent(node))?.map(|_| ())
    }

    /// What the sessions of another node say of a run.
    pub async fn watch_live(
        &self,
        store: &Store,
        node: NodeId,
        run: RunId,
    ) -> Result<Streaming<LiveSecond>, Status> {
        let mut client = self.client(store, node)?;
        let request = WatchLiveRequest {
            cluster_id: self.cluster_id.clone(),
            to_node: node.0,
            run: Bytes::copy_from_slice(run.as_bytes()),
        };
        let answer = tokio::time::timeout(PATIENCE, client.watch_live(request)).await;
        Ok(answer.map_err(|_| silent(node))??.into_inner())
    }

    fn client(&self, store: &Store, node: NodeId) -> Result<Client, Status> {
        let member = self
            .others(store)
            .into_iter()
            .find(|member| member.id == node)
            .ok_or_else(|| Status::not_found(format!("node {node} is not a member any more")))?;
        let mut clients = self.clients.lock();
        if let Some((addr, client)) = clients.get(&node)
            && *addr == member.raft_addr
        {
            return Ok(client.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{}", member.raft_addr))
            .map_err(|error| Status::unavailable(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true);
        let client = NodeEvidenceClient::new(self.bearer.on(reeve_store::outside::connect_lazy(&endpoint)));
        clients.insert(node, (member.raft_addr, client.clone()));
        Ok(client)
    }
}

fn silent(node: NodeId) -> Status {
    Status::unavailable(format!("node {node} does not answer"))
}
