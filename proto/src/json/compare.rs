//! Two runs side by side, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::MetricJson;
use super::run::{EndpointCountsJson, ReasonJson, reason};
use super::time;
use crate::definition::format_duration;
use crate::names::name_of;
use crate::v1;

/// Two runs side by side (R183).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunComparisonJson {
    /// The one.
    pub a: RunSideJson,
    /// The other.
    pub b: RunSideJson,
    /// Whether both executed the same definition.
    pub same_definition: bool,
    /// Workers that had endpoints of either.
    pub workers: Vec<WorkerComparisonJson>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// One of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunSideJson {
    /// Its id.
    pub run_id: String,
    /// Its test's name.
    pub test_name: String,
    /// The version of the definition.
    pub test_version: u32,
    /// Its status.
    pub status: String,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonJson>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// How long it was in each status that it left, in order.
    pub durations: Vec<StatusDurationJson>,
    /// Counts over its endpoints.
    pub endpoints: EndpointCountsJson,
    /// Endpoints that reached CLOSED by their worker's word.
    pub completed: u32,
    /// Endpoints that were open when their worker was lost.
    pub interrupted: u32,
    /// Workers that had endpoints of it.
    pub workers: u32,
    /// Those of them that were lost.
    pub workers_lost: u32,
    /// Runs that were in RUNNING at the same time.
    pub concurrent_runs: u32,
    /// Their endpoints.
    pub concurrent_endpoints: u64,
    /// What was measured, by metric; empty until the run has ended and its evidence is gathered.
    #[serde(default)]
    pub metrics: BTreeMap<String, MetricJson>,
    /// Whether nothing of it is missing.
    #[serde(default)]
    pub metrics_complete: bool,
}

/// How long a run was in a status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusDurationJson {
    /// The status.
    pub status: String,
    /// For example `1s250ms`.
    pub took: String,
}

/// What a worker had of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerComparisonJson {
    /// The worker.
    pub worker_id: String,
    /// Its name.
    pub worker_name: String,
    /// Its status now; absent if it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What it had of the one; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<WorkerShareJson>,
    /// What it had of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<WorkerShareJson>,
}

/// What a worker had of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerShareJson {
    /// How many endpoints.
    pub endpoints: u32,
    /// Those that reached CLOSED by its word.
    pub completed: u32,
    /// Those that were open when it was lost.
    pub interrupted: u32,
    /// Whether it was lost.
    pub lost: bool,
}

impl From<&v1::RunComparison> for RunComparisonJson {
    fn from(comparison: &v1::RunComparison) -> Self {
        let side = |side: &Option<v1::RunSide>| RunSideJson::from(&side.clone().unwrap_or_default());
        Self {
            a: side(&comparison.a),
            b: side(&comparison.b),
            same_definition: comparison.same_definition,
            workers: comparison
                .workers
                .iter()
                .map(WorkerComparisonJson::from)
                .collect(),
            revision: comparison.revision,
        }
    }
}

impl From<&v1::RunSide> for RunSideJson {
    fn from(side: &v1::RunSide) -> Self {
        let duration = |one: &v1::StatusDuration| StatusDurationJson {
            status: name_of::<v1::RunStatus>(one.status).to_owned(),
            took: format_duration(&one.took.unwrap_or_default()),
        };
        let endpoints = side.endpoints.as_ref().map(EndpointCountsJson::from);
        Self {
            run_id: side.run_id.clone(),
            test_name: side.test_name.clone(),
            test_version: side.test_version,
            status: name_of::<v1::RunStatus>(side.status).to_owned(),
            reason: reason(&side.reason),
            created_at: time(&side.created_at),
            durations: side.durations.iter().map(duration).collect(),
            endpoints: endpoints.unwrap_or_default(),
            completed: side.completed,
            interrupted: side.interrupted,
            workers: side.workers,
            workers_lost: side.workers_lost,
            concurrent_runs: side.concurrent_runs,
            concurrent_endpoints: side.concurrent_endpoints,
            metrics: side.metrics.iter().map(figures).collect(),
            metrics_complete: side.metrics_complete,
        }
    }
}

impl From<&v1::WorkerComparison> for WorkerComparisonJson {
    fn from(worker: &v1::WorkerComparison) -> Self {
        let share = |share: &v1::WorkerShare| WorkerShareJson {
            endpoints: share.endpoints,
            completed: share.completed,
            interrupted: share.interrupted,
            lost: share.lost,
        };
        Self {
            worker_id: worker.worker_id.clone(),
            worker_name: worker.worker_name.clone(),
            status: (worker.status != 0).then(|| name_of::<v1::WorkerStatus>(worker.status).to_owned()),
            a: worker.a.as_ref().map(share),
            b: worker.b.as_ref().map(share),
        }
    }
}

fn figures(metric: &v1::MetricAggregate) -> (String, MetricJson) {
    let figures = MetricJson {
        count: metric.count,
        min: metric.min,
        mean: metric.mean,
        p50: metric.p50,
        p95: metric.p95,
        p99: metric.p99,
        max: metric.max,
    };
    (metric.metric.clone(), figures)
}
