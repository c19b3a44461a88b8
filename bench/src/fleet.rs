//! Many simulated workers in this process, each with a real session: they confirm what they are offered at once, and
//! report every endpoint as a success as soon as they are told to start. What is measured is the control plane.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::report::Event;
use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{
    Closed, EndpointOutcome, EndpointPhase, HealthReport, Heartbeat, Hello, Progress, Ready, Report,
    SessionRequest,
};
use reeve_testkit::{Cluster, create_worker, until};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval_at};
use tokio_stream::wrappers::ReceiverStream;

/// Endpoints that a worker takes.
const CAPACITY: u32 = 2_000;
/// Registrations under way at once.
const REGISTRATIONS: usize = 64;
/// Sessions that share a connection; servers allow about 200 streams on one.
const SESSIONS_A_CONNECTION: usize = 100;
const CONNECTED: Duration = Duration::from_secs(60);
const OUTBOX: usize = 64;

/// The workers. Dropping it ends their sessions.
pub struct Fleet {
    sessions: JoinSet<Result<()>>,
}

impl Fleet {
    /// Registers that many workers and connects them, spread over all nodes.
    ///
    /// # Errors
    /// A registration was refused, or the sessions do not come up within a minute.
    pub async fn connect(cluster: &Cluster, leader: usize, workers: usize) -> Result<Self> {
        let registrar = cluster.connect(leader).await?;
        let tokens: Vec<String> = stream::iter(0..workers)
            .map(|number| {
                let registrar = registrar.clone();
                async move { create_worker(registrar, &format!("bench-w{number}"), CAPACITY).await }
            })
            .buffer_unordered(REGISTRATIONS)
            .map_ok(|created| created.token)
            .try_collect()
            .await?;
        let nodes = cluster.nodes().len();
        let mut sessions = JoinSet::new();
        for (connection, tokens) in tokens.chunks(SESSIONS_A_CONNECTION).enumerate() {
            let channel = cluster.connect(connection % nodes).await?;
            for token in tokens {
                sessions.spawn(session(channel.clone(), token.clone()));
            }
        }
        let mut fleet = Self { sessions };
        until(CONNECTED, "every simulated worker has a session", || async {
            let mut connected = 0;
            for node in 0..nodes {
                connected += cluster
                    .status(node, false)
                    .await
                    .map_or(0, |status| status.sessions as usize);
            }
            connected == workers
        })
        .await?;
        fleet.check()?;
        Ok(fleet)
    }

    /// Fails if a session has ended.
    ///
    /// # Errors
    /// Why it ended.
    pub fn check(&mut self) -> Result<()> {
        match self.sessions.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.context("a simulated worker lost its session"),
        }
    }
}

/// An assignment that a worker holds.
struct Held {
    endpoints: u32,
    started: bool,
    /// The last report that was sent.
    sent: u64,
    /// The last report that is committed.
    acked: u64,
}

impl Held {
    /// The next report, once the one before is committed: ready, then everything at once, then closed.
    fn next(&mut self) -> Option<(u64, Event)> {
        if self.sent > self.acked {
            return None;
        }
        let event = match self.sent {
            0 => Event::Ready(Ready {}),
            1 if self.started => Event::Progress(success(self.endpoints)),
            2 => Event::Closed(Closed {}),
            _ => return None,
        };
        self.sent += 1;
        Some((self.sent, event))
    }
}

fn success(endpoints: u32) -> Progress {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let length = endpoints as usize;
    Progress {
        offsets: (0..endpoints).collect(),
        phases: vec![byte(EndpointPhase::Closed.into()); length],
        outcomes: vec![byte(EndpointOutcome::Success.into()); length],
    }
}

/// One worker's session, until its node ends it.
async fn session(channel: Connection, token: String) -> Result<()> {
    let (outbox, said) = mpsc::channel(OUTBOX);
    outbox.send(request(Said::Hello(hello(token)))).await?;
    let mut client = WorkerGatewayClient::new(channel);
    let mut heard = client.session(ReceiverStream::new(said)).await?.into_inner();
    let Some(Heard::Welcome(welcome)) = heard.message().await?.and_then(|first| first.message) else {
        bail!("the first message was no Welcome");
    };
    let mut worker = Worker {
        outbox,
        held: HashMap::new(),
        beats: 0,
    };
    let mut ticks = heartbeats(welcome.heartbeat_interval_ms);
    loop {
        tokio::select! {
            message = heard.message() => match message? {
                Some(message) => worker.hear(message.message).await?,
                None => bail!("the node closed the session"),
            },
            _ = ticks.tick() => worker.beat().await?,
        }
    }
}

fn heartbeats(interval_ms: u32) -> Interval {
    let period = Duration::from_millis(u64::from(interval_ms.max(1)));
    // Not all at the same moment.
    let first = Instant::now() + period.mul_f64(rand::random_range(0.0..1.0));
    interval_at(first, period)
}

struct Worker {
    outbox: mpsc::Sender<SessionRequest>,
    held: HashMap<(String, u64), Held>,
    beats: u64,
}

impl Worker {
    async fn hear(&mut self, message: Option<Heard>) -> Result<()> {
        match message {
            Some(Heard::Offer(offer)) => {
                let key = (offer.run_id, offer.epoch);
                let held = Held {
                    endpoints: offer.endpoints,
                    started: false,
                    sent: 0,
                    acked: 0,
                };
                self.held.entry(key.clone()).or_insert(held);
                self.report(key).await
            }
            Some(Heard::Start(start)) => {
                let key = (start.run_id, start.epoch);
                if let Some(held) = self.held.get_mut(&key) {
                    held.started = true;
                }
                self.report(key).await
            }
            Some(Heard::ReportAck(ack)) => {
                let key = (ack.run_id, ack.epoch);
                if ack.over {
                    self.held.remove(&key);
                    return Ok(());
                }
                if let Some(held) = self.held.get_mut(&key) {
                    held.acked = held.acked.max(ack.acked_seq);
                }
                self.report(key).await
            }
            Some(Heard::Stop(stop)) => bail!("told to stop run {}: {}", stop.run_id, stop.reason),
            Some(Heard::DrainNotice(_) | Heard::UndrainNotice(_) | Heard::Leave(_)) => {
                bail!("told to drain, and nobody asked for it")
            }
            Some(Heard::Welcome(_) | Heard::HeartbeatAck(_) | Heard::DrainAck(_)) | None => Ok(()),
        }
    }

    async fn report(&mut self, key: (String, u64)) -> Result<()> {
        let Some((seq, event)) = self.held.get_mut(&key).and_then(Held::next) else {
            return Ok(());
        };
        let (run_id, epoch) = key;
        let report = Report {
            run_id,
            epoch,
            seq,
            event: Some(event),
        };
        Ok(self.outbox.send(request(Said::Report(report))).await?)
    }

    async fn beat(&mut self) -> Result<()> {
        self.beats += 1;
        let active = self.held.values().map(|held| held.endpoints).sum();
        let beat = heartbeat(self.beats, active);
        Ok(self.outbox.send(request(Said::Heartbeat(beat))).await?)
    }
}

/// A healthy worker's heartbeat.
pub fn heartbeat(seq: u64, active_endpoints: u32) -> Heartbeat {
    Heartbeat {
        seq,
        sent_ms: wall_ms(),
        wall_ms: wall_ms(),
        health: Some(HealthReport::default()),
        active_endpoints,
    }
}

/// A message of a worker.
pub fn request(message: Said) -> SessionRequest {
    SessionRequest {
        message: Some(message),
    }
}

fn hello(token: String) -> Hello {
    hello_as(token, rand::random(), CAPACITY)
}

/// The Hello of this process, which holds nothing.
pub fn hello_as(token: String, incarnation: u128, capacity: u32) -> Hello {
    Hello {
        sip_capacity: None,
        token,
        incarnation: format!("{incarnation:032x}"),
        capacity,
        health: Some(HealthReport::default()),
        held: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall_ms: wall_ms(),
        draining: false,
        attempt: 0,
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_waits_for_the_one_before_and_for_the_start() {
        let mut held = Held {
            endpoints: 3,
            started: false,
            sent: 0,
            acked: 0,
        };
        assert_eq!(held.next(), Some((1, Event::Ready(Ready {}))));
        assert_eq!(held.next(), None);
        held.acked = 1;
        assert_eq!(held.next(), None);
        held.started = true;
        assert_eq!(held.next(), Some((2, Event::Progress(success(3)))));
        held.acked = 2;
        assert_eq!(held.next(), Some((3, Event::Closed(Closed {}))));
        held.acked = 3;
        assert_eq!(held.next(), None);
    }
}
