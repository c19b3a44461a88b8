//! A session after its Welcome: what the worker says goes into the log, what the log says goes to the worker.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::session_response::Message as Answer;
use reeve_proto::v1::{SessionRequest, SessionResponse};
use reeve_state::command::{
    Command, DisconnectWorker, DrainOrder, Envelope, Refusal, Reply, Report, SetDrain, SetHealth,
};
use reeve_state::id::TokenHash;
use reeve_state::time::Millis;
use reeve_state::transition::worker::{AfterDrain, DrainActor, HealthIssue, LivenessProfile};
use reeve_store::{Lane, ProposeError};
use tokio::time::Instant;
use tonic::Streaming;

use super::Outbound;
use super::decode::{self, BadField};
use super::encode;
use super::end::SessionEnd;
use super::health;
use super::heartbeats::{self, Beat, Heartbeats};
use super::hub::Registration;
use super::outbox::Outbox;
use super::reports::{self, Reports};
use super::standing::{Standing, standing};
use crate::context::Context;

/// How long a command of the session may wait for the log.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// What the log answered.
type Answered = Result<Reply, Refusal>;

/// A command of this session that is through.
enum Done {
    Report(Report, Result<Answered, SessionEnd>),
    Health(Vec<HealthIssue>, Result<Answered, ProposeError>),
    Drain(Result<Answered, ProposeError>),
}

/// A session in force.
pub(super) struct Session {
    context: Context,
    registration: Registration,
    token_hash: TokenHash,
    outbound: Outbound,
    outbox: Outbox,
    reports: Reports,
    issues: Issues,
    heartbeats: Heartbeats,
    draining: bool,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
}

/// What is known of the worker's resources.
struct Issues {
    committed: Vec<HealthIssue>,
    wanted: Vec<HealthIssue>,
    under_way: bool,
}

impl Session {
    pub(super) fn new(
        context: Context,
        registration: Registration,
        token_hash: TokenHash,
        outbound: Outbound,
        outbox: Outbox,
        issues: Vec<HealthIssue>,
    ) -> Self {
        let most_heartbeats_per_s = context.config.sessions.most_heartbeats_per_s;
        Self {
            heartbeats: Heartbeats::new(most_heartbeats_per_s, Instant::now()),
            context,
            registration,
            token_hash,
            outbound,
            outbox,
            reports: Reports::default(),
            issues: Issues {
                wanted: issues.clone(),
                committed: issues,
                under_way: false,
            },
            draining: false,
            work: FuturesUnordered::new(),
        }
    }

    /// Runs until the session is over. Proposals under way are dropped then; what they did is in the log, or is repeated.
    pub(super) async fn run(mut self, requests: &mut Streaming<SessionRequest>) -> SessionEnd {
        let handle = Arc::clone(&self.registration.handle);
        let outbound = self.outbound.clone();
        let end = tokio::select! {
            biased;
            end = handle.ended() => end,
            () = outbound.closed() => SessionEnd::Left,
            end = self.converse(requests) => end,
        };
        if let SessionEnd::Bad(bad) = &end {
            tracing::warn!(worker = %handle.worker, epoch = handle.epoch.0, %bad, "session ends: bad message");
        } else {
            tracing::info!(worker = %handle.worker, epoch = handle.epoch.0, ?end, "session ends");
        }
        end
    }

    async fn converse(&mut self, requests: &mut Streaming<SessionRequest>) -> SessionEnd {
        match self.exchange(requests).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn exchange(
        &mut self,
        requests: &mut Streaming<SessionRequest>,
    ) -> Result<std::convert::Infallible, SessionEnd> {
        self.tell().await?;
        loop {
            tokio::select! {
                biased;
                () = self.registration.handle.woken() => self.tell().await?,
                Some(done) = self.work.next(), if !self.work.is_empty() => self.finish(done).await?,
                request = requests.message() => {
                    // A stream that broke says nothing about the worker: only its lease is not refreshed any more.
                    let request = request.ok().flatten().ok_or(SessionEnd::Left)?;
                    self.receive(request).await?;
                }
            }
        }
    }

    /// Derives from the committed state whether the session is in force, and what the worker is to be told.
    async fn tell(&mut self) -> Result<(), SessionEnd> {
        let state = self.context.store.local();
        match standing(&state, &self.registration.handle, self.token_hash) {
            Standing::NotYet => return Ok(()),
            Standing::InForce => {}
            Standing::Over(end) => return Err(end),
        }
        let now = self.context.store.cluster_now();
        for message in self.outbox.due(&state, self.registration.handle.worker, now) {
            self.send_response(message).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, request: SessionRequest) -> Result<(), SessionEnd> {
        match request.message {
            Some(Said::Heartbeat(heartbeat)) => self.heartbeat(heartbeat).await,
            Some(Said::Report(report)) => self.report(&report),
            Some(Said::Drain(drain)) => {
                self.drain(&drain);
                Ok(())
            }
            Some(Said::Goodbye(goodbye)) => Err(self.goodbye(&goodbye).await),
            Some(Said::Live(live)) => {
                let (state, worker) = (self.context.store.local(), self.registration.handle.worker);
                self.context.evidence.live().note(&state, worker, live);
                Ok(())
            }
            Some(Said::Hello(_)) => Err(BadField::new("message", "hello is only the first message").into()),
            None => Err(BadField::new("message", "is required").into()),
        }
    }

    /// A sign of life when it arrives, whatever it says.
    async fn heartbeat(&mut self, heartbeat: v1::Heartbeat) -> Result<(), SessionEnd> {
        let report = decode::health("heartbeat.health", heartbeat.health.as_ref())?;
        let cluster_now = self.context.store.cluster_now();
        let skew = heartbeats::clock_skew_ms(heartbeat.wall_ms, cluster_now);
        let vitals = heartbeats::vitals(heartbeat.active_endpoints, heartbeat.health.as_ref(), skew);
        let handle = &self.registration.handle;
        let beat = self.heartbeats.take(heartbeat.seq, Instant::now());
        if beat == Beat::Flood {
            return Err(SessionEnd::Flood);
        }
        self.context
            .liveness
            .note_heard(handle.worker, LivenessProfile::Session, handle.epoch, vitals);
        if beat == Beat::New {
            metrics::counter!("reeve_worker_heartbeats_total").increment(1);
            if heartbeat.health.is_some() {
                self.issues.wanted =
                    health::assess(&self.issues.wanted, &report, self.context.config.unhealthy_above);
                self.propose_health();
            }
        }
        let ack = v1::HeartbeatAck {
            seq: heartbeat.seq,
            sent_ms: heartbeat.sent_ms,
            cluster_time_ms: encode::instant(cluster_now),
            clock_skew_ms: skew.unwrap_or(0),
        };
        self.send(Answer::HeartbeatAck(ack)).await
    }

    /// Only changes enter the log, one at a time. What failed is tried again with the next heartbeat.
    fn propose_health(&mut self) {
        if self.issues.under_way || self.issues.wanted == self.issues.committed {
            return;
        }
        self.issues.under_way = true;
        let handle = &self.registration.handle;
        let issues = self.issues.wanted.clone();
        let command = SetHealth {
            worker: handle.worker,
            epoch: handle.epoch,
            issues: issues.clone(),
        };
        let proposed = propose(self.context.clone(), Command::SetHealth(command));
        self.work
            .push(Box::pin(async move { Done::Health(issues, proposed.await) }));
    }

    fn report(&mut self, report: &v1::Report) -> Result<(), SessionEnd> {
        let report = decode::report(self.registration.handle.worker, report)?;
        if let Some(report) = self.reports.push(report) {
            self.commit_report(report);
        }
        Ok(())
    }

    fn commit_report(&mut self, report: Report) {
        let store = self.context.store.clone();
        self.work.push(Box::pin(async move {
            let result = reports::commit(&store, &report).await;
            reports::keep_late(&store, &report, &result).await;
            Done::Report(report, result)
        }));
    }

    fn drain(&mut self, drain: &v1::DrainRequest) {
        if self.draining {
            return;
        }
        self.draining = true;
        let handle = &self.registration.handle;
        let order = DrainOrder {
            actor: DrainActor::Worker(handle.incarnation),
            reason: decode::brief(&drain.reason),
            timeout: Millis(u64::from(drain.deadline_ms)),
            then: AfterDrain::Disconnect,
        };
        let command = Command::SetDrain(SetDrain {
            worker: handle.worker,
            drain: Some(order),
        });
        let context = self.context.clone();
        self.work.push(Box::pin(async move {
            Done::Drain(propose_until_answered(context, command).await)
        }));
    }

    /// The worker leaves: what it reported before comes first. It is gone either way, so the session ends whatever the log says.
    async fn goodbye(&mut self, goodbye: &v1::Goodbye) -> SessionEnd {
        let reports = tokio::time::timeout(COMMAND_TIMEOUT, self.finish_reports()).await;
        if let Ok(Err(end)) = reports {
            return end;
        }
        let handle = Arc::clone(&self.registration.handle);
        let reason = decode::brief(&goodbye.reason);
        let command = DisconnectWorker {
            worker: handle.worker,
            epoch: handle.epoch,
            reason,
        };
        // A task of its own: the worker does not wait for ever, and the cluster is to know that it left although its stream is gone.
        let leave = tokio::spawn(leave(self.context.clone(), command));
        if let Err(error) = leave.await {
            tracing::error!(worker = %handle.worker, %error, "a Goodbye was not committed");
        }
        SessionEnd::Left
    }

    async fn finish_reports(&mut self) -> Result<(), SessionEnd> {
        while !self.reports.is_idle() {
            match self.work.next().await {
                Some(done) => self.finish(done).await?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn finish(&mut self, done: Done) -> Result<(), SessionEnd> {
        match done {
            Done::Report(report, result) => self.finish_report(report, &result?).await,
            Done::Health(issues, result) => {
                self.finish_health(issues, &result);
                Ok(())
            }
            Done::Drain(result) => self.finish_drain(&result).await,
        }
    }

    async fn finish_report(&mut self, report: Report, result: &Answered) -> Result<(), SessionEnd> {
        for message in reports::answer(&report, result) {
            if matches!(&message, Answer::Stop(_)) {
                self.outbox.note_abandoned(report.run, report.epoch);
            }
            self.send(message).await?;
        }
        if let Some(next) = self.reports.next(&report) {
            self.commit_report(next);
        }
        Ok(())
    }

    fn finish_health(&mut self, issues: Vec<HealthIssue>, result: &Result<Answered, ProposeError>) {
        self.issues.under_way = false;
        match result {
            Ok(Ok(_)) => {
                self.issues.committed = issues;
                self.propose_health();
            }
            Ok(Err(refusal)) => tracing::debug!(%refusal, "a health report came too late"),
            Err(error) => tracing::debug!(%error, "a health report is not committed yet"),
        }
    }

    async fn finish_drain(&mut self, result: &Result<Answered, ProposeError>) -> Result<(), SessionEnd> {
        let worker = self.registration.handle.worker;
        match result {
            Ok(Ok(_)) => self.send(Answer::DrainAck(v1::DrainAck {})).await,
            Ok(Err(refusal)) => {
                // The session is over; the worker says Hello again and that it drains.
                tracing::info!(%worker, %refusal, "a drain came too late");
                self.draining = false;
                Ok(())
            }
            Err(error) => Err(SessionEnd::from(error.clone())),
        }
    }

    async fn send(&mut self, message: Answer) -> Result<(), SessionEnd> {
        self.send_response(SessionResponse {
            message: Some(message),
        })
        .await
    }

    /// Waits while the worker does not read.
    async fn send_response(&mut self, response: SessionResponse) -> Result<(), SessionEnd> {
        self.outbound
            .send(Ok(response))
            .await
            .map_err(|_| SessionEnd::Left)
    }
}

async fn leave(context: Context, command: DisconnectWorker) {
    let worker = command.worker;
    match propose(context, Command::DisconnectWorker(command)).await {
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => tracing::info!(%worker, %refusal, "a Goodbye came too late"),
        Err(error) => tracing::warn!(%worker, %error, "a Goodbye is not committed"),
    }
}

async fn propose(context: Context, command: Command) -> Result<Answered, ProposeError> {
    let envelope = Envelope::internal(command);
    let deadline = Instant::now() + COMMAND_TIMEOUT;
    Ok(context
        .store
        .propose(envelope, Lane::Reconciler, deadline)
        .await?
        .result)
}

/// For commands that are idempotent by themselves: tried until the log has answered or the node stops.
async fn propose_until_answered(context: Context, command: Command) -> Result<Answered, ProposeError> {
    const PAUSE: Duration = Duration::from_millis(500);
    loop {
        match propose(context.clone(), command.clone()).await {
            Ok(answered) => return Ok(answered),
            Err(error @ ProposeError::Fatal(_)) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "a command of a session is not committed yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
