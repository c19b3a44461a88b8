//! What happened to a worker, as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::v1;

/// One event of a worker's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerEventJson {
    /// Counts the events of the worker, from 1.
    pub seq: u64,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// REGISTERED, CONNECTED, SUSPECT, RECOVERED, …
    pub kind: String,
    /// Absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_before: Option<String>,
    /// Afterwards.
    pub status: String,
    /// Where the worker was connected; empty if nowhere.
    pub node: String,
    /// Of the session.
    pub session_epoch: u64,
    /// Who caused it.
    pub actor: String,
    /// For people.
    pub message: String,
    /// When it happened, as a revision.
    pub revision: u64,
}

impl From<&v1::WorkerEvent> for WorkerEventJson {
    fn from(event: &v1::WorkerEvent) -> Self {
        let before = event.status_before;
        Self {
            seq: event.seq,
            at: time(&event.at),
            kind: name_of::<v1::WorkerEventKind>(event.kind).to_owned(),
            status_before: (before != 0).then(|| name_of::<v1::WorkerStatus>(before).to_owned()),
            status: name_of::<v1::WorkerStatus>(event.status).to_owned(),
            node: event.node.clone(),
            session_epoch: event.session_epoch,
            actor: event.actor.clone(),
            message: event.message.clone(),
            revision: event.revision,
        }
    }
}
