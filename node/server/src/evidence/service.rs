//! The receiving end of questions between nodes.

use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use reeve_proto::internal::node_evidence_server::{NodeEvidence, NodeEvidenceServer};
use reeve_proto::internal::{
    DeleteRunRequest, DeleteRunResponse, GetObjectRequest, GetObjectResponse, LiveSecond, PutMediaRequest,
    PutMediaResponse, WatchLiveRequest,
};
use reeve_state::id::{NodeId, RunId};
use tonic::{Request, Response, Status};

use super::Evidence;
use crate::config::NodeConfig;

/// Answers other nodes; the listener has checked the cluster's secret.
pub struct EvidenceService {
    evidence: Evidence,
    cluster_id: String,
    me: NodeId,
}

/// The service for the node-to-node listener.
pub fn evidence_service(evidence: &Evidence, config: &NodeConfig) -> NodeEvidenceServer<EvidenceService> {
    NodeEvidenceServer::new(EvidenceService {
        evidence: evidence.clone(),
        cluster_id: config.cluster_id.clone(),
        me: config.id,
    })
}

impl EvidenceService {
    fn check(&self, cluster_id: &str, to_node: u64) -> Result<(), Status> {
        if cluster_id != self.cluster_id {
            return Err(Status::failed_precondition(format!(
                "cluster_id: this node belongs to cluster {:?}",
                self.cluster_id
            )));
        }
        if to_node != self.me.0 {
            return Err(Status::failed_precondition(format!(
                "to_node: this is node {}",
                self.me
            )));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl NodeEvidence for EvidenceService {
    async fn get_object(
        &self,
        request: Request<GetObjectRequest>,
    ) -> Result<Response<GetObjectResponse>, Status> {
        let request = request.into_inner();
        self.check(&request.cluster_id, request.to_node)?;
        match self.evidence.objects().get(&request.path).await {
            Ok(data) => Ok(Response::new(GetObjectResponse { data })),
            Err(error @ object_store::Error::NotFound { .. }) => Err(Status::not_found(error.to_string())),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    async fn put_media(
        &self,
        request: Request<PutMediaRequest>,
    ) -> Result<Response<PutMediaResponse>, Status> {
        let request = request.into_inner();
        self.check(&request.cluster_id, request.to_node)?;
        let sha256 = crate::media::hash(&request.data);
        if sha256 != *request.sha256 {
            return Err(Status::invalid_argument("sha256: is not that of the data"));
        }
        let path = crate::media::path(&sha256);
        match self.evidence.objects().put(&path, request.data).await {
            Ok(Ok(())) => Ok(Response::new(PutMediaResponse {})),
            Ok(Err(_)) => Err(Status::data_loss(format!("{path} is damaged on this node"))),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    async fn delete_run(
        &self,
        request: Request<DeleteRunRequest>,
    ) -> Result<Response<DeleteRunResponse>, Status> {
        let request = request.into_inner();
        self.check(&request.cluster_id, request.to_node)?;
        let run = run_id(&request.run)?;
        let deleted = self.evidence.objects().delete_run(run).await;
        deleted.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(DeleteRunResponse {}))
    }

    type WatchLiveStream = BoxStream<'static, Result<LiveSecond, Status>>;

    async fn watch_live(
        &self,
        request: Request<WatchLiveRequest>,
    ) -> Result<Response<Self::WatchLiveStream>, Status> {
        let request = request.into_inner();
        self.check(&request.cluster_id, request.to_node)?;
        let heard = self.evidence.live().listen(run_id(&request.run)?);
        let seconds = heard.map(|second| {
            Ok(LiveSecond {
                at_ms: second.at_ms,
                assignments: vec![second.assignment.encode_to_vec().into()],
            })
        });
        Ok(Response::new(seconds.boxed()))
    }
}

fn run_id(bytes: &[u8]) -> Result<RunId, Status> {
    let bytes: [u8; 16] = bytes
        .try_into()
        .map_err(|_| Status::invalid_argument("run: must be 16 bytes"))?;
    Ok(RunId::from_bytes(bytes))
}
