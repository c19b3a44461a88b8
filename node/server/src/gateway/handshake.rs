//! From the first message to Welcome: one log command a connect, with the credential check in apply.

use std::time::Duration;

use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::session_response::Message as Answer;
use reeve_proto::v1::{HeldAssignment, Hello, SessionRequest, SessionResponse, Welcome};
use reeve_state::State;
use reeve_state::command::{Applied, Command, ConnectWorker, Envelope, Refusal, Reply, SessionGrant};
use reeve_state::id::{Revision, TokenHash, WorkerId};
use reeve_state::time::Millis;
use reeve_state::transition::worker::{HealthIssue, LivenessProfile};
use reeve_store::{Consistency, Lane, ReadError};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::decode::{self, BadField};
use super::encode;
use super::end::SessionEnd;
use super::health;
use super::heartbeats;
use super::outbox::Outbox;
use super::session::Session;
use super::{Gateway, Outbound};
use crate::convert::time;
use crate::mutants;
use crate::seal::Sealer;

/// How long a connect may wait for the log.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connect may wait for its turn; workers wait as long for their Welcome.
const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// Deadline of the drain of a process that says it drains, if the cluster knows of none (D21).
const DEFAULT_DRAIN: Millis = Millis::from_secs(600);
/// Least time between two progress reports of an assignment.
const REPORT_INTERVAL_MS: u32 = 1_000;

/// Takes the Hello, commits it and answers Welcome.
pub(super) async fn welcome(
    gateway: &Gateway,
    requests: &mut Streaming<SessionRequest>,
    outbound: &Outbound,
) -> Result<Session, SessionEnd> {
    if let Some(end) = gateway.hub.closed() {
        return Err(end);
    }
    let hello = identified(gateway, requests).await?;
    let mut connect = connect_command(gateway, &hello)?;
    let shown = connect.token_hash;
    mutants::token_let_in(&gateway.context.store.local(), &mut connect);
    let known = known(gateway, connect.token_hash).await?;
    let _turn = turn(gateway).await?;
    // Before the log, so that a worker that is sent away loses nothing. Held until the session is entered.
    let _place = gateway.hub.admit(known)?;
    let (token_hash, incarnation, issues) = (connect.token_hash, connect.incarnation, connect.health.clone());
    let applied = propose(gateway, connect).await?;
    let grant = granted(applied.result)?;
    mutants::let_token_in(shown, grant.worker);
    let state = applied_state(gateway, applied.revision).await?;

    let vitals = heartbeats::vitals(0, hello.health.as_ref(), clock_skew(gateway, hello.wall_ms));
    gateway
        .context
        .liveness
        .note_heard(grant.worker, LivenessProfile::Session, grant.epoch, vitals);
    let registration = gateway.hub.register(grant.worker, grant.epoch, incarnation)?;
    let message = Answer::Welcome(welcome_message(gateway, &state, &grant));
    outbound
        .send(Ok(SessionResponse {
            message: Some(message),
        }))
        .await
        .map_err(|_| SessionEnd::Left)?;
    tracing::info!(worker = %grant.worker, epoch = grant.epoch.0, resumed = grant.resumed.len(), "session begins");
    Ok(Session::new(
        gateway.context.clone(),
        registration,
        token_hash,
        outbound.clone(),
        Outbox::new(
            grant.resumed.iter().map(|resumed| (resumed.run, resumed.epoch)),
            gateway.context.config.cluster_secret.as_ref().map(Sealer::new),
        ),
        issues,
    ))
}

/// The worker of a token. A stranger's Hello costs no entry of the log: what this node does not know, the cluster is asked for. Whether the
/// token is good is decided in the log all the same.
async fn known(gateway: &Gateway, token_hash: TokenHash) -> Result<WorkerId, SessionEnd> {
    let store = &gateway.context.store;
    let find = |state: &State| state.worker_by_token(token_hash).map(|worker| worker.id);
    if let Some(worker) = find(&store.local()) {
        return Ok(worker);
    }
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    match store.read(Consistency::Linearizable, deadline).await {
        Ok(state) => find(&state).ok_or(SessionEnd::TokenRejected),
        Err(ReadError::Unavailable { reason }) => Err(SessionEnd::from(reason)),
        Err(ReadError::Fatal(_)) => Err(SessionEnd::ShuttingDown),
    }
}

/// First come, first served; a worker that gave up meanwhile loses its place, because its handshake is dropped.
async fn turn(gateway: &Gateway) -> Result<SemaphorePermit<'_>, SessionEnd> {
    let waited = tokio::time::timeout(TURN_TIMEOUT, gateway.connecting.acquire()).await;
    let permit = waited
        .map_err(|_| SessionEnd::Overloaded)?
        .map_err(|_| SessionEnd::ShuttingDown)?;
    // The node may have been cut off while the worker waited.
    gateway.hub.closed().map_or(Ok(permit), Err)
}

/// The first message, in time; so many connections at most wait for it.
async fn identified(
    gateway: &Gateway,
    requests: &mut Streaming<SessionRequest>,
) -> Result<Hello, SessionEnd> {
    let _waits = gateway
        .unidentified
        .try_acquire()
        .map_err(|_| SessionEnd::TooManyConnections)?;
    let timeout = gateway.context.config.sessions.hello_timeout;
    let first = tokio::time::timeout(timeout, requests.message())
        .await
        .map_err(|_| SessionEnd::HelloTimeout)?;
    hello(first)
}

fn clock_skew(gateway: &Gateway, wall_ms: i64) -> Option<i64> {
    heartbeats::clock_skew_ms(wall_ms, gateway.context.store.cluster_now())
}

fn hello(first: Result<Option<SessionRequest>, Status>) -> Result<Hello, SessionEnd> {
    let message = first
        .map_err(|_| SessionEnd::Left)?
        .ok_or(SessionEnd::Left)?
        .message;
    match message {
        Some(Said::Hello(hello)) => Ok(hello),
        Some(Said::Heartbeat(_) | Said::Report(_) | Said::Drain(_) | Said::Goodbye(_) | Said::Live(_))
        | None => Err(SessionEnd::Bad(BadField::new(
            "message",
            "the first message must be hello",
        ))),
    }
}

fn connect_command(gateway: &Gateway, hello: &Hello) -> Result<ConnectWorker, SessionEnd> {
    let token_hash = decode::token_hash(&hello.token).ok_or(SessionEnd::TokenRejected)?;
    let report = decode::health("hello.health", hello.health.as_ref())?;
    let before = issues_in_force(&gateway.context.store.local(), token_hash);
    Ok(ConnectWorker {
        token_hash,
        node: gateway.context.config.id,
        incarnation: decode::incarnation(&hello.incarnation)?,
        capacity: hello.capacity,
        sip_capacity: hello.sip_capacity,
        health: health::assess(&before, &report, gateway.context.config.unhealthy_above),
        held: decode::held(&hello.held)?,
        draining: hello.draining.then_some(DEFAULT_DRAIN),
        version: decode::brief(&hello.version),
        attempt: hello.attempt,
    })
}

/// What this node knows of the worker's health, so that the hysteresis outlives the session.
fn issues_in_force(state: &State, token_hash: TokenHash) -> Vec<HealthIssue> {
    state
        .worker_by_token(token_hash)
        .map(|worker| worker.facts.health.issues.clone())
        .unwrap_or_default()
}

async fn propose(gateway: &Gateway, connect: ConnectWorker) -> Result<Applied, SessionEnd> {
    let envelope = Envelope::internal(Command::ConnectWorker(connect));
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    Ok(gateway
        .context
        .store
        .propose(envelope, Lane::Reconciler, deadline)
        .await?)
}

fn granted(result: Result<Reply, Refusal>) -> Result<SessionGrant, SessionEnd> {
    match result {
        Ok(Reply::Session(grant)) => Ok(grant),
        Ok(reply @ (Reply::Done | Reply::Object { .. } | Reply::Reported { .. })) => Err(
            SessionEnd::Unexpected(format!("a connect was answered with {reply:?}")),
        ),
        Err(Refusal::TokenRejected) => Err(SessionEnd::TokenRejected),
        // A later attempt of the same process was granted meanwhile.
        Err(Refusal::SessionOver { .. }) => Err(SessionEnd::Replaced),
        Err(Refusal::TokenExpired { .. }) => Err(SessionEnd::TokenExpired),
        Err(
            refusal @ (Refusal::NotFound { .. }
            | Refusal::AlreadyExists { .. }
            | Refusal::RequestIdReused { .. }
            | Refusal::Invalid { .. }
            | Refusal::WrongStatus { .. }
            | Refusal::TestInUse { .. }
            | Refusal::Stale { .. }
            | Refusal::StaleTerm { .. }
            | Refusal::KeyRejected { .. }
            | Refusal::RoleTooLow { .. }
            | Refusal::KeysExist
            | Refusal::LastAdminKey { .. }
            | Refusal::WorkerBusy { .. }
            | Refusal::WorkerOfAnotherKey { .. }
            | Refusal::OtherProject { .. }
            | Refusal::OverPlan(_)
            | Refusal::SipUnavailable(_)
            | Refusal::InUse { .. }
            | Refusal::ProjectInUse { .. }
            | Refusal::WrongProfile { .. }
            | Refusal::TestProbed { .. }
            | Refusal::SlotNotOpen { .. }
            | Refusal::EpochOver { .. }
            | Refusal::ReportOutOfOrder { .. }
            | Refusal::ReportInvalid { .. }
            | Refusal::Placement(_)
            | Refusal::NotYet { .. }
            | Refusal::ClusterVersion { .. }),
        ) => Err(SessionEnd::Unexpected(refusal.to_string())),
    }
}

/// A state that has applied the connect: this node's own, as soon as it is there.
async fn applied_state(gateway: &Gateway, revision: Revision) -> Result<std::sync::Arc<State>, SessionEnd> {
    let reached = gateway.context.store.reached(revision);
    tokio::time::timeout(CONNECT_TIMEOUT, reached)
        .await
        .map_err(|_| SessionEnd::NoLeader)
}

fn welcome_message(gateway: &Gateway, state: &State, grant: &SessionGrant) -> Welcome {
    let (store, config) = (&gateway.context.store, &gateway.context.config);
    Welcome {
        worker_id: grant.worker.to_string(),
        worker_name: state
            .worker(grant.worker)
            .map(|worker| worker.name.clone())
            .unwrap_or_default(),
        session_epoch: grant.epoch.0,
        heartbeat_interval_ms: time::wire_ms(config.heartbeat_interval),
        down_after_ms: time::wire_ms(config.down_after),
        nodes: store
            .status()
            .members
            .into_iter()
            .map(|member| member.info.grpc_addr)
            .filter(|address| !address.is_empty())
            .collect(),
        cluster_time_ms: encode::instant(store.cluster_now()),
        report_interval_ms: REPORT_INTERVAL_MS,
        resumed: grant
            .resumed
            .iter()
            .map(|resumed| HeldAssignment {
                run_id: resumed.run.to_string(),
                epoch: resumed.epoch.0,
                acked_seq: resumed.acked_seq,
            })
            .collect(),
        evidence: true,
    }
}
