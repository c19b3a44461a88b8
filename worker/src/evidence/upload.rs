//! Chunks on their way to a node, a few at a time, each until a node has it or says that none ever will.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_proto::v1::PutChunkRequest;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tracing::{debug, warn};

use super::chunk::Chunk;
use super::queue::Queue;
use crate::clock::{Clock, MonoMs};
use crate::executor::AssignmentKey;
use crate::token::Token;

/// Chunks that are on their way at once.
const AT_ONCE: usize = 4;
/// A chunk that did not get through is sent again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a node may take to store a chunk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where chunks go, and with what they are signed; none: no session stands.
#[derive(Clone)]
struct Way {
    channel: Channel,
    token: Token,
}

#[derive(Clone)]
struct Shared {
    queue: Arc<Mutex<Queue>>,
    news: Arc<Notify>,
    clock: Clock,
    settled: mpsc::UnboundedSender<AssignmentKey>,
}

/// The uploads of a process.
pub struct Uploader {
    shared: Shared,
    way: watch::Sender<Option<Way>>,
}

impl Uploader {
    /// Starts the task on the present runtime; it ends with the uploader. The receiver gets each assignment of which everything
    /// is stored.
    pub fn start(clock: Clock) -> (Self, mpsc::UnboundedReceiver<AssignmentKey>) {
        let (settled, receiver) = mpsc::unbounded_channel();
        let (way, ways) = watch::channel(None);
        let shared = Shared {
            queue: Arc::default(),
            news: Arc::default(),
            clock,
            settled,
        };
        tokio::spawn(run(shared.clone(), ways));
        (Self { shared, way }, receiver)
    }

    /// Takes chunks from any thread.
    pub fn intake(&self) -> impl FnMut(Chunk) + Send + 'static {
        let shared = self.shared.clone();
        move |chunk| {
            let dropped = shared.queue.lock().push(chunk);
            if dropped > 0 {
                warn!(
                    rows = dropped,
                    "evidence does not get through and too much waits: the oldest is dropped"
                );
                metrics::counter!("reeve_worker_evidence_dropped_rows_total").increment(dropped);
            }
            shared.news.notify_one();
        }
    }

    /// A session stands: chunks go the same way.
    pub fn connected(&self, channel: Channel, token: Token) {
        self.way.send_replace(Some(Way { channel, token }));
    }

    /// The session is over.
    pub fn disconnected(&self) {
        self.way.send_replace(None);
    }
}

async fn run(shared: Shared, mut ways: watch::Receiver<Option<Way>>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let way = match ways.wait_for(Option::is_some).await {
            Ok(way) => way.clone(),
            Err(_) => return,
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let now = shared.clock.now();
        let (next, wake) = {
            let mut queue = shared.queue.lock();
            (queue.next(now), queue.wake())
        };
        let (Some(way), Some(chunk)) = (way, next) else {
            drop(place);
            tokio::select! {
                () = shared.news.notified() => {}
                changed = ways.changed() => if changed.is_err() { return },
                () = pause(wake, now) => {}
            }
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            send(&shared, way, chunk).await;
            drop(place);
        });
    }
}

async fn pause(until: Option<MonoMs>, now: MonoMs) {
    match until {
        Some(until) => {
            sleep(Duration::from_millis(
                until.0.saturating_sub(now.0).max(1).unsigned_abs(),
            ))
            .await
        }
        None => std::future::pending().await,
    }
}

async fn send(shared: &Shared, way: Way, chunk: Chunk) {
    let request = PutChunkRequest {
        token: way.token.reveal().to_owned(),
        run_id: chunk.key.run_id.to_string(),
        epoch: chunk.key.epoch,
        kind: chunk.kind.into(),
        seq: chunk.seq,
        rows: chunk.rows,
        first_at_ms: chunk.first_at_ms,
        last_at_ms: chunk.last_at_ms,
        sha256: Sha256::digest(&chunk.data).to_vec(),
        last: chunk.last,
        dropped: chunk.dropped,
        data: chunk.data.clone(),
    };
    let mut client = WorkerGatewayClient::new(way.channel);
    let answer = timeout(PATIENCE, client.put_chunk(request)).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the node did not answer")));
    let settled = match answer {
        Ok(_) => shared.queue.lock().stored(&chunk),
        Err(status) if is_final(status.code()) => {
            warn!(assignment = %chunk.key, seq = chunk.seq, code = ?status.code(), "evidence refused: {}", status.message());
            metrics::counter!("reeve_worker_evidence_dropped_rows_total").increment(chunk.rows);
            shared.queue.lock().refused(&chunk)
        }
        Err(status) => {
            debug!(assignment = %chunk.key, seq = chunk.seq, code = ?status.code(), "evidence is sent again: {}", status.message());
            let again = shared.clock.now().after(RETRY_AFTER);
            shared.queue.lock().failed(&chunk, again);
            false
        }
    };
    if settled {
        // Nobody listens any more when the process ends.
        let _ = shared.settled.send(chunk.key.clone());
    }
    shared.news.notify_one();
}

/// Trying again, here or elsewhere, gives the same answer.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition
    )
}
