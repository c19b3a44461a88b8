//! `WorkerGateway`: the sessions of workers. A session reports what it observes; statuses are decided in the log.
//!
//! What a worker is told is derived from the committed state ([`outbox`]), after a reconnect as in the happy case.

mod decode;
mod encode;
mod end;
mod handshake;
pub(crate) mod health;
mod heartbeats;
mod hub;
mod notices;
mod outbox;
mod reports;
mod session;
mod sip;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use decode::decoded;

use std::sync::Arc;

use metrics::describe_counter;
use reeve_proto::v1::worker_gateway_server::{WorkerGateway, WorkerGatewayServer};
use reeve_proto::v1::{
    GetMediaRequest, GetMediaResponse, PutChunkRequest, PutChunkResponse, SessionRequest, SessionResponse,
};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::context::Context;
use crate::evidence;
use end::SessionEnd;
use hub::Hub;

pub(crate) use notices::leaves;

/// Messages to a worker that does not read; then its session waits, and nothing more is read from it.
const OUTBOUND: usize = 32;
/// Largest message from a worker: a Hello that names tens of thousands of assignments.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Connects that are on their way through the log at once. The others wait for their turn in front of it, so that a node that takes
/// over tens of thousands of workers lets none of their commands grow old in the queue.
const CONNECTS_AT_ONCE: usize = 256;

/// One way of a session, from the node to the worker.
type Outbound = mpsc::Sender<Result<SessionResponse, Status>>;

/// The service. A clone is another handle.
#[derive(Clone)]
pub struct Gateway {
    context: Context,
    hub: Arc<Hub>,
    /// One permit a connection that may wait for its Hello.
    unidentified: Arc<Semaphore>,
    /// One permit a connect that is on its way through the log.
    connecting: Arc<Semaphore>,
}

impl Gateway {
    /// Without sessions; [`Gateway::run`] brings it to life.
    pub fn new(context: Context) -> Self {
        let limits = context.config.sessions;
        let hub = Arc::new(Hub::new(context.liveness.clone(), limits.most));
        Self {
            context,
            hub,
            unidentified: Arc::new(Semaphore::new(
                limits.most_unidentified.min(Semaphore::MAX_PERMITS),
            )),
            connecting: Arc::new(Semaphore::new(CONNECTS_AT_ONCE)),
        }
    }

    /// The one consumer of the change feed that wakes this node's sessions, until the node stops.
    pub async fn run(self) {
        describe_counter!(
            "reeve_worker_heartbeats_total",
            "Heartbeats of workers that this node heard."
        );
        describe_counter!(
            "reeve_worker_missed_heartbeats_total",
            "Heartbeats that were overdue on sessions of this node, counted when the silence ended."
        );
        hub::run(self.hub, self.context).await;
    }

    /// As a gRPC service.
    pub fn into_service(self) -> WorkerGatewayServer<Self> {
        WorkerGatewayServer::new(self).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl WorkerGateway for Gateway {
    type SessionStream = ReceiverStream<Result<SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbound, responses) = mpsc::channel(OUTBOUND + 1);
        // Kept for the status that ends the stream, so that it is delivered however full the channel is.
        let farewell = outbound
            .clone()
            .reserve_owned()
            .await
            .map_err(|_| Status::internal("the response stream was closed before it began"))?;
        tokio::spawn(self.clone().serve(request.into_inner(), outbound, farewell));
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn put_chunk(
        &self,
        request: Request<PutChunkRequest>,
    ) -> Result<Response<PutChunkResponse>, Status> {
        let request = request.into_inner();
        let token = decode::token_hash(&request.token);
        evidence::put_chunk(&self.context, token, request).await?;
        Ok(Response::new(PutChunkResponse {}))
    }

    async fn get_media(
        &self,
        request: Request<GetMediaRequest>,
    ) -> Result<Response<GetMediaResponse>, Status> {
        let request = request.into_inner();
        let token = decode::token_hash(&request.token);
        let data = crate::media::for_worker(&self.context, token, &request.sha256).await?;
        Ok(Response::new(GetMediaResponse { data: data.into() }))
    }
}

impl Gateway {
    async fn serve(
        self,
        mut requests: Streaming<SessionRequest>,
        outbound: Outbound,
        farewell: OwnedPermit<Result<SessionResponse, Status>>,
    ) {
        let end = tokio::select! {
            biased;
            () = self.context.shutdown.cancelled() => SessionEnd::ShuttingDown,
            end = self.converse(&mut requests, &outbound) => end,
        };
        if let Some(status) = end.status() {
            farewell.send(Err(status));
        }
    }

    async fn converse(&self, requests: &mut Streaming<SessionRequest>, outbound: &Outbound) -> SessionEnd {
        let welcomed = tokio::select! {
            biased;
            // A worker that gave up has said Hello elsewhere: this one must not be committed after that, as far as it can be helped.
            () = outbound.closed() => Err(SessionEnd::Left),
            welcomed = handshake::welcome(self, requests, outbound) => welcomed,
        };
        match welcomed {
            Ok(session) => session.run(requests).await,
            Err(end) => {
                end.log_refusal();
                end
            }
        }
    }
}
