//! openraft's calls to other nodes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use openraft::RaftNetworkFactory;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use reeve_proto::bearer::Connection;
use reeve_proto::internal::append_entries_response::Result as Appended;
use reeve_proto::internal::raft_transport_client::RaftTransportClient;
use reeve_proto::internal::{self as wire, transfer_leader_response::Result as Transferred};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::codec::{DecodeError, Wire, row_to_bytes};
use crate::machine::SnapshotData;
use crate::member::MemberInfo;
use crate::outside;
use crate::peers::{Peers, Purpose};
use crate::shared::Walls;
use crate::types::{LogId, Snapshot, TypeConfig, Vote};

/// Version of the rows of a snapshot on the wire.
pub(crate) const SNAPSHOT_VERSION: u32 = 1;
/// Rows are sent in messages of about this size.
const SNAPSHOT_CHUNK_BYTES: usize = 512 << 10;
/// Entries may take this long to be written by a follower; heartbeats go beside them.
const APPEND_TIMEOUT: Duration = Duration::from_secs(1);
/// A snapshot of which nothing moves for this long is given up.
const SNAPSHOT_STALL: Duration = Duration::from_secs(10);

/// Makes clients for openraft.
pub(crate) struct Network {
    pub(crate) peers: Arc<Peers>,
    pub(crate) walls: Walls,
    /// Of votes and heartbeats; below the shortest election time-out.
    pub(crate) timeout: Duration,
}

impl Network {
    fn client(&self, target: u64, node: &MemberInfo, purpose: Purpose) -> Client {
        Client {
            peers: Arc::clone(&self.peers),
            walls: self.walls.clone(),
            timeout: self.timeout,
            target,
            addr: node.raft_addr.clone(),
            purpose,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &MemberInfo) -> Client {
        self.client(target, node, Purpose::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &MemberInfo) -> Client {
        self.client(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &MemberInfo) -> Client {
        self.client(target, node, Purpose::Snapshot)
    }
}

/// Calls one node for one purpose.
pub(crate) struct Client {
    peers: Arc<Peers>,
    walls: Walls,
    timeout: Duration,
    target: u64,
    addr: String,
    purpose: Purpose,
}

type RpcError = RPCError<TypeConfig>;

fn unreachable(error: &(impl std::error::Error + 'static)) -> RpcError {
    RPCError::Unreachable(Unreachable::new(error))
}

fn malformed(error: DecodeError) -> RpcError {
    unreachable(&error)
}

impl Client {
    fn raft(&self) -> Result<RaftTransportClient<Connection>, RpcError> {
        self.peers
            .raft(&self.addr, self.purpose)
            .map_err(|error| unreachable(&error))
    }

    /// One call with a deadline. Whatever goes wrong in the transport is “unreachable”, so that openraft backs off.
    async fn call<T>(
        &self,
        timeout: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, RpcError> {
        match tokio::time::timeout(timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(unreachable(&status)),
            Err(elapsed) => Err(unreachable(&elapsed)),
        }
    }

    fn vote_request(&self, rpc: &VoteRequest<TypeConfig>) -> wire::VoteRequest {
        wire::VoteRequest {
            peering: self.peers.peering(self.target),
            vote: Some(rpc.vote.to_proto()),
            last_log_id: rpc.last_log_id.as_ref().map(Wire::to_proto),
            leadership_transfer: rpc.leadership_transfer,
        }
    }

    fn vote_response(&self, response: wire::VoteResponse) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.walls.note(self.target, response.wall_ms);
        let decode = || {
            Ok(VoteResponse {
                vote: Vote::from_proto(response.vote.ok_or(DecodeError::Missing("vote"))?)?,
                vote_granted: response.granted,
                last_log_id: response.last_log_id.map(LogId::from_proto).transpose()?,
            })
        };
        decode().map_err(malformed)
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let timeout = if rpc.entries.is_empty() {
            self.timeout
        } else {
            APPEND_TIMEOUT
        };
        let request = wire::AppendEntriesRequest {
            peering: self.peers.peering(self.target),
            vote: Some(rpc.vote.to_proto()),
            prev_log_id: rpc.prev_log_id.as_ref().map(Wire::to_proto),
            entries: rpc.entries.iter().map(Wire::to_proto).collect(),
            leader_commit: rpc.leader_commit.as_ref().map(Wire::to_proto),
        };
        let response = self.call(timeout, self.raft()?.append_entries(request)).await?;
        self.walls.note(self.target, response.wall_ms);
        let decode = || {
            Ok(match response.result.ok_or(DecodeError::UnknownKind("answer"))? {
                Appended::Success(wire::Empty {}) => AppendEntriesResponse::Success,
                Appended::Partial(partial) => {
                    AppendEntriesResponse::PartialSuccess(partial.log_id.map(LogId::from_proto).transpose()?)
                }
                Appended::Conflict(wire::Empty {}) => AppendEntriesResponse::Conflict,
                Appended::HigherVote(vote) => AppendEntriesResponse::HigherVote(Vote::from_proto(vote)?),
            })
        };
        decode().map_err(malformed)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let response = self
            .call(self.timeout, self.raft()?.vote(self.vote_request(&rpc)))
            .await?;
        self.vote_response(response)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let response = self
            .call(self.timeout, self.raft()?.pre_vote(self.vote_request(&rpc)))
            .await?;
        self.vote_response(response)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (chunks, receiver) = mpsc::channel(4);
        let header = wire::SnapshotHeader {
            peering: self.peers.peering(self.target),
            version: SNAPSHOT_VERSION,
            vote: Some(vote.to_proto()),
            last_log_id: snapshot.meta.last_log_id.as_ref().map(Wire::to_proto),
            membership: Some(snapshot.meta.last_membership.to_proto()),
            meta: Some(snapshot.snapshot.state.meta().to_proto()),
        };
        let produced = produce(header, snapshot.snapshot, chunks);
        let mut client = self.raft()?;
        let send = async {
            let stream = ReceiverStream::new(receiver).map(|part| wire::SnapshotChunk { part: Some(part) });
            let (response, sent) = tokio::join!(client.install_snapshot(stream), produced);
            sent.and(response)
        };
        let response = tokio::select! {
            biased;
            response = self.call(option.hard_ttl(), send) => response?,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        let vote = response
            .vote
            .ok_or(DecodeError::Missing("vote"))
            .and_then(Vote::from_proto);
        Ok(SnapshotResponse::new(vote.map_err(malformed)?))
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let request = wire::TransferLeaderRequest {
            peering: self.peers.peering(self.target),
            from_leader: Some(rpc.from_leader().to_proto()),
            to_node: *rpc.to_node_id(),
            last_log_id: rpc.last_log_id().map(Wire::to_proto),
        };
        let response = self
            .call(self.timeout, self.raft()?.transfer_leader(request))
            .await?;
        let decode = || {
            Ok(match response.result.ok_or(DecodeError::UnknownKind("answer"))? {
                Transferred::Accepted(wire::Empty {}) => Ok(()),
                Transferred::VoteChanged(vote) => Err(TransferLeaderError::VoteChanged {
                    expected: *rpc.from_leader(),
                    actual: Vote::from_proto(vote)?,
                }),
                Transferred::LogNotFlushed(actual) => Err(TransferLeaderError::LogNotFlushed {
                    expected: rpc.last_log_id().copied(),
                    actual: actual.log_id.map(LogId::from_proto).transpose()?,
                }),
            })
        };
        decode().map_err(malformed)
    }
}

/// Encodes the rows away from the runtime's threads and hands them over, as fast as they are taken.
async fn produce(
    header: wire::SnapshotHeader,
    data: SnapshotData,
    chunks: mpsc::Sender<wire::snapshot_chunk::Part>,
) -> Result<(), tonic::Status> {
    use wire::snapshot_chunk::Part;
    let (rows, mut encoded) = mpsc::channel::<Part>(if outside::is_simulated() { 64 } else { 2 });
    let encode = move || encode_rows(header, &data, &rows);
    let encoder = if outside::is_simulated() {
        encode();
        None
    } else {
        Some(tokio::task::spawn_blocking(encode))
    };
    while let Some(part) = encoded.recv().await {
        let sent = tokio::time::timeout(SNAPSHOT_STALL, chunks.send(part)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(tonic::Status::unavailable(
                "the receiver of a snapshot takes nothing",
            ));
        }
    }
    match encoder {
        Some(encoder) => encoder
            .await
            .map_err(|error| tonic::Status::internal(error.to_string())),
        None => Ok(()),
    }
}

fn encode_rows(
    header: wire::SnapshotHeader,
    data: &SnapshotData,
    parts: &mpsc::Sender<wire::snapshot_chunk::Part>,
) {
    use wire::snapshot_chunk::Part;
    // Errors mean that nobody takes the parts any more; the sender reports that.
    if !put(parts, Part::Header(header)) {
        return;
    }
    let (mut total, mut bytes, mut rows) = (0, 0, Vec::new());
    for row in data.state.rows() {
        let row = row_to_bytes(&row);
        bytes += row.len();
        total += 1;
        rows.push(row.into());
        if bytes >= SNAPSHOT_CHUNK_BYTES {
            bytes = 0;
            if !put(parts, Part::Rows(checked(std::mem::take(&mut rows)))) {
                return;
            }
        }
    }
    if !rows.is_empty() && !put(parts, Part::Rows(checked(rows))) {
        return;
    }
    put(parts, Part::Trailer(wire::SnapshotTrailer { rows: total }));
}

/// Whether somebody takes it.
fn put(parts: &mpsc::Sender<wire::snapshot_chunk::Part>, part: wire::snapshot_chunk::Part) -> bool {
    if outside::is_simulated() {
        // On the thread that takes the parts, which has room for those of a small state.
        return parts.try_send(part).is_ok();
    }
    parts.blocking_send(part).is_ok()
}

fn checked(rows: Vec<bytes::Bytes>) -> wire::SnapshotRows {
    let sha256 = rows_hash(&rows);
    wire::SnapshotRows {
        rows,
        sha256: sha256.into(),
    }
}

/// The checksum of a message of rows.
pub(crate) fn rows_hash(rows: &[bytes::Bytes]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(row);
    }
    hash.finalize().to_vec()
}
