//! A simulated worker: the real fleet, reporter and executor of `reeve-worker` behind a session of the simulation's own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{self, SessionRequest, SessionResponse};
use reeve_state::id::{TokenHash, WorkerId};
use reeve_store::outside;
use reeve_worker::clock::{Clock, ClusterClock};
use reeve_worker::executor::Executors;
use reeve_worker::fleet::Fleet;
use reeve_worker::sim::Sim;
use reeve_worker::{Event, EventSink};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

use crate::oracle::Eye;
use crate::setting::HEARTBEAT;

/// How long a node may take to let a worker in.
const WELCOME: Duration = Duration::from_millis(1_500);
/// A node that does not answer a heartbeat for so long is left.
const SILENT: Duration = Duration::from_millis(1_500);
/// Between two reports of an assignment.
const REPORTS: Duration = Duration::from_millis(500);

/// A worker's place: what outlives its crashes.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) id: WorkerId,
    pub(crate) number: u64,
    pub(crate) capacity: u32,
    /// gRPC addresses.
    pub(crate) nodes: Vec<String>,
    pub(crate) eye: Eye,
    pub(crate) random: Rc<Cell<u64>>,
}

/// The token of a worker, by how often it was regenerated.
pub(crate) fn token(worker: u64, generation: u64) -> String {
    format!("cmw_{:032x}{generation:032x}", worker + 1)
}

/// What the cluster knows of it.
pub(crate) fn token_hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// A session in force.
struct Session {
    say: mpsc::Sender<SessionRequest>,
    hear: Streaming<SessionResponse>,
    seq: u64,
    next_beat: Instant,
    /// When heartbeats that are not answered were sent, in simulated time.
    sent: BTreeMap<u64, u64>,
    unanswered_since: Option<Instant>,
}

struct Worker {
    post: Post,
    random: StdRng,
    incarnation: String,
    attempts: u64,
    clock: Clock,
    cluster: ClusterClock,
    fleet: Fleet,
    events: mpsc::UnboundedReceiver<Event>,
    session: Option<Session>,
    retry_at: Instant,
}

impl Post {
    /// The host's name.
    pub(crate) fn host(&self) -> String {
        format!("w{}", self.number)
    }

    /// The software of the host: one process.
    pub(crate) async fn live(self) -> turmoil::Result {
        loop {
            let seed = self.random.get();
            self.random.set(seed.wrapping_add(1));
            Worker::new(self.clone(), seed).run().await;
            // Told to leave; a new process comes.
            sleep(Duration::from_secs(2)).await;
        }
    }
}

impl Worker {
    fn new(post: Post, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let clock = Clock::start();
        let (sink, events) = EventSink::channel();
        let executors = Executors {
            sim: Arc::new(Sim::spawn(clock.clone(), sink)),
            sip: None,
        };
        let (high, low) = (random.next_u64(), random.next_u64());
        Self {
            incarnation: uuid::Uuid::from_u64_pair(high, low).to_string(),
            attempts: 0,
            fleet: Fleet::new(post.capacity, None, executors),
            post,
            random,
            clock,
            cluster: ClusterClock::default(),
            events,
            session: None,
            retry_at: Instant::now(),
        }
    }

    /// Until it is told to leave.
    async fn run(mut self) {
        loop {
            if self.session.is_none() && Instant::now() >= self.retry_at {
                self.open().await;
            }
            self.do_what_is_due();
            let wake = self.wake();
            let message = async {
                match &mut self.session {
                    Some(session) => session.hear.message().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = message => {
                    if self.hear(heard) {
                        return self.leave().await;
                    }
                }
                Some(event) = self.events.recv() => {
                    self.fleet.event(event, &self.cluster, self.clock.now(), |_| ());
                    drop(self.fleet.take_notes());
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    fn wake(&self) -> Instant {
        let Some(session) = &self.session else {
            return self.retry_at;
        };
        let silent = session.unanswered_since.map(|since| since + SILENT);
        let report = self.fleet.due(REPORTS).map(|due| self.clock.instant(due));
        let due = [Some(session.next_beat), silent, report];
        due.into_iter().flatten().min().unwrap_or(session.next_beat)
    }

    /// Connects to some node and says Hello.
    async fn open(&mut self) {
        let node = self.random.random_range(0..self.post.nodes.len());
        let opened = timeout(WELCOME, self.hello(node)).await;
        let end = match opened {
            Ok(Ok(())) => return,
            Ok(Err(status)) => format!("{:?}", status.code()),
            Err(_) => "no answer".to_owned(),
        };
        let me = self.post.number;
        self.post
            .eye
            .lock()
            .note(&format!("w{me} is not let in by n{}: {end}", node + 1));
        self.retry();
    }

    async fn hello(&mut self, node: usize) -> Result<(), Status> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.post.nodes[node]))
            .map_err(|error| Status::internal(error.to_string()))?
            .connect_timeout(WELCOME / 2);
        let mut client = WorkerGatewayClient::new(outside::connect_lazy(&endpoint));
        let (say, requests) = mpsc::channel(64);
        let generation = self.post.eye.lock().token_of(self.post.id);
        self.attempts += 1;
        let hello = v1::Hello {
            token: token(self.post.number, generation),
            incarnation: self.incarnation.clone(),
            capacity: self.post.capacity,
            health: Some(health()),
            held: self.fleet.hello(),
            attempt: self.attempts,
            ..v1::Hello::default()
        };
        drop(say.try_send(request(Say::Hello(hello))));
        let mut hear = client.session(ReceiverStream::new(requests)).await?.into_inner();
        let first = hear.message().await?.and_then(|response| response.message);
        let Some(Heard::Welcome(welcome)) = first else {
            return Err(Status::unavailable("no Welcome"));
        };
        let mut eye = self.post.eye.lock();
        eye.coverage.welcomes += 1;
        eye.note(&format!(
            "w{} has session {} with n{}, resumed {}",
            self.post.number,
            welcome.session_epoch,
            node + 1,
            welcome.resumed.len()
        ));
        self.cluster.welcome(welcome.cluster_time_ms, self.clock.now());
        self.fleet.resume(&welcome.resumed);
        self.session = Some(Session {
            say,
            hear,
            seq: 0,
            next_beat: Instant::now(),
            sent: BTreeMap::new(),
            unanswered_since: None,
        });
        Ok(())
    }

    fn retry(&mut self) {
        let wait = self.random.random_range(20..500);
        self.retry_at = Instant::now() + Duration::from_millis(wait);
    }

    fn end(&mut self, why: &str) {
        self.session = None;
        let me = self.post.number;
        self.post.eye.lock().note(&format!("w{me} has no session: {why}"));
        self.retry();
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let Some(session) = &mut self.session else { return };
        if session
            .unanswered_since
            .is_some_and(|since| now >= since + SILENT)
        {
            return self.end("the node is silent");
        }
        if now >= session.next_beat {
            session.seq += 1;
            session.next_beat = now + HEARTBEAT.mul_f64(self.random.random_range(0.6..0.9));
            session.unanswered_since.get_or_insert(now);
            session.sent.insert(session.seq, self.post.eye.lock().now_ms);
            let heartbeat = v1::Heartbeat {
                seq: session.seq,
                sent_ms: self.clock.now().0,
                health: Some(health()),
                active_endpoints: self.fleet.active_endpoints(),
                ..v1::Heartbeat::default()
            };
            drop(session.say.try_send(request(Say::Heartbeat(heartbeat))));
        }
        while session.say.capacity() > 8
            && let Some(outgoing) = self.fleet.poll(self.clock.now(), REPORTS)
        {
            drop(session.say.try_send(request(Say::Report(outgoing.report))));
        }
    }

    /// Whether the worker is to leave.
    fn hear(&mut self, heard: Result<Option<SessionResponse>, Status>) -> bool {
        let message = match heard {
            Ok(Some(response)) => response.message,
            Ok(None) => {
                self.end("the stream ended");
                return false;
            }
            Err(status) => {
                self.end(&format!("{:?}", status.code()));
                return false;
            }
        };
        let now = self.clock.now();
        match message {
            Some(Heard::HeartbeatAck(ack)) => self.acknowledged(&ack),
            Some(Heard::Offer(offer)) => self.fleet.offer(offer),
            Some(Heard::Start(start)) => {
                self.cluster.told(start.cluster_time_ms, now);
                self.fleet.start(&start, &self.cluster, now);
            }
            Some(Heard::Stop(stop)) => self.fleet.stop(&stop),
            Some(Heard::ReportAck(ack)) => self.fleet.acknowledged(&ack, now),
            Some(Heard::Leave(_)) => return self.fleet.is_empty(),
            Some(
                Heard::Welcome(_) | Heard::DrainAck(_) | Heard::DrainNotice(_) | Heard::UndrainNotice(_),
            )
            | None => {}
        }
        drop(self.fleet.take_notes());
        false
    }

    fn acknowledged(&mut self, ack: &v1::HeartbeatAck) {
        let Some(session) = &mut self.session else { return };
        session.unanswered_since = None;
        let later = session.sent.split_off(&(ack.seq + 1));
        let answered = std::mem::replace(&mut session.sent, later);
        let Some(sent_ms) = answered.get(&ack.seq).copied() else {
            return;
        };
        self.post.eye.lock().heard(self.post.id, sent_ms);
        let sent = reeve_worker::clock::MonoMs(ack.sent_ms);
        let _ = self
            .cluster
            .acknowledged(sent, ack.cluster_time_ms, self.clock.now());
    }

    /// Says Goodbye and waits until the node ends the stream.
    async fn leave(mut self) {
        if let Some(mut session) = self.session.take() {
            let goodbye = v1::Goodbye {
                reason: "told to leave".to_owned(),
            };
            drop(session.say.try_send(request(Say::Goodbye(goodbye))));
            let ended = async { while let Ok(Some(_)) = session.hear.message().await {} };
            drop(timeout(WELCOME, ended).await);
        }
        let me = self.post.number;
        self.post.eye.lock().note(&format!("w{me} left"));
    }
}

fn health() -> v1::HealthReport {
    v1::HealthReport {
        cpu_percent: 5,
        memory_percent: 5,
        disk_percent: 5,
    }
}

fn request(message: Say) -> SessionRequest {
    SessionRequest {
        message: Some(message),
    }
}
