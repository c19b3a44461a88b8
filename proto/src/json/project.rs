//! A project as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::v1;

/// A project with its plan and what its runs take up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProjectJson {
    /// Unique; its id.
    pub name: String,
    /// Most endpoints of its runs that are QUEUED or RUNNING; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_endpoints: Option<u32>,
    /// Most runs that are QUEUED or RUNNING; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<u32>,
    /// Most endpoints of one run; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_run_endpoints: Option<u32>,
    /// Without it no run is queued.
    pub subscription_active: bool,
    /// Endpoint-minutes that no run has reserved or used; absent: they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_left: Option<u64>,
    /// Endpoint-minutes that runs have used while they were counted.
    pub credits_spent: u64,
    /// What its runs take up now.
    pub usage: ProjectUsageJson,
    /// The last time that somebody changed the credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_adjustment: Option<CreditAdjustmentJson>,
    /// RFC 3339, UTC; absent for default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When its plan was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// What the runs of a project take up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProjectUsageJson {
    /// Runs that are QUEUED or RUNNING.
    pub runs: u64,
    /// Their endpoints.
    pub endpoints: u64,
    /// Endpoint-minutes that they have reserved.
    pub credits_reserved: u64,
}

/// What became of a project's credits by somebody's hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreditAdjustmentJson {
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Name of the key.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Endpoint-minutes left after it; absent: not counted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

impl From<&v1::Project> for ProjectJson {
    fn from(project: &v1::Project) -> Self {
        let usage = project.usage.unwrap_or_default();
        Self {
            name: project.name.clone(),
            max_concurrent_endpoints: project.max_concurrent_endpoints,
            max_concurrent_runs: project.max_concurrent_runs,
            max_run_endpoints: project.max_run_endpoints,
            subscription_active: project.subscription_active,
            credits_left: project.credits_left,
            credits_spent: project.credits_spent,
            usage: ProjectUsageJson {
                runs: usage.runs,
                endpoints: usage.endpoints,
                credits_reserved: usage.credits_reserved,
            },
            last_adjustment: project
                .last_adjustment
                .as_ref()
                .map(|adjustment| CreditAdjustmentJson {
                    at: time(&adjustment.at),
                    actor: adjustment.actor.clone(),
                    reason: adjustment.reason.clone(),
                    left: adjustment.left,
                }),
            created_at: time(&project.created_at),
            updated_at: time(&project.updated_at),
            revision: project.revision,
        }
    }
}
