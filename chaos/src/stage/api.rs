//! What the harness asks of the nodes: who leads, who is a member, hand over, join, leave.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::keys_client::KeysClient;
use reeve_proto::v1::{
    AddMemberRequest, GetStatusRequest, GetStatusResponse, RemoveMemberRequest, TransferLeaderRequest,
    WhoAmIRequest,
};
use reeve_testkit::{until, until_some};
use tonic::{Request, Status};

use super::Stage;

const STATUS: Duration = Duration::from_secs(2);
const CHANGE: Duration = Duration::from_secs(15);

impl Stage {
    /// What a node says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, name: &str) -> Result<GetStatusResponse> {
        let mut request = Request::new(GetStatusRequest::default());
        request.set_timeout(STATUS);
        let mut client = ClusterClient::new(self.connection(name)?);
        Ok(client.get_status(request).await?.into_inner())
    }

    /// The node that says that it leads, with the highest term, if there is one.
    pub async fn leader(&self) -> Option<String> {
        let mut best: Option<(u64, String)> = None;
        for name in self.members().into_iter().filter(|name| self.runs(name)) {
            if let Ok(status) = self.status(&name).await
                && status.leader_id == status.node_id
                && best.as_ref().is_none_or(|(term, _)| status.term > *term)
            {
                best = Some((status.term, name));
            }
        }
        best.map(|(_, name)| name)
    }

    /// Waits for a leader that every member follows.
    ///
    /// # Errors
    /// There is none within the limit.
    pub async fn agreed_leader(&mut self, limit: Duration) -> Result<String> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(leader) = self.agreement().await {
                return Ok(leader);
            }
            self.look();
            let members = self.members();
            if let Some(dead) = members.iter().find(|name| !self.runs(name)) {
                bail!("{dead} does not run; see its log");
            }
            if tokio::time::Instant::now() > deadline {
                bail!("not within {limit:?}: every node follows one leader");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn agreement(&self) -> Option<String> {
        let mut leaders = Vec::new();
        for name in self.members() {
            leaders.push(self.status(&name).await.ok()?.leader_id);
        }
        leaders.dedup();
        let [leader] = leaders[..] else { return None };
        let node = self.nodes.iter().find(|node| node.id == leader)?;
        // Until the first key is committed nobody can call.
        let mut request = Request::new(WhoAmIRequest {});
        request.set_timeout(STATUS);
        KeysClient::new(node.connection.clone())
            .who_am_i(request)
            .await
            .ok()?;
        Some(node.name.clone())
    }

    /// Waits until every member has applied what the leader had when this was called.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn caught_up(&self, limit: Duration) -> Result<()> {
        let goal = until_some(limit, "a leader that answers", || async {
            let leader = self.leader().await?;
            Some(self.status(&leader).await.ok()?.last_applied_index)
        })
        .await?;
        for name in self.members() {
            let what = format!("{name} applies entry {goal}");
            until(limit, &what, || async {
                let status = self.status(&name).await;
                status.is_ok_and(|status| status.last_applied_index >= goal && status.leader_id != 0)
            })
            .await?;
        }
        Ok(())
    }

    /// Hands leadership to another node.
    ///
    /// # Errors
    /// It was refused.
    pub async fn transfer(&self, from: &str, to: &str) -> Result<(), Status> {
        let internal = |error: anyhow::Error| Status::internal(error.to_string());
        let mut request = Request::new(TransferLeaderRequest {
            node_id: self.node(to).map_err(internal)?.id,
        });
        request.set_timeout(CHANGE);
        let mut client = ClusterClient::new(self.connection(from).map_err(internal)?);
        client.transfer_leader(request).await.map(|_| ())
    }

    /// Makes a spare node, which runs, a member.
    ///
    /// # Errors
    /// It was refused, or there is no spare node.
    pub async fn add_member(&mut self, through: &str, name: &str) -> Result<()> {
        let node = self.node(name)?;
        let mut request = Request::new(AddMemberRequest {
            node_id: node.id,
            name: node.name.clone(),
            raft_addr: node.raft.clone(),
            grpc_addr: node.grpc.clone(),
            http_addr: node.http.clone(),
        });
        request.set_timeout(CHANGE);
        ClusterClient::new(self.connection(through)?)
            .add_member(request)
            .await?;
        self.node_mut(name)?.member = true;
        Ok(())
    }

    /// Takes a node out of the cluster for good.
    ///
    /// # Errors
    /// It was refused.
    pub async fn remove_member(&mut self, through: &str, name: &str) -> Result<()> {
        let mut request = Request::new(RemoveMemberRequest {
            node_id: self.node(name)?.id,
        });
        request.set_timeout(CHANGE);
        ClusterClient::new(self.connection(through)?)
            .remove_member(request)
            .await?;
        self.node_mut(name)?.member = false;
        Ok(())
    }

    /// A spare node that never ran.
    ///
    /// # Errors
    /// There is none left.
    pub fn spare(&self) -> Result<String> {
        let spare = self
            .nodes
            .iter()
            .find(|node| node.spare && !node.member && node.child.is_none());
        Ok(spare.context("there is no spare node left")?.name.clone())
    }

    /// The nodes that the cluster began with, as each is told of them.
    pub(super) fn peers(&self) -> String {
        let first = self.nodes.iter().filter(|node| !node.spare);
        first.map(super::Node::peer).collect::<Vec<_>>().join(";")
    }
}
