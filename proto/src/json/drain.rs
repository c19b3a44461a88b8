//! What a drain would mean, as JSON.

use serde::{Deserialize, Serialize};

use super::WorkerJson;
use crate::names::name_of;
use crate::v1;

/// The answer to a drain's dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainPreviewJson {
    /// With its drain as it would be.
    pub worker: WorkerJson,
    /// Runs that wait for capacity, and what the drain changes for them.
    pub queued: Vec<DrainEffectJson>,
}

/// What a drain means for a run that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainEffectJson {
    /// The run.
    pub run_id: String,
    /// Name of its test.
    pub test: String,
    /// Its status.
    pub run_status: String,
    /// Whether it fits without the drain.
    pub fits_before: bool,
    /// Whether it fits with it.
    pub fits_after: bool,
    /// Why it does not; absent if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For people.
    pub message: String,
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
