//! The loop of a ping worker: wait until something is due, make one call, see what it means.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_proto::v1::{PingWorkerRequest, PingWorkerResponse, WorkerResources, WorkerStatus};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tracing::{info, warn};

use super::client::{CallError, Client};
use super::config::PingConfig;
use super::judge::{self, Judgement};
use crate::backoff::{Backoff, BackoffLimits};
use crate::cause::{Cause, CauseKind, Told};
use crate::clock::{Clock, MonoMs};
use crate::error::{ConfigError, WorkerError};
use crate::health::HealthProbe;
use crate::http::{Problem, SharedHealth};
use crate::nodes::NodeList;
use crate::skew::Skew;
use crate::telemetry::Telemetry;

/// How often to ping where the node does not say (R347).
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// No node is asked more often, whatever it says.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);

/// How a turn of the loop ended.
pub(super) enum Turn {
    /// Go on.
    Again,
    /// Unregister and end.
    Leave,
    /// End with an error.
    Over(WorkerError),
}

/// A connection and where it leads.
pub(super) struct Connected {
    node: String,
    client: Client,
}

/// A ping worker.
pub struct Agent {
    pub(super) config: PingConfig,
    pub(super) authorization: MetadataValue<Ascii>,
    pub(super) nodes: NodeList,
    pub(super) connected: Option<Connected>,
    /// The node of the present attempt.
    pub(super) node: String,
    /// Set while registered.
    pub(super) id: Option<String>,
    /// Of the registration that is under way: repeating it changes nothing twice.
    pub(super) request_id: String,
    pub(super) interval: Duration,
    pub(super) due: MonoMs,
    /// In force; those of the configuration may be shorter.
    pub(super) limits: BackoffLimits,
    pub(super) backoff: Backoff,
    pub(super) clock: Clock,
    pub(super) random: StdRng,
    pub(super) told: Told,
    pub(super) skew: Skew,
    pub(super) status: WorkerStatus,
    pub(super) telemetry: Telemetry,
    pub(super) shown: SharedHealth,
    pub(super) health: HealthProbe,
}

impl Agent {
    pub fn new(
        config: PingConfig,
        telemetry: Telemetry,
        shown: SharedHealth,
        health: HealthProbe,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            authorization: config.key.authorization()?,
            nodes: NodeList::new(config.nodes.clone()),
            connected: None,
            node: String::new(),
            id: None,
            request_id: new_request_id(),
            interval: PING_INTERVAL,
            due: MonoMs(0),
            limits: config.reconnect.clone(),
            backoff: Backoff::default(),
            clock: Clock::start(),
            random: StdRng::from_os_rng(),
            told: Told::default(),
            skew: Skew::default(),
            status: WorkerStatus::Unspecified,
            telemetry,
            shown,
            health,
            config,
        })
    }

    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        loop {
            let turn = tokio::select! {
                biased;
                () = shutdown.cancelled() => Turn::Leave,
                turn = self.turn() => turn,
            };
            match turn {
                Turn::Again => {}
                Turn::Leave => return self.unregister().await,
                Turn::Over(error) => return Err(error),
            }
        }
    }

    /// One call, when it is due. It may be dropped at any await: what it changes, it changes after the answer.
    async fn turn(&mut self) -> Turn {
        sleep_until(self.clock.instant(self.due)).await;
        self.show_resources();
        match self.id.clone() {
            None => self.register().await,
            Some(id) => self.ping(id).await,
        }
    }

    pub(super) async fn client(&mut self) -> Result<Client, CallError> {
        if let Some(connected) = &self.connected {
            self.node.clone_from(&connected.node);
            return Ok(connected.client.clone());
        }
        // There always is one: the configuration was checked.
        self.node = self.nodes.next(&mut self.random).unwrap_or_default();
        let client = Client::connect(&self.node, self.authorization.clone(), &self.limits).await?;
        self.connected = Some(Connected {
            node: self.node.clone(),
            client: client.clone(),
        });
        Ok(client)
    }

    // === Pinging ===

    async fn ping(&mut self, id: String) -> Turn {
        let health = self.health.latest();
        let sent = self.clock.now();
        let request = PingWorkerRequest {
            id,
            timestamp: Some(wall_clock()),
            resources: Some(WorkerResources {
                cpu_percent: health.cpu_percent,
                memory_percent: health.memory_percent,
                disk_percent: health.disk_percent,
            }),
            active_endpoints: 0,
        };
        let answer = match self.client().await {
            Ok(mut client) => client.ping(request).await,
            Err(error) => Err(error),
        };
        self.telemetry.heartbeats.increment(1);
        match answer {
            Ok(answer) => self.heard(&answer, sent),
            Err(error) => self.failed(judge::ping(error)),
        }
    }

    fn heard(&mut self, answer: &PingWorkerResponse, sent: MonoMs) -> Turn {
        let now = self.clock.now();
        self.backoff.reset();
        self.told.clear();
        self.pinged_within(answer.ping_interval_ms);
        // Early, so that a healthy worker never counts a miss (D4).
        self.due = sent.after(self.interval.mul_f64(self.random.random_range(0.6..0.9)));
        self.telemetry
            .answered(Duration::from_millis(now.0.abs_diff(sent.0)));
        if let Some(skew_ms) = answer.clock_skew_ms {
            self.skew.tell(skew_ms);
        }
        self.show_standing(answer.status());
        if answer.leave {
            info!("the drain is complete: told to leave");
            return Turn::Leave;
        }
        Turn::Again
    }

    pub(super) fn pinged_within(&mut self, interval_ms: u32) {
        if interval_ms > 0 {
            self.interval = Duration::from_millis(u64::from(interval_ms)).max(LEAST_INTERVAL);
        }
    }

    // === What went wrong ===

    pub(super) fn failed(&mut self, judgement: Judgement) -> Turn {
        let now = self.clock.now();
        match judgement {
            Judgement::RegisterAgain => {
                info!(node = %self.node, "the worker is not registered any more: registering again");
                self.id = None;
                // Soon, yet never in a tight loop with a node that forgets at once.
                self.due = now.after(self.backoff.after_fault(&self.limits, &mut self.random));
            }
            Judgement::Hopeless(message) => return Turn::Over(WorkerError::RegistrationRefused { message }),
            Judgement::NameTaken(cause) => {
                let wait = self
                    .config
                    .name_taken_retry
                    .mul_f64(self.random.random_range(0.8..1.2));
                self.later(&cause, wait, now);
            }
            Judgement::Refused(cause) => {
                let wait = self.backoff.after_refusal(&self.limits, &mut self.random);
                self.later(&cause, wait, now);
            }
            Judgement::NextNode(cause) => {
                self.connected = None;
                let wait = self.backoff.after_fault(&self.limits, &mut self.random);
                self.later(&cause, wait, now);
            }
        }
        Turn::Again
    }

    fn later(&mut self, cause: &Cause, wait: Duration, now: MonoMs) {
        self.due = now.after(wait);
        self.telemetry.disconnected(cause.kind);
        self.telemetry.connected.set(0.0);
        {
            let mut shown = self.shown.lock();
            shown.connected = false;
            shown.problem = Some(Problem::new(&self.node, cause.kind));
        }
        let is_news = self.told.is_news(cause.kind, now);
        if cause.kind == CauseKind::NameTaken {
            if is_news {
                let (retry_ms, advice) = (wait.as_millis(), cause.kind.advice(&self.node));
                let (name, why) = (&self.config.name, cause.kind.explanation());
                warn!(name, retry_ms, "not registered: {why}; {advice}");
            }
            return;
        }
        cause.log(&self.node, wait, is_news);
    }

    // === Showing ===

    fn show_resources(&self) {
        let latest = self.health.latest();
        self.telemetry.resources(&latest);
        self.shown.lock().resources = latest.into();
    }

    fn show_standing(&mut self, status: WorkerStatus) {
        self.telemetry.connected.set(1.0);
        {
            let mut shown = self.shown.lock();
            shown.connected = true;
            shown.node = Some(self.node.clone());
            shown.problem = None;
            shown.draining = status == WorkerStatus::Draining;
        }
        if status != self.status {
            info!(status = %status.as_str_name().trim_start_matches("WORKER_STATUS_"), "the cluster sees this worker");
            self.status = status;
        }
    }
}

pub(super) fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// For display only.
fn wall_clock() -> prost_types::Timestamp {
    let now = jiff::Timestamp::now();
    prost_types::Timestamp {
        seconds: now.as_second(),
        nanos: now.subsec_nanosecond(),
    }
}
