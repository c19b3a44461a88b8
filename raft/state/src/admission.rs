//! Whether a project's plan allows one more run (R124, R190, R191, R195). Apply asks this when a run is queued, and the planner
//! before it, so that both say the same.

mod sip;

pub use sip::{AccountNeeds, accounts_needed};

use crate::command::PlanFault;
use crate::definition;
use crate::id::ProjectName;
use crate::record::{Plan, Run, TestDefinition, Usage};
use crate::state::State;
use crate::transition::run::RunReasonCode;

impl State {
    /// What a run is to reserve when it is queued, in endpoint-minutes; `None`: they are not counted. `ahead` is what runs take up that
    /// will be queued before it and are not yet.
    ///
    /// # Errors
    /// The project's plan does not allow it, or there is no such project.
    pub fn admit(&self, run: &Run, ahead: Usage) -> Result<Option<u64>, PlanFault> {
        self.admit_definition(&run.project, &run.definition, ahead)
    }

    /// The same for a run that does not exist yet.
    ///
    /// # Errors
    /// As [`State::admit`].
    pub fn admit_definition(
        &self,
        project: &ProjectName,
        wanted: &TestDefinition,
        ahead: Usage,
    ) -> Result<Option<u64>, PlanFault> {
        let (plan, credits) = if project.is_default() {
            (Plan::UNLIMITED, None)
        } else {
            let row = self.project(project).ok_or_else(|| PlanFault::NoProject {
                project: project.clone(),
            })?;
            (row.plan, row.credits)
        };
        let now = self.usage(project);
        let usage = Usage {
            live: now.live,
            runs: now.runs.saturating_add(ahead.runs),
            endpoints: now.endpoints.saturating_add(ahead.endpoints),
            reserved: now.reserved.saturating_add(ahead.reserved),
        };
        within(project, &plan, usage, wanted.endpoints())?;
        let Some(credits) = credits else {
            return Ok(None);
        };
        let left = credits.saturating_sub(ahead.reserved);
        let needed = definition::credits_needed(wanted);
        if needed > left {
            return Err(PlanFault::Credits {
                project: project.clone(),
                left,
                reserved: usage.reserved,
                needed,
            });
        }
        Ok(Some(needed))
    }
}

fn within(project: &ProjectName, plan: &Plan, usage: Usage, asked: u32) -> Result<(), PlanFault> {
    let project = || project.clone();
    if !plan.subscription_active {
        return Err(PlanFault::SubscriptionInactive { project: project() });
    }
    if let Some(limit) = plan.max_run_endpoints.filter(|limit| asked > *limit) {
        return Err(PlanFault::RunEndpoints {
            project: project(),
            limit,
            asked,
        });
    }
    if let Some(limit) = plan
        .max_concurrent_runs
        .filter(|limit| usage.runs >= u64::from(*limit))
    {
        return Err(PlanFault::ConcurrentRuns {
            project: project(),
            limit,
            in_use: usage.runs,
        });
    }
    let sum = usage.endpoints.saturating_add(u64::from(asked));
    if let Some(limit) = plan
        .max_concurrent_endpoints
        .filter(|limit| sum > u64::from(*limit))
    {
        return Err(PlanFault::ConcurrentEndpoints {
            project: project(),
            limit,
            in_use: usage.endpoints,
            runs: usage.runs,
            asked,
        });
    }
    Ok(())
}

impl PlanFault {
    /// The reason with which a run ends that broke it (D10).
    pub const fn code(&self) -> RunReasonCode {
        match self {
            Self::NoProject { .. } => RunReasonCode::InvalidConfiguration,
            Self::SubscriptionInactive { .. } => RunReasonCode::SubscriptionInactive,
            Self::RunEndpoints { .. } | Self::ConcurrentEndpoints { .. } | Self::ConcurrentRuns { .. } => {
                RunReasonCode::PlanLimitExceeded
            }
            Self::Credits { .. } => RunReasonCode::CreditsExhausted,
        }
    }

    /// The smallest change that would let the run start (D10).
    pub fn suggestion(&self) -> String {
        match self {
            Self::NoProject { project } => format!("a project {project}"),
            Self::SubscriptionInactive { project } => format!("an active subscription of project {project}"),
            Self::RunEndpoints {
                project,
                asked,
                limit,
            } => format!(
                "a plan of project {project} with {asked} endpoints in one run, or {} fewer endpoints",
                asked.saturating_sub(*limit)
            ),
            Self::ConcurrentEndpoints {
                project,
                limit,
                in_use,
                asked,
                runs: _,
            } => {
                let sum = in_use.saturating_add(u64::from(*asked));
                let over = sum.saturating_sub(u64::from(*limit));
                if over < u64::from(*asked) {
                    format!(
                        "a plan of project {project} with {sum} endpoints at once, or {over} fewer endpoints"
                    )
                } else {
                    // No run is small enough now: something has to end first.
                    format!("a plan of project {project} with {sum} endpoints at once, or other runs to end")
                }
            }
            Self::ConcurrentRuns { project, in_use, .. } => format!(
                "a plan of project {project} with {} runs at once, or another run to end",
                in_use.saturating_add(1)
            ),
            Self::Credits {
                project,
                left,
                needed,
                reserved: _,
            } => format!(
                "{} more endpoint-minutes for project {project}",
                needed.saturating_sub(*left)
            ),
        }
    }
}
