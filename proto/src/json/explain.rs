//! Why a run is where it is, and what would help, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::{ExplanationJson, ReasonJson, reason};
use super::time;
use crate::definition::format_duration;
use crate::names::name_of;
use crate::v1;

/// Why a run is where it is, or what would become of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunExplanationJson {
    /// The run; absent for a plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// Its test's name.
    pub test_name: String,
    /// Its status; absent for a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// CAN_START, WAITS, CANNOT_START or PLACED.
    pub verdict: String,
    /// What stands in the way (D10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonJson>,
    /// In a sentence.
    pub message: String,
    /// Filter by filter and worker by worker, and what would help.
    #[serde(flatten)]
    pub explanation: ExplanationJson,
    /// Where the endpoints are or would be.
    pub parts: Vec<PlannedPartJson>,
    /// Runs that wait and are served first; one of another project has no id here.
    pub ahead: Vec<String>,
    /// Who has the capacity that it waits for.
    pub holders: Vec<CapacityHolderJson>,
    /// Until when it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long RUNNING should take (R210).
    pub expected_execution: String,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// One step of a way to let a run start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SuggestedChangeJson {
    /// Steps with the same number belong together; any one number would do.
    pub option: u32,
    /// ADD_CAPACITY, ADD_WORKER, REDUCE_ENDPOINTS, REMOVE_GROUP, WAIT, RAISE_LIMIT, CHANGE_DEFINITION or START_AGAIN.
    pub kind: String,
    /// How many endpoints it is about.
    pub endpoints: u64,
    /// The groups concerned.
    pub groups: Vec<String>,
    /// Where capacity is to be added; absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceJson>,
    /// For people.
    pub text: String,
}

/// Where capacity is to be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlaceJson {
    /// In this region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// On this worker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
    /// With these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What placement found about one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerVerdictJson {
    /// The worker.
    pub worker_id: String,
    /// Its name.
    pub worker_name: String,
    /// Its region.
    pub region: String,
    /// Its status.
    pub status: String,
    /// The first filter that it fell to; absent: it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Most endpoints at once.
    pub capacity: u32,
    /// What of it was free for this run.
    pub free: u32,
    /// What of it is held back for runs that waited longer.
    pub held: u32,
}

/// Endpoints of a group on a worker, as they are or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedPartJson {
    /// The worker.
    pub worker_id: String,
    /// Its name.
    pub worker_name: String,
    /// Its region.
    pub region: String,
    /// The group.
    pub group: String,
    /// Index within the group of the first endpoint.
    pub first_endpoint: u32,
    /// How many.
    pub endpoints: u32,
    /// Most endpoints at once on the worker.
    pub capacity: u32,
    /// Reserved on it, these included.
    pub reserved: u32,
    /// How long after the run's start instant the group starts; absent if at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_offset: Option<String>,
}

/// A run that has capacity which another one could use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CapacityHolderJson {
    /// The run; absent if it is of another project.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// Its test's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_name: String,
    /// Endpoints that it has on the workers in question.
    pub endpoints: u64,
    /// When it should be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_end: Option<String>,
}

/// As text; nothing for no time at all.
pub(super) fn some_duration(duration: &prost_types::Duration) -> Option<String> {
    (duration.seconds != 0 || duration.nanos != 0).then(|| format_duration(duration))
}

impl From<&v1::RunExplanation> for RunExplanationJson {
    fn from(explained: &v1::RunExplanation) -> Self {
        let explanation = explained.explanation.clone().unwrap_or_default();
        Self {
            run_id: explained.run_id.clone(),
            test_name: explained.test_name.clone(),
            status: (explained.status != 0).then(|| name_of::<v1::RunStatus>(explained.status).to_owned()),
            verdict: explained.verdict.clone(),
            reason: reason(&explained.reason),
            message: explained.message.clone(),
            explanation: ExplanationJson::from(&explanation),
            parts: explained.parts.iter().map(PlannedPartJson::from).collect(),
            ahead: explained.ahead.clone(),
            holders: explained.holders.iter().map(CapacityHolderJson::from).collect(),
            until: time(&explained.until),
            expected_execution: format_duration(&explained.expected_execution.unwrap_or_default()),
            revision: explained.revision,
        }
    }
}

impl From<&v1::SuggestedChange> for SuggestedChangeJson {
    fn from(change: &v1::SuggestedChange) -> Self {
        Self {
            option: change.option,
            kind: change.kind.clone(),
            endpoints: change.endpoints,
            groups: change.groups.clone(),
            place: change.place.as_ref().map(|place| PlaceJson {
                region: place.region.clone(),
                worker: place.worker_id.clone(),
                labels: place.labels.clone(),
            }),
            text: change.text.clone(),
        }
    }
}

impl From<&v1::WorkerVerdict> for WorkerVerdictJson {
    fn from(verdict: &v1::WorkerVerdict) -> Self {
        Self {
            worker_id: verdict.worker_id.clone(),
            worker_name: verdict.worker_name.clone(),
            region: verdict.region.clone(),
            status: name_of::<v1::WorkerStatus>(verdict.status).to_owned(),
            filter: (!verdict.filter.is_empty()).then(|| verdict.filter.clone()),
            capacity: verdict.capacity,
            free: verdict.free,
            held: verdict.held,
        }
    }
}

impl From<&v1::PlannedPart> for PlannedPartJson {
    fn from(part: &v1::PlannedPart) -> Self {
        Self {
            worker_id: part.worker_id.clone(),
            worker_name: part.worker_name.clone(),
            region: part.region.clone(),
            group: part.group.clone(),
            first_endpoint: part.first_endpoint,
            endpoints: part.endpoints,
            capacity: part.capacity,
            reserved: part.reserved,
            start_offset: part.start_offset.as_ref().and_then(some_duration),
        }
    }
}

impl From<&v1::CapacityHolder> for CapacityHolderJson {
    fn from(holder: &v1::CapacityHolder) -> Self {
        Self {
            run_id: holder.run_id.clone(),
            test_name: holder.test_name.clone(),
            endpoints: holder.endpoints,
            expected_end: time(&holder.expected_end),
        }
    }
}
