//! A project: whose tests and runs are, and what its plan allows (R124, R190, R191, R195).

use crate::id::{ProjectName, Revision};
use crate::record::RequestKey;
use crate::time::Time;

/// What a project may use at once. Everything unset: as much as there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Most endpoints of all its runs that are QUEUED or RUNNING (R190).
    pub max_concurrent_endpoints: Option<u32>,
    /// Most runs that are QUEUED or RUNNING.
    pub max_concurrent_runs: Option<u32>,
    /// Most endpoints of one run.
    pub max_run_endpoints: Option<u32>,
    /// Without it no run is queued (R191).
    pub subscription_active: bool,
}

impl Plan {
    /// Everything is allowed: the plan of the project `default`.
    pub const UNLIMITED: Self = Self {
        max_concurrent_endpoints: None,
        max_concurrent_runs: None,
        max_run_endpoints: None,
        subscription_active: true,
    };
}

/// A project. `default` is none of these: it always exists, and has no limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Project {
    /// Unique; its id.
    pub name: ProjectName,
    /// What it may use at once.
    pub plan: Plan,
    /// Endpoint-minutes that no run has reserved or used; `None`: they are not counted.
    pub credits: Option<u64>,
    /// Endpoint-minutes that its runs have used while they were counted.
    pub credits_spent: u64,
    /// The last time that somebody changed the credits.
    pub last_adjustment: Option<CreditAdjustment>,
    /// When it was created.
    pub created_at: Time,
    /// When its plan was last changed.
    pub updated_at: Time,
    /// The request that created it, remembered as long as the project lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

/// What became of a project's credits by somebody's hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreditAdjustment {
    /// When.
    pub at: Time,
    /// By whom: the name of a key.
    pub actor: String,
    /// Why, in the caller's words.
    pub reason: String,
    /// Endpoint-minutes left after it; `None`: they are not counted any more.
    pub left: Option<u64>,
}

/// What a project's runs take up. Only QUEUED and RUNNING ones count, apart from `live`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Runs that are not terminal, PENDING ones too.
    pub live: u64,
    /// Runs.
    pub runs: u64,
    /// Their endpoints.
    pub endpoints: u64,
    /// Endpoint-minutes that they have reserved.
    pub reserved: u64,
}
