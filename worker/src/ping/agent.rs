//! The loop of a ping worker: wait until something is due, make one call, see what it means.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_proto::v1::{
    PingWorkerRequest, PingWorkerResponse, RegisterWorkerRequest, RegisterWorkerResponse, WorkerResources,
    WorkerStatus,
};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
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
/// How long a worker that ends looks for a node that takes its word. A container is killed after ten seconds.
const UNREGISTER_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts of that.
const UNREGISTER_PAUSE: Duration = Duration::from_millis(100);

/// How a turn of the loop ended.
enum Turn {
    /// Go on.
    Again,
    /// Unregister and end.
    Leave,
    /// End with an error.
    Over(WorkerError),
}

/// A connection and where it leads.
struct Connected {
    node: String,
    client: Client,
}

pub struct Agent {
    config: PingConfig,
    authorization: MetadataValue<Ascii>,
    nodes: NodeList,
    connected: Option<Connected>,
    /// The node of the present attempt.
    node: String,
    /// Set while registered.
    id: Option<String>,
    /// Of the registration that is under way: repeating it changes nothing twice.
    request_id: String,
    interval: Duration,
    due: MonoMs,
    /// In force; those of the configuration may be shorter.
    limits: BackoffLimits,
    backoff: Backoff,
    clock: Clock,
    random: StdRng,
    told: Told,
    skew: Skew,
    status: WorkerStatus,
    telemetry: Telemetry,
    shown: SharedHealth,
    health: HealthProbe,
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

    async fn client(&mut self) -> Result<Client, CallError> {
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

    // === Registering ===

    async fn register(&mut self) -> Turn {
        let request = RegisterWorkerRequest {
            version: self.config.version.clone(),
            name: self.config.name.clone(),
            ip_address: self.config.ip_address.clone(),
            function_blocks: self.config.function_blocks.clone(),
            region: self.config.region.clone(),
            labels: self.config.labels.clone().into_iter().collect(),
            capacity: self.config.capacity.unwrap_or(0),
            request_id: self.request_id.clone(),
        };
        let answer = match self.client().await {
            Ok(mut client) => client.register(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                self.registered(answer);
                Turn::Again
            }
            Err(error) => self.failed(judge::registration(error)),
        }
    }

    fn registered(&mut self, answer: RegisterWorkerResponse) {
        let now = self.clock.now();
        let worker = answer.worker.unwrap_or_default();
        info!(worker = %worker.name, id = %worker.id, node = %self.node, "registered");
        self.pinged_within(answer.ping_interval_ms);
        self.limits = self
            .config
            .reconnect
            .within(Duration::from_millis(u64::from(answer.unreachable_after_ms)));
        // A name that the cluster made up stays ours.
        self.config.name = worker.name;
        self.shown.lock().worker_id = Some(worker.id.clone());
        self.id = Some(worker.id);
        self.request_id = new_request_id();
        // ONLINE only with the first ping.
        self.due = now;
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

    fn pinged_within(&mut self, interval_ms: u32) {
        if interval_ms > 0 {
            self.interval = Duration::from_millis(u64::from(interval_ms));
        }
    }

    // === What went wrong ===

    fn failed(&mut self, judgement: Judgement) -> Turn {
        let now = self.clock.now();
        match judgement {
            Judgement::RegisterAgain => {
                info!(node = %self.node, "the worker is not registered any more: registering again");
                self.id = None;
                self.due = now;
                return Turn::Again;
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

    // === The end ===

    /// R349, R350. What was registered stays (R352).
    async fn unregister(mut self) -> Result<(), WorkerError> {
        let Some(id) = self.id.take() else {
            info!("not registered: leaving");
            return Ok(());
        };
        // A node that did not answer the call that was dropped is not the one to ask now.
        let told = timeout(UNREGISTER_WITHIN, async {
            while let Err(error) = self.try_unregister(id.clone()).await {
                if matches!(&error, CallError::Answered(status) if status.code() == Code::NotFound) {
                    break;
                }
                self.connected = None;
                sleep(UNREGISTER_PAUSE).await;
            }
        });
        if told.await.is_err() {
            return Err(WorkerError::NotUnregistered);
        }
        info!("unregistered: leaving");
        Ok(())
    }

    async fn try_unregister(&mut self, id: String) -> Result<(), CallError> {
        // Two nodes at least get their chance.
        self.limits.connect_timeout = self.limits.connect_timeout.min(UNREGISTER_WITHIN / 4);
        let limit = UNREGISTER_WITHIN / 3;
        let mut client = self.client().await?;
        let silent = || CallError::NoAnswer(Cause::new(CauseKind::TimedOut, "no answer to the call"));
        timeout(limit, client.unregister(id))
            .await
            .unwrap_or_else(|_| Err(silent()))
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

fn new_request_id() -> String {
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
