//! Answers of the registry's calls as JSON: registration, pings, history, cleanup.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{WorkerJson, format_time, time};
use crate::names::name_of;
use crate::v1;

/// The answer to a creation: the only place where a token appears (R84).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedWorkerJson {
    /// The new worker.
    pub worker: WorkerJson,
    /// Shown this once; absent when the request is a repetition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
}

impl fmt::Debug for CreatedWorkerJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedWorkerJson")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

/// The answer to a ping worker that registers (R343).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegisteredWorkerJson {
    /// The id under which it pings.
    pub uuid: String,
    /// The worker.
    pub worker: WorkerJson,
    /// How often to ping.
    pub ping_interval_ms: u32,
    /// Silence after which it is UNREACHABLE.
    pub unreachable_after_ms: u32,
    /// Silence after which it is OFFLINE.
    pub offline_after_ms: u32,
}

/// The answer to a ping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PingedJson {
    /// The worker's status.
    pub status: String,
    /// RFC 3339, UTC.
    pub cluster_time: String,
    /// The worker's clock less cluster time, if the ping had a timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// How often to ping.
    pub ping_interval_ms: u32,
    /// Its drain is complete, and it is to leave: unregister.
    pub leave: bool,
}

/// Something that happened to a worker's connection or status (R182).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerEventJson {
    /// Counts the events of the worker, from 1.
    pub seq: u64,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// CONNECTED, SUSPECT, …
    pub kind: String,
    /// Absent on the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_before: Option<String>,
    /// The status after it.
    pub status: String,
    /// Where the worker was connected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The session that it is about.
    pub session_epoch: u64,
    /// Who caused it.
    pub actor: String,
    /// For people.
    pub message: String,
    /// The revision that it came with (D28).
    pub revision: u64,
}

/// Workers that take work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct OnlineWorkersJson {
    /// The page.
    pub items: Vec<WorkerJson>,
    /// How many there are on all pages (R374).
    pub count: u64,
    /// Where the next page begins; empty on the last one.
    pub next_page_token: String,
    /// The revision that the list shows.
    pub revision: u64,
}

/// What a cleanup deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CleanedJson {
    /// Ids of the workers.
    pub deleted: Vec<String>,
}

impl From<&v1::RegisterWorkerResponse> for RegisteredWorkerJson {
    fn from(response: &v1::RegisterWorkerResponse) -> Self {
        let worker = WorkerJson::from(&response.worker.clone().unwrap_or_default());
        Self {
            uuid: worker.id.clone(),
            worker,
            ping_interval_ms: response.ping_interval_ms,
            unreachable_after_ms: response.unreachable_after_ms,
            offline_after_ms: response.offline_after_ms,
        }
    }
}

impl From<&v1::PingWorkerResponse> for PingedJson {
    fn from(response: &v1::PingWorkerResponse) -> Self {
        let cluster_time = response.cluster_time.as_ref().and_then(format_time);
        Self {
            status: name_of::<v1::WorkerStatus>(response.status).to_owned(),
            cluster_time: cluster_time.unwrap_or_default(),
            clock_skew_ms: response.clock_skew_ms,
            ping_interval_ms: response.ping_interval_ms,
            leave: response.leave,
        }
    }
}

impl From<&v1::WorkerEvent> for WorkerEventJson {
    fn from(event: &v1::WorkerEvent) -> Self {
        let status = |status| name_of::<v1::WorkerStatus>(status).to_owned();
        Self {
            seq: event.seq,
            at: time(&event.at),
            kind: name_of::<v1::WorkerEventKind>(event.kind).to_owned(),
            status_before: (event.status_before != 0).then(|| status(event.status_before)),
            status: status(event.status),
            node: event.node.clone(),
            session_epoch: event.session_epoch,
            actor: event.actor.clone(),
            message: event.message.clone(),
            revision: event.revision,
        }
    }
}
