//! A drain as JSON, and what one would mean.

use serde::{Deserialize, Serialize};

use super::{WorkerJson, time};
use crate::names::name_of;
use crate::v1;

/// A drain in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrainJson {
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When the endpoints that remain are told to hang up (D5a).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// DISCONNECT or RESUME.
    pub then: String,
    /// Run by run.
    pub waits_for: Vec<DrainWaitJson>,
}

/// What a drain waits for: a run's endpoints on the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrainWaitJson {
    /// The run.
    pub run_id: String,
    /// Name of its test.
    pub test: String,
    /// Status of the run.
    pub run_status: String,
    /// On this worker, not CLOSED yet.
    pub open_endpoints: u32,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_end: Option<String>,
    /// Whether that is before the deadline.
    pub ends_in_time: bool,
}

/// What a drain means for a run that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrainEffectJson {
    /// The run.
    pub run_id: String,
    /// Name of its test.
    pub test: String,
    /// Status of the run.
    pub run_status: String,
    /// Whether it fits without the drain.
    pub fits_before: bool,
    /// Whether it fits with it.
    pub fits_after: bool,
    /// Why it does not fit afterwards (D10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The answer to a drain, or to a dry run of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrainedWorkerJson {
    /// With its drain; of a dry run as it would be.
    pub worker: WorkerJson,
    /// Runs that wait, and what the drain changes for them; only of a dry run.
    pub queued: Vec<DrainEffectJson>,
}

impl From<&v1::WorkerDrain> for DrainJson {
    fn from(drain: &v1::WorkerDrain) -> Self {
        Self {
            actor: drain.actor.clone(),
            reason: drain.reason.clone(),
            since: time(&drain.since),
            deadline: time(&drain.deadline),
            then: name_of::<v1::AfterDrain>(drain.then).to_owned(),
            waits_for: drain.waits_for.iter().map(DrainWaitJson::from).collect(),
        }
    }
}

impl From<&v1::DrainWait> for DrainWaitJson {
    fn from(wait: &v1::DrainWait) -> Self {
        Self {
            run_id: wait.run_id.clone(),
            test: wait.test.clone(),
            run_status: name_of::<v1::RunStatus>(wait.run_status).to_owned(),
            open_endpoints: wait.open_endpoints,
            expected_end: time(&wait.expected_end),
            ends_in_time: wait.ends_in_time,
        }
    }
}

impl From<&v1::DrainEffect> for DrainEffectJson {
    fn from(effect: &v1::DrainEffect) -> Self {
        Self {
            run_id: effect.run_id.clone(),
            test: effect.test.clone(),
            run_status: name_of::<v1::RunStatus>(effect.run_status).to_owned(),
            fits_before: effect.fits_before,
            fits_after: effect.fits_after,
            reason: (effect.reason != 0).then(|| name_of::<v1::RunReasonCode>(effect.reason).to_owned()),
            message: effect.message.clone(),
        }
    }
}

impl From<&v1::DrainWorkerResponse> for DrainedWorkerJson {
    fn from(response: &v1::DrainWorkerResponse) -> Self {
        Self {
            worker: WorkerJson::from(&response.worker.clone().unwrap_or_default()),
            queued: response.queued.iter().map(DrainEffectJson::from).collect(),
        }
    }
}
