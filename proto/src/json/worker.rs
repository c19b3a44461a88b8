//! A worker as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DrainJson, time};
use crate::names::name_of;
use crate::v1;

/// A worker of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// How it talks to the nodes: SESSION or PING (D4).
    pub profile: String,
    /// What it executes, `package/name:major.minor.patch` (D17).
    pub function_blocks: Vec<String>,
    /// Of its program, as it said.
    pub version: String,
    /// As a ping worker said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip_address: String,
    /// From then on its token is refused; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<String>,
    /// Present while it drains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainJson>,
    /// How often it left ONLINE for ERROR or UNREACHABLE.
    pub flaps: FlapsJson,
    /// Present on tombstones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    /// Its last report that the answering node knows of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesJson>,
    /// Its clock less cluster time, as of its last report with a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// How often a worker left ONLINE for ERROR or UNREACHABLE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FlapsJson {
    /// Ever.
    pub total: u64,
    /// Of the events that are kept.
    pub last_hour: u32,
}

/// Resources in use, per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResourcesJson {
    /// Processor time.
    pub cpu_percent: u32,
    /// Memory.
    pub memory_percent: u32,
    /// Disk space.
    pub disk_percent: u32,
}

/// One reason behind a worker's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CapacityJson {
    /// All of it.
    pub total: u32,
    /// What assignments hold.
    pub reserved: u32,
    /// What is left.
    pub free: u32,
    /// As registered; 0: not limited there.
    pub configured: u32,
    /// As its process said; 0: it did not yet.
    pub reported: u32,
    /// Of the total at most so many endpoints with executor sip, as the worker measured; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_total: Option<u32>,
    /// Of those, reserved.
    #[serde(default)]
    pub sip_reserved: u32,
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
                configured: capacity.configured,
                reported: capacity.reported,
                sip_total: capacity.sip_total,
                sip_reserved: capacity.sip_reserved,
            },
            active_endpoints: worker.active_endpoints,
            missed_heartbeats: worker.missed_heartbeats,
            last_heard_at: time(&worker.last_heard_at),
            session_node: worker.session_node.clone(),
            session_epoch: worker.session_epoch,
            created_at: time(&worker.created_at),
            profile: name_of::<v1::LivenessProfile>(worker.profile).to_owned(),
            function_blocks: worker.function_blocks.clone(),
            version: worker.version.clone(),
            ip_address: worker.ip_address.clone(),
            token_expires_at: time(&worker.token_expires_at),
            drain: worker.drain.as_ref().map(DrainJson::from),
            flaps: worker.flaps.as_ref().map(FlapsJson::from).unwrap_or_default(),
            deleted_at: time(&worker.deleted_at),
            resources: worker.resources.as_ref().map(ResourcesJson::from),
            clock_skew_ms: worker.clock_skew_ms,
            revision: worker.revision,
        }
    }
}

impl From<&v1::WorkerFlaps> for FlapsJson {
    fn from(flaps: &v1::WorkerFlaps) -> Self {
        Self {
            total: flaps.total,
            last_hour: flaps.last_hour,
        }
    }
}

impl From<&v1::WorkerResources> for ResourcesJson {
    fn from(resources: &v1::WorkerResources) -> Self {
        Self {
            cpu_percent: resources.cpu_percent,
            memory_percent: resources.memory_percent,
            disk_percent: resources.disk_percent,
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
