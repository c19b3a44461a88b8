//! Commands on projects.

use crate::id::ProjectName;

/// Command 60. Creates a project, or changes the plan of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutProject {
    /// Which.
    pub project: ProjectName,
    /// Whether it must not exist yet, or must.
    pub mode: PutMode,
    /// What is to be different; what is not named keeps its value, or has none in a new project.
    pub plan: PlanChange,
}

/// Whether [`PutProject`] creates or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// A new project, with so many endpoint-minutes; `None`: they are not counted.
    Create {
        /// Endpoint-minutes.
        credits: Option<u64>,
    },
    /// One that exists.
    Update,
}

/// Limits that replace others; 0 takes a limit away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// Endpoints of all runs at once.
    pub max_concurrent_endpoints: Option<u32>,
    /// Runs at once.
    pub max_concurrent_runs: Option<u32>,
    /// Endpoints of one run.
    pub max_run_endpoints: Option<u32>,
    /// Whether runs are queued at all.
    pub subscription_active: Option<bool>,
}

/// Command 61. Refused while the project has tests, live runs or keys in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteProject {
    /// Which.
    pub project: ProjectName,
}

/// Command 62.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustCredits {
    /// Which.
    pub project: ProjectName,
    /// How.
    pub change: CreditChange,
    /// Why.
    pub reason: String,
}

/// What becomes of the endpoint-minutes that are left; what runs have reserved stays reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditChange {
    /// So many more, or fewer.
    Add(i64),
    /// So many.
    Set(u64),
    /// Not counted any more.
    Unlimited,
}
