//! A run, its timeline, assignments and endpoints as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::explain::{SuggestedChangeJson, WorkerVerdictJson, some_duration};
use super::time;
use crate::definition::DefinitionDocument;
use crate::names::name_of;
use crate::v1;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunJson {
    /// UUID v7.
    pub id: String,
    /// The test that was run.
    pub test_id: String,
    /// Its name when the run was created.
    pub test_name: String,
    /// Its version when the run was created.
    pub test_version: u32,
    /// The test's project.
    #[serde(default)]
    pub project: String,
    /// The probe whose schedule started it; absent: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub probe_id: String,
    /// One of the six statuses (R113).
    pub status: String,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonJson>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Every status so far, oldest first.
    pub timeline: Vec<TimelineEntryJson>,
    /// Counts over all endpoints.
    pub endpoints: EndpointCountsJson,
    /// What each worker holds or held of the run.
    pub assignments: Vec<AssignmentJson>,
    /// When a user asked for its end (D8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_requested_at: Option<String>,
    /// The common start instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<String>,
    /// The end of the wait in QUEUED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_deadline: Option<String>,
    /// The end of RUNNING by the safety limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_deadline: Option<String>,
    /// Why it could not be placed (D10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationJson>,
    /// Endpoint-minutes taken from the project's credits; absent: they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_reserved: Option<u64>,
    /// Endpoint-minutes of these that it used; the rest went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_used: Option<u64>,
    /// As it was when the run was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<DefinitionDocument>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// Why a run is in its status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReasonJson {
    /// Stable word (D10, D12).
    pub code: String,
    /// For people.
    pub message: String,
}

/// One status of a run and when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntryJson {
    /// The status.
    pub status: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonJson>,
}

/// How many endpoints are where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointCountsJson {
    /// All of them.
    pub total: u32,
    /// By phase (R142).
    pub by_phase: BTreeMap<String, u32>,
    /// By outcome (D13); those without one are not counted.
    pub by_outcome: BTreeMap<String, u32>,
}

/// One run's endpoints of one group on one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssignmentJson {
    /// The worker.
    pub worker_id: String,
    /// Its name.
    pub worker_name: String,
    /// The group.
    pub group: String,
    /// Index within the group of the first endpoint.
    pub first_endpoint: u32,
    /// How many.
    pub endpoints: u32,
    /// Fencing number (D14).
    pub epoch: u64,
    /// OFFERED, READY, STARTED, STOPPING, LOST or CLOSED.
    pub status: String,
    /// Why it was withdrawn or lost.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Counts over its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<EndpointCountsJson>,
    /// Endpoints that reached CLOSED by their worker's word (R184).
    #[serde(default)]
    pub completed: u32,
    /// Endpoints that were open when the worker was lost.
    #[serde(default)]
    pub interrupted: u32,
    /// How long after the run's start instant the group starts; absent if at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_offset: Option<String>,
    /// How late the worker began, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_late: Option<String>,
    /// Endpoints of which something was said after the epoch was over (D14).
    #[serde(default)]
    pub late_endpoints: u32,
}

/// Why placement answered as it did (D10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExplanationJson {
    /// Filter by filter, for each group.
    pub groups: Vec<GroupExplanationJson>,
    /// The smallest change that would have let the run start.
    pub suggestion: String,
    /// The same for programs: steps with the same option belong together, any one option would do.
    #[serde(default)]
    pub changes: Vec<SuggestedChangeJson>,
}

/// What placement found for one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GroupExplanationJson {
    /// The group.
    pub group: String,
    /// What it asks for.
    pub endpoints: u32,
    /// Workers looked at.
    pub workers_considered: u32,
    /// How many workers each filter removed.
    pub removed: Vec<FilterCountJson>,
    /// Capacity of those that passed.
    pub capacity_total: u64,
    /// Free capacity of those that passed.
    pub capacity_free: u64,
    /// The workers one by one, those that came furthest first.
    #[serde(default)]
    pub workers: Vec<WorkerVerdictJson>,
    /// How many workers are not listed.
    #[serde(default)]
    pub workers_left_out: u32,
}

/// How many workers one filter removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FilterCountJson {
    /// Stable word, for example `OTHER_REGION`.
    pub filter: String,
    /// How many.
    pub workers: u32,
}

/// One endpoint of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointJson {
    /// Its group.
    pub group: String,
    /// Its index within the group.
    pub index: u32,
    /// The worker that has it.
    pub worker_id: String,
    /// The assignment's fencing number (D14).
    pub epoch: u64,
    /// Where it is (R142).
    pub phase: String,
    /// How it ended; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What its worker said after the epoch was over: evidence that changes nothing (D14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<LateReportJson>,
}

/// What was said too late of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LateReportJson {
    /// Where it was, by its worker.
    pub phase: String,
    /// How it ended, by its worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

impl From<&v1::Run> for RunJson {
    fn from(run: &v1::Run) -> Self {
        Self {
            id: run.id.clone(),
            test_id: run.test_id.clone(),
            test_name: run.test_name.clone(),
            test_version: run.test_version,
            project: run.project.clone(),
            probe_id: run.probe_id.clone(),
            status: name_of::<v1::RunStatus>(run.status).to_owned(),
            reason: reason(&run.reason),
            created_at: time(&run.created_at),
            timeline: run.timeline.iter().map(TimelineEntryJson::from).collect(),
            endpoints: run
                .endpoints
                .as_ref()
                .map(EndpointCountsJson::from)
                .unwrap_or_default(),
            assignments: run.assignments.iter().map(AssignmentJson::from).collect(),
            stop_requested_at: time(&run.stop_requested_at),
            start_at: time(&run.start_at),
            queue_deadline: time(&run.queue_deadline),
            execution_deadline: time(&run.execution_deadline),
            explanation: run.explanation.as_ref().map(ExplanationJson::from),
            credits_reserved: run.credits_reserved,
            credits_used: run.credits_used,
            definition: run.definition.as_ref().map(DefinitionDocument::from),
            revision: run.revision,
        }
    }
}

/// A reason without code and message is no reason.
pub(super) fn reason(reason: &Option<v1::RunReason>) -> Option<ReasonJson> {
    let reason = reason
        .as_ref()
        .filter(|reason| reason.code != 0 || !reason.message.is_empty())?;
    Some(ReasonJson {
        code: name_of::<v1::RunReasonCode>(reason.code).to_owned(),
        message: reason.message.clone(),
    })
}

impl From<&v1::TimelineEntry> for TimelineEntryJson {
    fn from(entry: &v1::TimelineEntry) -> Self {
        Self {
            status: name_of::<v1::RunStatus>(entry.status).to_owned(),
            at: time(&entry.at),
            reason: reason(&entry.reason),
        }
    }
}

impl From<&v1::EndpointCounts> for EndpointCountsJson {
    fn from(counts: &v1::EndpointCounts) -> Self {
        let phase =
            |count: &v1::PhaseCount| (name_of::<v1::EndpointPhase>(count.phase).to_owned(), count.count);
        let outcome = |count: &v1::OutcomeCount| {
            (
                name_of::<v1::EndpointOutcome>(count.outcome).to_owned(),
                count.count,
            )
        };
        Self {
            total: counts.total,
            by_phase: counts.by_phase.iter().map(phase).collect(),
            by_outcome: counts
                .by_outcome
                .iter()
                .filter(|count| count.outcome != 0)
                .map(outcome)
                .collect(),
        }
    }
}

impl From<&v1::Assignment> for AssignmentJson {
    fn from(assignment: &v1::Assignment) -> Self {
        Self {
            worker_id: assignment.worker_id.clone(),
            worker_name: assignment.worker_name.clone(),
            group: assignment.group.clone(),
            first_endpoint: assignment.first_endpoint,
            endpoints: assignment.endpoints,
            epoch: assignment.epoch,
            status: name_of::<v1::AssignmentStatus>(assignment.status).to_owned(),
            detail: assignment.detail.clone(),
            counts: assignment.counts.as_ref().map(EndpointCountsJson::from),
            completed: assignment.completed,
            interrupted: assignment.interrupted,
            start_offset: assignment.start_offset.as_ref().and_then(some_duration),
            start_late: assignment.start_late.as_ref().and_then(some_duration),
            late_endpoints: assignment.late_endpoints,
        }
    }
}

impl From<&v1::Explanation> for ExplanationJson {
    fn from(explanation: &v1::Explanation) -> Self {
        Self {
            groups: explanation
                .groups
                .iter()
                .map(GroupExplanationJson::from)
                .collect(),
            suggestion: explanation.suggestion.clone(),
            changes: explanation
                .changes
                .iter()
                .map(SuggestedChangeJson::from)
                .collect(),
        }
    }
}

impl From<&v1::GroupExplanation> for GroupExplanationJson {
    fn from(group: &v1::GroupExplanation) -> Self {
        Self {
            group: group.group.clone(),
            endpoints: group.endpoints,
            workers_considered: group.workers_considered,
            removed: group
                .removed
                .iter()
                .map(|count| FilterCountJson {
                    filter: count.filter.clone(),
                    workers: count.workers,
                })
                .collect(),
            capacity_total: group.capacity_total,
            capacity_free: group.capacity_free,
            workers: group.workers.iter().map(WorkerVerdictJson::from).collect(),
            workers_left_out: group.workers_left_out,
        }
    }
}

impl From<&v1::Endpoint> for EndpointJson {
    fn from(endpoint: &v1::Endpoint) -> Self {
        Self {
            group: endpoint.group.clone(),
            index: endpoint.index,
            worker_id: endpoint.worker_id.clone(),
            epoch: endpoint.epoch,
            phase: name_of::<v1::EndpointPhase>(endpoint.phase).to_owned(),
            outcome: (endpoint.outcome != 0)
                .then(|| name_of::<v1::EndpointOutcome>(endpoint.outcome).to_owned()),
            late: endpoint.late.as_ref().map(|late| LateReportJson {
                phase: name_of::<v1::EndpointPhase>(late.phase).to_owned(),
                outcome: (late.outcome != 0).then(|| name_of::<v1::EndpointOutcome>(late.outcome).to_owned()),
            }),
        }
    }
}
