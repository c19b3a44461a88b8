//! What other nodes call here for Raft.

use std::sync::Arc;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};
use reeve_proto::internal::append_entries_response::Result as Appended;
use reeve_proto::internal::raft_transport_server::RaftTransport;
use reeve_proto::internal::snapshot_chunk::Part;
use reeve_proto::internal::{self as wire, transfer_leader_response::Result as Transferred};
use reeve_state::{Meta, State};
use tonic::{Request, Response, Status, Streaming};

use crate::codec::{DecodeError, Wire, row_from_bytes};
use crate::machine::SnapshotData;
use crate::network::{SNAPSHOT_VERSION, rows_hash};
use crate::outside::{self, wall_ms};
use crate::shared::Shared;
use crate::types::{Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote};

/// Hands calls of other nodes to this node's Raft.
pub(crate) struct TransportService(pub(crate) Arc<Shared>);

/// An argument that cannot be read.
pub(crate) fn invalid(error: DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

fn field<T: Wire>(name: &'static str, proto: Option<T::Proto>) -> Result<T, Status> {
    proto
        .ok_or(DecodeError::Missing(name))
        .and_then(T::from_proto)
        .map_err(invalid)
}

fn log_id(proto: Option<wire::LogId>) -> Result<Option<LogId>, Status> {
    proto.map(LogId::from_proto).transpose().map_err(invalid)
}

fn vote_request(request: wire::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
    Ok(VoteRequest {
        vote: field("vote", request.vote)?,
        last_log_id: log_id(request.last_log_id)?,
        leadership_transfer: request.leadership_transfer,
    })
}

fn vote_response(response: &VoteResponse<TypeConfig>) -> Response<wire::VoteResponse> {
    Response::new(wire::VoteResponse {
        vote: Some(response.vote.to_proto()),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(Wire::to_proto),
        wall_ms: wall_ms(),
    })
}

#[tonic::async_trait]
impl RaftTransport for TransportService {
    async fn append_entries(
        &self,
        request: Request<wire::AppendEntriesRequest>,
    ) -> Result<Response<wire::AppendEntriesResponse>, Status> {
        let request = request.into_inner();
        self.0.check(request.peering)?;
        let entries: Result<Vec<Entry>, DecodeError> =
            request.entries.into_iter().map(Entry::from_proto).collect();
        let rpc = AppendEntriesRequest::<TypeConfig> {
            vote: field("vote", request.vote)?,
            prev_log_id: log_id(request.prev_log_id)?,
            entries: entries.map_err(invalid)?,
            leader_commit: log_id(request.leader_commit)?,
        };
        let result = match self.0.raft.append_entries(rpc).await.map_err(stopped)? {
            AppendEntriesResponse::Success => Appended::Success(wire::Empty {}),
            AppendEntriesResponse::PartialSuccess(matched) => Appended::Partial(wire::PartialSuccess {
                log_id: matched.as_ref().map(Wire::to_proto),
            }),
            AppendEntriesResponse::Conflict => Appended::Conflict(wire::Empty {}),
            AppendEntriesResponse::HigherVote(vote) => Appended::HigherVote(vote.to_proto()),
        };
        if !matches!(result, Appended::HigherVote(_)) {
            self.0.note_leader();
        }
        Ok(Response::new(wire::AppendEntriesResponse {
            result: Some(result),
            wall_ms: wall_ms(),
        }))
    }

    async fn vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let mut request = request.into_inner();
        self.0.check(request.peering.take())?;
        let response = self.0.raft.vote(vote_request(request)?).await.map_err(stopped)?;
        Ok(vote_response(&response))
    }

    async fn pre_vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let mut request = request.into_inner();
        self.0.check(request.peering.take())?;
        let response = self
            .0
            .raft
            .pre_vote(vote_request(request)?)
            .await
            .map_err(stopped)?;
        Ok(vote_response(&response))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotChunk>>,
    ) -> Result<Response<wire::SnapshotResponse>, Status> {
        let mut chunks = request.into_inner();
        let Some(Part::Header(header)) = next_part(&mut chunks).await? else {
            return Err(Status::invalid_argument("a snapshot begins with its header"));
        };
        self.0.check(header.peering.clone())?;
        if header.version != SNAPSHOT_VERSION {
            return Err(Status::failed_precondition(format!(
                "snapshot version {} is not known",
                header.version
            )));
        }
        let vote: Vote = field("vote", header.vote)?;
        let meta = SnapshotMeta {
            last_log_id: log_id(header.last_log_id)?,
            last_membership: field::<StoredMembership>("membership", header.membership)?,
        };
        let state = receive_rows(field("meta", header.meta)?, &mut chunks).await?;
        let snapshot = Snapshot {
            meta,
            snapshot: SnapshotData { state },
        };
        let response = self
            .0
            .raft
            .install_full_snapshot(vote, snapshot)
            .await
            .map_err(stopped)?;
        Ok(Response::new(wire::SnapshotResponse {
            vote: Some(response.vote.to_proto()),
        }))
    }

    async fn transfer_leader(
        &self,
        request: Request<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::TransferLeaderResponse>, Status> {
        let request = request.into_inner();
        self.0.check(request.peering)?;
        let from: Vote = field("from_leader", request.from_leader)?;
        let rpc = TransferLeaderRequest::new(from, request.to_node, log_id(request.last_log_id)?);
        let result = match self.0.raft.handle_transfer_leader(rpc).await.map_err(stopped)? {
            Ok(()) => Transferred::Accepted(wire::Empty {}),
            Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                Transferred::VoteChanged(actual.to_proto())
            }
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
                Transferred::LogNotFlushed(wire::PartialSuccess {
                    log_id: actual.as_ref().map(Wire::to_proto),
                })
            }
        };
        Ok(Response::new(wire::TransferLeaderResponse {
            result: Some(result),
        }))
    }
}

async fn next_part(chunks: &mut Streaming<wire::SnapshotChunk>) -> Result<Option<Part>, Status> {
    Ok(chunks.message().await?.and_then(|chunk| chunk.part))
}

/// The state of a snapshot: every message's checksum and the number of rows hold, or nothing is installed.
async fn receive_rows(meta: Meta, chunks: &mut Streaming<wire::SnapshotChunk>) -> Result<State, Status> {
    let mut rows = Vec::new();
    loop {
        match next_part(chunks).await? {
            Some(Part::Rows(message)) => {
                if rows_hash(&message.rows) != message.sha256 {
                    return Err(Status::data_loss(
                        "the checksum of a snapshot's rows does not hold",
                    ));
                }
                for row in &message.rows {
                    rows.push(row_from_bytes(row).map_err(invalid)?);
                }
            }
            Some(Part::Trailer(trailer)) if trailer.rows == rows.len() as u64 => break,
            Some(Part::Trailer(_)) => return Err(Status::data_loss("a snapshot lacks rows")),
            Some(Part::Header(_)) | None => {
                return Err(Status::invalid_argument("a snapshot ends with its trailer"));
            }
        }
    }
    // Builds every index: too long for Raft's own threads.
    let built = outside::blocking(move || State::from_rows(meta, rows)).await;
    built.map_err(|error| Status::internal(error.to_string()))
}
