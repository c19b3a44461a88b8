//! A worker as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::v1;

/// A worker of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerJson {
    /// UUID v7; the `uuid` of the REST paths.
    pub id: String,
    /// Unique among the workers that exist.
    pub name: String,
    /// Who owns the machine (D1).
    pub kind: String,
    /// Where it is.
    pub region: String,
    /// What selectors match.
    pub labels: BTreeMap<String, String>,
    /// Derived from the conditions (D3).
    pub status: String,
    /// Every reason behind the status, the deciding one first.
    pub conditions: Vec<ConditionJson>,
    /// In endpoints.
    pub capacity: CapacityJson,
    /// As last reported.
    pub active_endpoints: u32,
    /// Heartbeats missed in a row.
    pub missed_heartbeats: u32,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard_at: Option<String>,
    /// Name of the node that holds the session; empty without one.
    pub session_node: String,
    /// Rises with each session.
    pub session_epoch: u64,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// One reason behind a worker's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionJson {
    /// Link, Health, Drain, Credential or Deleted.
    #[serde(rename = "type")]
    pub kind: String,
    /// State of that condition.
    pub state: String,
    /// Stable word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Who caused it.
    pub actor: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Capacity in endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityJson {
    /// All of it.
    pub total: u32,
    /// What assignments hold.
    pub reserved: u32,
    /// What is left.
    pub free: u32,
}

/// The answer to a creation: the only place where a token appears (R84).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedWorkerJson {
    /// The new worker.
    pub worker: WorkerJson,
    /// Shown this once; absent when the request is a repetition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
}

impl From<&v1::Worker> for WorkerJson {
    fn from(worker: &v1::Worker) -> Self {
        let capacity = worker.capacity.unwrap_or_default();
        Self {
            id: worker.id.clone(),
            name: worker.name.clone(),
            kind: name_of::<v1::WorkerKind>(worker.kind).to_owned(),
            region: worker.region.clone(),
            labels: worker.labels.clone(),
            status: name_of::<v1::WorkerStatus>(worker.status).to_owned(),
            conditions: worker.conditions.iter().map(ConditionJson::from).collect(),
            capacity: CapacityJson {
                total: capacity.total,
                reserved: capacity.reserved,
                free: capacity.free,
            },
            active_endpoints: worker.active_endpoints,
            missed_heartbeats: worker.missed_heartbeats,
            last_heard_at: time(&worker.last_heard_at),
            session_node: worker.session_node.clone(),
            session_epoch: worker.session_epoch,
            created_at: time(&worker.created_at),
            revision: worker.revision,
        }
    }
}

impl From<&v1::WorkerCondition> for ConditionJson {
    fn from(condition: &v1::WorkerCondition) -> Self {
        Self {
            kind: condition.r#type.clone(),
            state: condition.state.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            actor: condition.actor.clone(),
            since: time(&condition.since),
        }
    }
}
