//! A great many idle workers in this process, each with a real session of its own that beats as often as the node asks, and that moves
//! to another node when its own one is gone, as the agent does. What they cost the nodes is measured, not what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::{StreamExt, TryStreamExt, stream};
use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{SessionRequest, SessionResponse};
use reeve_testkit::{Cluster, create_worker};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::fleet::{heartbeat, hello_as, request};

/// Registrations under way at once.
const REGISTRATIONS: usize = 256;
/// The limits of the agent's connections (worker/src/backoff.rs).
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(15);
/// A heartbeat and what may follow it.
const OUTBOX: usize = 2;

/// The workers. Dropping it ends their sessions.
pub struct Herd {
    tasks: JoinSet<()>,
    counters: Arc<Counters>,
    tokens: Vec<String>,
    nodes: Vec<String>,
}

#[derive(Default)]
struct Counters {
    connected: AtomicUsize,
    lost: AtomicUsize,
}

impl Herd {
    /// None yet.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            tasks: JoinSet::new(),
            counters: Arc::default(),
            tokens: Vec::new(),
            nodes: cluster.nodes().iter().map(|node| node.grpc.clone()).collect(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// How many of them have a session just now.
    pub fn connected(&self) -> usize {
        self.counters.connected.load(Ordering::Relaxed)
    }

    /// How often a session was lost, over all.
    pub fn lost(&self) -> usize {
        self.counters.lost.load(Ordering::Relaxed)
    }

    /// Registers more of them and sets them going, spread over all nodes; `share` sessions are streams of one connection.
    ///
    /// # Errors
    /// A registration was refused, or an address is none.
    pub async fn grow(&mut self, cluster: &Cluster, leader: usize, to: usize, share: usize) -> Result<()> {
        let registrar = cluster.connect(leader).await?;
        let tokens: Vec<String> = stream::iter(self.len()..to)
            .map(|number| {
                let registrar = registrar.clone();
                async move { create_worker(registrar, &format!("herd-{number}"), 1).await }
            })
            .buffer_unordered(REGISTRATIONS)
            .map_ok(|created| created.token)
            .try_collect()
            .await?;
        for (group, tokens) in tokens.chunks(share).enumerate() {
            let road = Arc::new(Road::new(&self.nodes)?);
            for token in tokens {
                let worker = Worker {
                    token: token.clone(),
                    incarnation: rand::random(),
                    road: Arc::clone(&road),
                    counters: Arc::clone(&self.counters),
                };
                self.tasks.spawn(worker.live(group % self.nodes.len()));
            }
        }
        self.tokens.extend(tokens);
        Ok(())
    }
}

/// The connections that some workers share, one to each node, made when they are needed.
struct Road {
    channels: Vec<Channel>,
}

impl Road {
    fn new(nodes: &[String]) -> Result<Self> {
        let channels = nodes.iter().map(|node| {
            let endpoint = Endpoint::from_shared(format!("http://{node}"))?;
            Ok(endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .connect_lazy())
        });
        Ok(Self {
            channels: channels.collect::<Result<_>>()?,
        })
    }
}

struct Worker {
    token: String,
    incarnation: u128,
    road: Arc<Road>,
    counters: Arc<Counters>,
}

/// A session that stands.
struct Session {
    outbox: mpsc::Sender<SessionRequest>,
    heard: Streaming<SessionResponse>,
    interval: Duration,
}

impl Worker {
    /// For ever: a session, and the next one, on another node, with full jitter in between.
    async fn live(self, first: usize) {
        let mut node = first;
        let mut failures = 0;
        loop {
            if let Ok(session) = self.connect(node).await {
                failures = 0;
                self.counters.connected.fetch_add(1, Ordering::Relaxed);
                // How it ended makes no difference: the worker moves.
                let _ = beat(session).await;
                self.counters.connected.fetch_sub(1, Ordering::Relaxed);
                self.counters.lost.fetch_add(1, Ordering::Relaxed);
            }
            let most = LAST_RETRY.min(FIRST_RETRY * 2_u32.saturating_pow(failures));
            failures = (failures + 1).min(16);
            sleep(most.mul_f64(rand::random_range(0.0..1.0))).await;
            node = (node + rand::random_range(1..self.road.channels.len())) % self.road.channels.len();
        }
    }

    async fn connect(&self, node: usize) -> Result<Session> {
        let (outbox, said) = mpsc::channel(OUTBOX);
        let hello = hello_as(self.token.clone(), self.incarnation, 1);
        outbox.send(request(Said::Hello(hello))).await?;
        let mut client = WorkerGatewayClient::new(self.road.channels[node].clone());
        let opened = async {
            let mut heard = client.session(ReceiverStream::new(said)).await?.into_inner();
            let first = heard.message().await?.and_then(|first| first.message);
            match first {
                Some(Heard::Welcome(welcome)) => Ok(Session {
                    outbox,
                    heard,
                    interval: Duration::from_millis(welcome.heartbeat_interval_ms.into()),
                }),
                _ => Err(anyhow!("the first message was no Welcome")),
            }
        };
        timeout(WELCOME_TIMEOUT, opened).await?
    }
}

/// Beats early, at 0.6 to 0.9 of the interval, until the node ends the session or leaves a heartbeat unanswered.
async fn beat(mut session: Session) -> Result<()> {
    let mut seq = 0;
    let mut unanswered: Option<Instant> = None;
    let mut next = Instant::now() + session.interval.mul_f64(rand::random_range(0.0..0.9));
    loop {
        tokio::select! {
            message = session.heard.message() => match message?.and_then(|message| message.message) {
                Some(Heard::HeartbeatAck(_)) => unanswered = None,
                Some(_) => {}
                None => return Ok(()),
            },
            () = tokio::time::sleep_until(next) => {
                if unanswered.is_some_and(|since| since.elapsed() >= session.interval) {
                    return Ok(());
                }
                seq += 1;
                session.outbox.send(request(Said::Heartbeat(heartbeat(seq, 0)))).await?;
                unanswered.get_or_insert(Instant::now());
                next += session.interval.mul_f64(rand::random_range(0.6..0.9));
            }
        }
    }
}
