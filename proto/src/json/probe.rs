//! A probe and its slots as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::probe::{ProbeDocument, from_milli};
use crate::v1;

/// A test on a schedule, and how it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProbeJson {
    /// UUID v7.
    pub id: String,
    /// Unique among the probes of its project.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// The test that it runs.
    pub test_id: String,
    /// Its name.
    pub test_name: String,
    /// In the form in which it can be applied again.
    pub definition: ProbeDocument,
    /// Whether no slot fires.
    pub paused: bool,
    /// How it is.
    pub health: ProbeHealthJson,
    /// The last slot that fired or was skipped. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot: Option<String>,
    /// The last run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_run_id: String,
    /// When the next slot is due; absent while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
    /// What the last executions have in common, for people; only where one probe is asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diagnosis: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// How a probe is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProbeHealthJson {
    /// HEALTHY, DEGRADED, UNHEALTHY or UNKNOWN.
    pub status: String,
    /// Since when. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Metric by metric, of the last execution that was measured.
    pub results: Vec<MetricResultJson>,
    /// The slot of the last execution that was measured or FAILED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
}

/// What a run's value of a metric meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MetricResultJson {
    /// The metric.
    pub metric: String,
    /// MEAN, P50, P95, P99, MIN or MAX.
    pub statistic: String,
    /// Absent: the run did not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// HEALTHY, DEGRADED, UNHEALTHY or UNKNOWN.
    pub status: String,
}

/// One time that a probe was due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProbeSlotJson {
    /// The instant of the schedule. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// When it fired or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Absent: it was skipped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// PREVIOUS_STILL_RUNNING or MISSED; absent: it has a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// How many slots it stands for, this one being the last.
    pub count: u32,
    /// How the run ended; absent: it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_status: Option<String>,
    /// The run's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_reason: Option<String>,
    /// Endpoints of the run.
    pub endpoints: u32,
    /// Those that did not succeed.
    pub errors: u32,
    /// Metric by metric.
    pub results: Vec<MetricResultJson>,
    /// How the probe was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// When the end of the run was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_at: Option<String>,
}

impl From<&v1::Probe> for ProbeJson {
    fn from(probe: &v1::Probe) -> Self {
        let definition = probe.definition.clone().unwrap_or_default();
        Self {
            id: probe.id.clone(),
            name: definition.name.clone(),
            project: probe.project.clone(),
            test_id: definition.test.clone(),
            test_name: probe.test_name.clone(),
            definition: ProbeDocument::from(&definition),
            paused: probe.paused_at.is_some(),
            health: ProbeHealthJson::from(&probe.health.clone().unwrap_or_default()),
            last_slot: time(&probe.last_slot),
            last_run_id: probe.last_run_id.clone(),
            next_due: time(&probe.next_due),
            diagnosis: String::new(),
            created_at: time(&probe.created_at),
            updated_at: time(&probe.updated_at),
            revision: probe.revision,
        }
    }
}

impl From<&v1::ProbeHealth> for ProbeHealthJson {
    fn from(health: &v1::ProbeHealth) -> Self {
        Self {
            status: name_of::<v1::ProbeStatus>(health.status).to_owned(),
            since: time(&health.since),
            reason: health.reason.clone(),
            results: health.results.iter().map(MetricResultJson::from).collect(),
            slot: time(&health.slot),
        }
    }
}

impl From<&v1::MetricResult> for MetricResultJson {
    fn from(result: &v1::MetricResult) -> Self {
        Self {
            metric: result.metric.clone(),
            statistic: name_of::<v1::Statistic>(result.statistic).to_owned(),
            value: result.value_milli.map(from_milli),
            status: name_of::<v1::ProbeStatus>(result.status).to_owned(),
        }
    }
}

impl From<&v1::ProbeSlot> for ProbeSlotJson {
    fn from(slot: &v1::ProbeSlot) -> Self {
        let set = |number: i32, name: &str| (number != 0).then(|| name.to_owned());
        Self {
            slot: time(&slot.slot),
            at: time(&slot.at),
            run_id: slot.run_id.clone(),
            skipped: set(slot.skipped, name_of::<v1::SkipReason>(slot.skipped)),
            count: slot.count,
            run_status: set(slot.run_status, name_of::<v1::RunStatus>(slot.run_status)),
            run_reason: set(slot.run_reason, name_of::<v1::RunReasonCode>(slot.run_reason)),
            endpoints: slot.endpoints,
            errors: slot.errors,
            results: slot.results.iter().map(MetricResultJson::from).collect(),
            health: set(slot.health, name_of::<v1::ProbeStatus>(slot.health)),
            evaluated_at: time(&slot.evaluated_at),
        }
    }
}
