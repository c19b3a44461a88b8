//! The history of a worker: what a change of its record means, as events (R182). Nothing can change a worker and not be in it.

use crate::record::{Worker, WorkerEventKind};
use crate::transition::worker::{HealthIssue, Link, LivenessProfile, Resource};

/// What happened, and how to say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) kind: WorkerEventKind,
    pub(super) message: String,
}

/// What happened between two versions of a worker, in the order in which it is told.
pub(super) fn happened(before: Option<&Worker>, after: &Worker) -> Vec<Happened> {
    let Some(before) = before else {
        return vec![Happened {
            kind: WorkerEventKind::Registered,
            message: format!("registered as a {} worker", after.profile),
        }];
    };
    let all = [
        deleted(before, after),
        link(before, after),
        registered_again(before, after),
        credential(before, after),
        health(before, after),
        drain(before, after),
    ];
    all.into_iter().flatten().collect()
}

fn event(kind: WorkerEventKind, message: impl Into<String>) -> Option<Happened> {
    Some(Happened {
        kind,
        message: message.into(),
    })
}

fn link(before: &Worker, after: &Worker) -> Option<Happened> {
    let reason = after.facts.link.reason.as_str();
    if after.last_epoch > before.last_epoch {
        let message = match before.session {
            Some(old) => format!("{reason}; the session on node {} is over", old.node),
            None => reason.to_owned(),
        };
        return event(WorkerEventKind::Connected, message);
    }
    match (before.facts.link.link, after.facts.link.link) {
        (Link::Up, Link::Suspect) => event(WorkerEventKind::Suspect, reason),
        (Link::Suspect, Link::Up) => event(WorkerEventKind::Recovered, reason),
        (Link::Up | Link::Suspect, Link::Down) => event(WorkerEventKind::Disconnected, reason),
        (Link::Never | Link::Up | Link::Suspect | Link::Down, _) => None,
    }
}

/// Only ping workers say again who they are (D4a).
fn registered_again(before: &Worker, after: &Worker) -> Option<Happened> {
    let said = |worker: &Worker| {
        (
            worker.region.clone(),
            worker.labels.clone(),
            worker.configured_capacity,
            worker.function_blocks.clone(),
            worker.ip_address.clone(),
        )
    };
    let version = after.profile == LivenessProfile::Ping && before.version != after.version;
    if version || said(before) != said(after) {
        return event(WorkerEventKind::Registered, "registered again, with other fields");
    }
    None
}

fn credential(before: &Worker, after: &Worker) -> Option<Happened> {
    if before.token_hash != after.token_hash {
        return event(WorkerEventKind::TokenRegenerated, "the token was regenerated");
    }
    match (
        &before.facts.credential_rejected,
        &after.facts.credential_rejected,
    ) {
        (None, Some(rejected)) => event(WorkerEventKind::TokenExpired, rejected.reason.as_str()),
        (Some(_), _) | (None, None) => None,
    }
}

fn health(before: &Worker, after: &Worker) -> Option<Happened> {
    let (was, is) = (&before.facts.health.issues, &after.facts.health.issues);
    if was == is {
        return None;
    }
    let message = if is.is_empty() {
        "below all thresholds again".to_owned()
    } else {
        is.iter().map(issue_text).collect::<Vec<_>>().join(", ")
    };
    event(WorkerEventKind::HealthChanged, message)
}

fn issue_text(issue: &HealthIssue) -> String {
    let resource = match issue.resource {
        Resource::Cpu => "CPU",
        Resource::Memory => "memory",
        Resource::Disk => "disk",
    };
    format!("{resource} at {} %", issue.percent)
}

fn drain(before: &Worker, after: &Worker) -> Option<Happened> {
    match (&before.facts.drain, &after.facts.drain) {
        (was, Some(is)) if was.as_ref() != Some(is) => event(WorkerEventKind::DrainBegan, is.reason.as_str()),
        (Some(_), None) => event(WorkerEventKind::DrainEnded, "the drain ended"),
        (Some(_) | None, Some(_)) | (None, None) => None,
    }
}

fn deleted(before: &Worker, after: &Worker) -> Option<Happened> {
    match (before.facts.deleted_at, after.facts.deleted_at) {
        (None, Some(_)) => event(WorkerEventKind::Deleted, "deleted"),
        (Some(_), _) | (None, None) => None,
    }
}
