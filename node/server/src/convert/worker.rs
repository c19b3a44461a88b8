//! A worker on the wire: its status, and the facts behind it as conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::NodeId;
use reeve_state::record::{Worker, WorkerEvent, WorkerEventKind};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::{
    AfterDrain, CredentialRejected, Drain, DrainActor, HealthFact, HealthIssue, Link, LinkFact, Resource,
    WorkerStatus,
};

use super::{drain, enums, time};
use crate::liveness::Liveness;

/// Who decides what only the cluster can know.
const RECONCILER: &str = "reconciler";

/// What counts as lately, for flaps.
pub const HOUR: Millis = Millis::from_secs(3_600);

/// What a worker's message shows beside its record.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// For what is reserved on it.
    pub state: &'a State,
    /// For when it was heard.
    pub liveness: &'a Liveness,
    /// Names of the nodes.
    pub nodes: &'a BTreeMap<NodeId, String>,
    /// Cluster time.
    pub now: Time,
}

/// To the wire.
pub fn worker(view: View<'_>, worker: &Worker) -> v1::Worker {
    let heard = view.liveness.heard(worker.id, worker.profile);
    let vitals = heard.map(|heard| heard.vitals).unwrap_or_default();
    let total = worker.capacity();
    let reserved = view.state.reserved(worker.id);
    v1::Worker {
        id: worker.id.to_string(),
        name: worker.name.clone(),
        kind: enums::worker_kind(worker.kind).into(),
        region: worker.region.clone(),
        labels: worker.labels.clone(),
        status: enums::worker_status(worker.status()).into(),
        conditions: conditions(view.state, worker),
        capacity: Some(v1::WorkerCapacity {
            total,
            reserved,
            free: total.saturating_sub(reserved),
            configured: worker.configured_capacity.unwrap_or(0),
            reported: worker.reported_capacity.unwrap_or(0),
            sip_total: worker.sip_capacity.map(|_| worker.sip_capacity()),
            sip_reserved: view.state.sip_reserved(worker.id),
        }),
        active_endpoints: vitals.active_endpoints,
        missed_heartbeats: heard.as_ref().map_or(0, |heard| heard.missed),
        last_heard_at: heard.map(|heard| time::wall_ago(heard.age)),
        session_node: worker
            .session
            .map(|session| node_name(view.nodes, session.node))
            .unwrap_or_default(),
        session_epoch: worker.last_epoch.0,
        created_at: Some(time::timestamp(worker.created_at)),
        revision: worker.revision.0,
        profile: enums::liveness_profile(worker.profile).into(),
        function_blocks: worker.function_blocks.iter().cloned().collect(),
        version: worker.version.clone(),
        ip_address: worker.ip_address.clone(),
        token_expires_at: worker.token_expires_at.map(time::timestamp),
        drain: drain::message(view.state, worker, view.now),
        flaps: Some(v1::WorkerFlaps {
            total: worker.flaps,
            last_hour: flaps_last_hour(view.state, worker, view.now),
        }),
        deleted_at: worker.facts.deleted_at.map(time::timestamp),
        resources: vitals.resources.map(|resources| v1::WorkerResources {
            cpu_percent: resources.cpu_percent.into(),
            memory_percent: resources.memory_percent.into(),
            disk_percent: resources.disk_percent.into(),
        }),
        clock_skew_ms: vitals.clock_skew_ms,
    }
}

/// How often a worker flapped within the last hour (R105), of the events that are kept.
pub fn flaps_last_hour(state: &State, worker: &Worker, now: Time) -> u32 {
    let recent = state
        .worker_events(worker.id)
        .rev()
        .take_while(|event| now.since(event.at) < HOUR);
    u32::try_from(recent.filter(|event| event.is_flap()).count()).unwrap_or(u32::MAX)
}

pub(super) fn node_name(nodes: &BTreeMap<NodeId, String>, node: NodeId) -> String {
    nodes.get(&node).cloned().unwrap_or_else(|| format!("n{node}"))
}

/// Every fact, the one that decides the status first.
fn conditions(state: &State, worker: &Worker) -> Vec<v1::WorkerCondition> {
    let facts = &worker.facts;
    let mut all = vec![link(worker, &facts.link), health(worker, &facts.health)];
    all.extend(facts.drain.as_ref().map(|fact| drain(worker, fact)));
    all.extend(facts.credential_rejected.as_ref().map(credential));
    all.extend(facts.deleted_at.map(deleted));
    let deciding = deciding(worker);
    all.sort_by_key(|condition| condition.r#type != deciding);
    // A drain knows who asked for it.
    for condition in all.iter_mut().filter(|condition| condition.r#type != "Drain") {
        if let Some(actor) = actor_of(state, worker, condition) {
            condition.actor = actor;
        }
    }
    all
}

/// Who caused a condition, as the worker's history says; `None` if it is not kept that long.
fn actor_of(state: &State, worker: &Worker, condition: &v1::WorkerCondition) -> Option<String> {
    let caused = |event: &&Arc<WorkerEvent>| {
        condition_of(event.kind) == condition.r#type && Some(time::timestamp(event.at)) == condition.since
    };
    let event = state.worker_events(worker.id).rev().find(caused)?;
    Some(event.actor.clone())
}

/// Which condition an event changes.
const fn condition_of(kind: WorkerEventKind) -> &'static str {
    match kind {
        WorkerEventKind::Registered
        | WorkerEventKind::Connected
        | WorkerEventKind::Suspect
        | WorkerEventKind::Recovered
        | WorkerEventKind::Disconnected => "Link",
        WorkerEventKind::HealthChanged => "Health",
        WorkerEventKind::DrainBegan | WorkerEventKind::DrainEnded => "Drain",
        WorkerEventKind::TokenRegenerated | WorkerEventKind::TokenExpired => "Credential",
        WorkerEventKind::Deleted => "Deleted",
    }
}

/// Which condition the status follows from, in the order of D3.
fn deciding(worker: &Worker) -> &'static str {
    match worker.status() {
        WorkerStatus::Deleted => "Deleted",
        WorkerStatus::Online | WorkerStatus::Offline | WorkerStatus::Unreachable => "Link",
        WorkerStatus::Draining => "Drain",
        WorkerStatus::Error if worker.facts.link.link == Link::Suspect => "Link",
        WorkerStatus::Error if !worker.facts.health.issues.is_empty() => "Health",
        WorkerStatus::Error => "Credential",
    }
}

fn condition(
    kind: &str,
    state: &str,
    reason: &str,
    message: String,
    actor: String,
    since: Time,
) -> v1::WorkerCondition {
    v1::WorkerCondition {
        r#type: kind.to_owned(),
        state: state.to_owned(),
        reason: reason.to_owned(),
        message,
        actor,
        since: Some(time::timestamp(since)),
    }
}

pub(super) fn actor_worker(worker: &Worker) -> String {
    format!("worker:{}", worker.name)
}

fn link(worker: &Worker, fact: &LinkFact) -> v1::WorkerCondition {
    let (state, reason, actor) = match fact.link {
        Link::Never => ("Never", "NEVER_CONNECTED", "registration".to_owned()),
        Link::Up => ("Up", "CONNECTED", actor_worker(worker)),
        Link::Suspect => ("Suspect", "HEARTBEATS_MISSED", RECONCILER.to_owned()),
        Link::Down => ("Down", "DISCONNECTED", RECONCILER.to_owned()),
    };
    condition("Link", state, reason, fact.reason.clone(), actor, fact.since)
}

fn health(worker: &Worker, fact: &HealthFact) -> v1::WorkerCondition {
    let (state, reason) = match fact.issues.first() {
        None => ("Healthy", "BELOW_THRESHOLDS"),
        Some(issue) => ("Unhealthy", issue_reason(issue)),
    };
    let message = fact.issues.iter().map(issue_text).collect::<Vec<_>>().join(", ");
    condition("Health", state, reason, message, actor_worker(worker), fact.since)
}

const fn issue_reason(issue: &HealthIssue) -> &'static str {
    match issue.resource {
        Resource::Cpu => "CPU_ABOVE_THRESHOLD",
        Resource::Memory => "MEMORY_ABOVE_THRESHOLD",
        Resource::Disk => "DISK_ABOVE_THRESHOLD",
    }
}

fn issue_text(issue: &HealthIssue) -> String {
    let resource = match issue.resource {
        Resource::Cpu => "CPU",
        Resource::Memory => "memory",
        Resource::Disk => "disk",
    };
    format!("{resource} at {} %", issue.percent)
}

fn drain(worker: &Worker, fact: &Drain) -> v1::WorkerCondition {
    let reason = match &fact.actor {
        DrainActor::Worker(_) => "ASKED_BY_WORKER",
        DrainActor::Admin(_) => "ASKED_BY_ADMIN",
        DrainActor::Platform => "MAINTENANCE",
    };
    let state = match fact.then {
        AfterDrain::Disconnect => "DrainingThenDisconnect",
        AfterDrain::Resume => "DrainingThenResume",
    };
    let actor = drain::actor(worker, fact);
    condition("Drain", state, reason, fact.reason.clone(), actor, fact.since)
}

fn credential(fact: &CredentialRejected) -> v1::WorkerCondition {
    condition(
        "Credential",
        "Rejected",
        "TOKEN_REJECTED",
        fact.reason.clone(),
        RECONCILER.to_owned(),
        fact.since,
    )
}

fn deleted(at: Time) -> v1::WorkerCondition {
    condition(
        "Deleted",
        "Deleted",
        "DELETED",
        "the worker was deleted".to_owned(),
        RECONCILER.to_owned(),
        at,
    )
}
