//! One node of the fake cluster.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use reeve_proto::v1::session_request::Message as Request;
use reeve_proto::v1::session_response::Message as Response;
use reeve_proto::v1::worker_gateway_server::{WorkerGateway, WorkerGatewayServer};
use reeve_proto::v1::workers_server::WorkersServer;
use reeve_proto::v1::{
    DrainAck, GetMediaRequest, GetMediaResponse, HeartbeatAck, Hello, PutChunkRequest, PutChunkResponse,
    SessionRequest, SessionResponse, Welcome,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request as Call, Response as Answer, Status, Streaming};

use super::state::{Cluster, cluster_time_ms};
use super::token;

pub struct FakeNode {
    addr: SocketAddr,
    gateway: Gateway,
    server: AbortHandle,
}

#[derive(Clone)]
pub struct Gateway {
    pub addr: SocketAddr,
    pub cluster: Cluster,
    pub silent: Arc<AtomicBool>,
    /// Single calls are refused as by a node that shuts down.
    pub unavailable: Arc<AtomicBool>,
    /// Ends the sessions of now with a status.
    cut: Arc<Mutex<(CancellationToken, Status)>>,
}

impl FakeNode {
    pub async fn start(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cut = Arc::new(Mutex::new((
            CancellationToken::new(),
            Status::unavailable("unset"),
        )));
        let gateway = Gateway {
            addr,
            cluster: cluster.clone(),
            silent: Arc::default(),
            unavailable: Arc::default(),
            cut,
        };
        let serve = tonic::transport::Server::builder()
            .add_service(WorkerGatewayServer::new(gateway.clone()))
            .add_service(WorkersServer::new(gateway.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(serve).abort_handle();
        Self {
            addr,
            gateway,
            server,
        }
    }

    pub fn address(&self) -> String {
        self.addr.to_string()
    }

    /// Takes everything and answers nothing from now on.
    pub fn go_silent(&self) {
        self.gateway.silent.store(true, Ordering::SeqCst);
    }

    /// Refuses single calls from now on, as a node that shuts down.
    pub fn refuse_calls(&self) {
        self.gateway.unavailable.store(true, Ordering::SeqCst);
    }

    /// Ends all present sessions.
    pub fn cut(&self, status: Status) {
        let mut cut = self.gateway.cut.lock();
        cut.1 = status;
        std::mem::take(&mut cut.0).cancel();
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl WorkerGateway for Gateway {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        call: Call<Streaming<SessionRequest>>,
    ) -> Result<Answer<Self::SessionStream>, Status> {
        let mut requests = call.into_inner();
        let (sender, responses) = mpsc::channel(64);
        let gateway = self.clone();
        tokio::spawn(async move {
            let end = gateway.drive(&mut requests, &sender).await;
            if let Err(status) = end {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Answer::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn put_chunk(&self, call: Call<PutChunkRequest>) -> Result<Answer<PutChunkResponse>, Status> {
        let mut state = self.cluster.state();
        if state.stores_nothing {
            return Err(Status::unavailable("the chunk cannot be stored"));
        }
        state.chunks.push(call.into_inner());
        Ok(Answer::new(PutChunkResponse {}))
    }

    async fn get_media(&self, _: Call<GetMediaRequest>) -> Result<Answer<GetMediaResponse>, Status> {
        Err(Status::not_found("this node has no media files"))
    }
}

type Sender = mpsc::Sender<Result<SessionResponse, Status>>;

impl Gateway {
    async fn drive(&self, requests: &mut Streaming<SessionRequest>, sender: &Sender) -> Result<(), Status> {
        let mut pushed = self.cluster.push.subscribe();
        let cut = self.cut.lock().0.clone();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(Request::Hello(hello)) = first else {
            return Err(Status::invalid_argument("no Hello"));
        };
        let welcome = self.hello(hello)?;
        self.send(sender, Response::Welcome(welcome)).await;
        for message in self.cluster.pending() {
            self.send(sender, message).await;
        }
        loop {
            tokio::select! {
                () = cut.cancelled() => return Err(self.cut.lock().1.clone()),
                message = pushed.recv() => self.send(sender, message.unwrap()).await,
                request = requests.message() => match request?.and_then(|request| request.message) {
                    None => return Ok(()),
                    Some(request) => if let Some(answer) = self.answer(request) {
                        self.send(sender, answer).await;
                    },
                },
            }
        }
    }

    async fn send(&self, sender: &Sender, message: Response) {
        if !self.silent.load(Ordering::SeqCst) {
            let _ = sender
                .send(Ok(SessionResponse {
                    message: Some(message),
                }))
                .await;
        }
    }

    fn hello(&self, hello: Hello) -> Result<Welcome, Status> {
        let expected = self.cluster.state().token.clone();
        if hello.token != expected.unwrap_or_else(token) {
            self.cluster.state().rejected.push(Instant::now());
            let reason = self.cluster.state().rejects_with.unwrap_or("TOKEN_REJECTED");
            return Err(Status::unauthenticated(reason));
        }
        if self.cluster.state().no_leader {
            return Err(Status::unavailable("NO_LEADER"));
        }
        if self.cluster.state().deleted {
            return Err(Status::failed_precondition("WORKER_DELETED"));
        }
        let resumed = self.cluster.resumed(&hello);
        let mut state = self.cluster.state();
        state.hellos.push((self.addr.to_string(), Instant::now(), hello));
        Ok(Welcome {
            worker_id: "w-1".to_owned(),
            worker_name: "one".to_owned(),
            session_epoch: state.hellos.len() as u64,
            heartbeat_interval_ms: 200,
            down_after_ms: 60_000,
            nodes: vec![self.addr.to_string()],
            cluster_time_ms: cluster_time_ms(),
            report_interval_ms: 50,
            resumed,
            evidence: true,
        })
    }

    fn answer(&self, request: Request) -> Option<Response> {
        if self.silent.load(Ordering::SeqCst) {
            return None;
        }
        match request {
            Request::Hello(_) => None,
            Request::Heartbeat(heartbeat) => {
                let mut state = self.cluster.state();
                state.heartbeats += 1;
                state.active = heartbeat.active_endpoints;
                Some(Response::HeartbeatAck(HeartbeatAck {
                    seq: heartbeat.seq,
                    sent_ms: heartbeat.sent_ms,
                    cluster_time_ms: cluster_time_ms(),
                    clock_skew_ms: state.clock_skew_ms,
                }))
            }
            Request::Report(report) => self.cluster.report(report),
            Request::Drain(_) => {
                self.cluster.state().drains += 1;
                Some(Response::DrainAck(DrainAck {}))
            }
            Request::Live(live) => {
                self.cluster.state().live.push(live);
                None
            }
            Request::Goodbye(goodbye) => {
                let mut state = self.cluster.state();
                state.goodbyes += 1;
                state.goodbye_reason = goodbye.reason;
                None
            }
        }
    }
}
