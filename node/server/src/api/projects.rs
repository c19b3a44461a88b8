//! The service `Projects`.

use reeve_proto::v1;
use reeve_proto::v1::adjust_credits_request::Change;
use reeve_state::State;
use reeve_state::command::{
    AdjustCredits, Command, CreditChange, DeleteProject, ObjectKind, PlanChange, PutMode, PutProject,
};
use reeve_state::id::{ProjectName, Revision};
use reeve_state::record::{CreditAdjustment, Plan, Project, Usage};

use super::page::PageRequest;
use super::write::{Asked, Written};
use super::{Api, Call};
use crate::convert::time;
use crate::error::ApiError;

impl Api {
    /// A new project.
    pub async fn create_project(
        &self,
        mut request: v1::CreateProjectRequest,
        call: &Call,
    ) -> Result<v1::CreateProjectResponse, ApiError> {
        let asked = Asked::new("CreateProject", std::mem::take(&mut request.request_id), &request)?;
        let command = Command::PutProject(PutProject {
            project: ProjectName::from(request.name.as_str()),
            mode: PutMode::Create {
                credits: request.credits,
            },
            plan: PlanChange {
                max_concurrent_endpoints: request.max_concurrent_endpoints,
                max_concurrent_runs: request.max_concurrent_runs,
                max_run_endpoints: request.max_run_endpoints,
                subscription_active: request.subscription_active,
            },
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::CreateProjectResponse {
            project: Some(written_project(&written)?),
        })
    }

    /// One project; the caller's own unless another is named.
    pub async fn get_project(
        &self,
        request: v1::GetProjectRequest,
        call: &Call,
    ) -> Result<v1::GetProjectResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let name = if request.name.is_empty() {
            ProjectName::from(call.caller.project.as_str())
        } else {
            ProjectName::from(request.name.as_str())
        };
        if !call.caller.sees(&name) {
            return Err(not_found(&name));
        }
        Ok(v1::GetProjectResponse {
            project: Some(find(&state, &name)?),
        })
    }

    /// The projects that the caller may see, by name.
    pub async fn list_projects(
        &self,
        request: v1::ListProjectsRequest,
        call: &Call,
    ) -> Result<v1::ListProjectsResponse, ApiError> {
        let page = PageRequest::decode("projects", request.page_size, &request.page_token)?;
        let after = page.after(|key| std::str::from_utf8(key).ok().map(ProjectName::from))?;
        let state = self.read(request.consistency, call).await?;
        let default = ProjectName::default();
        let mut names: Vec<&ProjectName> = state.projects().map(|row| &row.name).collect();
        // `default` has no row.
        let place = names.partition_point(|name| **name < default);
        names.insert(place, &default);
        let names = names
            .into_iter()
            .filter(|name| after.as_ref().is_none_or(|after| *name > after))
            .filter(|name| call.caller.sees(name));
        let (names, next_page_token) = page.take(names, |name| name.as_str().as_bytes().to_vec());
        let projects: Result<Vec<_>, _> = names.into_iter().map(|name| find(&state, name)).collect();
        Ok(v1::ListProjectsResponse {
            projects: projects?,
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Another plan for a project.
    pub async fn update_project(
        &self,
        mut request: v1::UpdateProjectRequest,
        call: &Call,
    ) -> Result<v1::UpdateProjectResponse, ApiError> {
        let asked = Asked::new("UpdateProject", std::mem::take(&mut request.request_id), &request)?;
        let command = Command::PutProject(PutProject {
            project: ProjectName::from(request.name.as_str()),
            mode: PutMode::Update,
            plan: PlanChange {
                max_concurrent_endpoints: request.max_concurrent_endpoints,
                max_concurrent_runs: request.max_concurrent_runs,
                max_run_endpoints: request.max_run_endpoints,
                subscription_active: request.subscription_active,
            },
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::UpdateProjectResponse {
            project: Some(written_project(&written)?),
        })
    }

    /// Deletes a project that nothing is of any more.
    pub async fn delete_project(
        &self,
        mut request: v1::DeleteProjectRequest,
        call: &Call,
    ) -> Result<v1::DeleteProjectResponse, ApiError> {
        let asked = Asked::new("DeleteProject", std::mem::take(&mut request.request_id), &request)?;
        let command = Command::DeleteProject(DeleteProject {
            project: ProjectName::from(request.name.as_str()),
        });
        self.write(call, asked, command).await?;
        Ok(v1::DeleteProjectResponse {})
    }

    /// Other credits for a project.
    pub async fn adjust_credits(
        &self,
        mut request: v1::AdjustCreditsRequest,
        call: &Call,
    ) -> Result<v1::AdjustCreditsResponse, ApiError> {
        let asked = Asked::new("AdjustCredits", std::mem::take(&mut request.request_id), &request)?;
        let change = match request.change {
            Some(Change::Add(more)) => CreditChange::Add(more),
            Some(Change::Set(credits)) => CreditChange::Set(credits),
            Some(Change::Unlimited(true)) => CreditChange::Unlimited,
            Some(Change::Unlimited(false)) => {
                return Err(ApiError::invalid("unlimited", "must be true, or be left out"));
            }
            None => return Err(ApiError::invalid("change", "name one of add, set and unlimited")),
        };
        let command = Command::AdjustCredits(AdjustCredits {
            project: ProjectName::from(request.name.as_str()),
            change,
            reason: request.reason,
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::AdjustCreditsResponse {
            project: Some(written_project(&written)?),
        })
    }
}

fn written_project(written: &Written) -> Result<v1::Project, ApiError> {
    find(&written.state, written.project()?)
}

fn not_found(name: &ProjectName) -> ApiError {
    ApiError::NotFound {
        kind: ObjectKind::Project,
        id: name.to_string(),
    }
}

/// To the wire, with what the state knows of its runs.
fn find(state: &State, name: &ProjectName) -> Result<v1::Project, ApiError> {
    let usage = state.usage(name);
    match state.project(name) {
        Some(row) => Ok(message(row, usage)),
        None if name.is_default() => Ok(default_project(usage)),
        None => Err(not_found(name)),
    }
}

/// To the wire.
pub(super) fn message(row: &Project, usage: Usage) -> v1::Project {
    v1::Project {
        credits_left: row.credits,
        credits_spent: row.credits_spent,
        last_adjustment: row.last_adjustment.as_ref().map(adjustment),
        created_at: Some(time::timestamp(row.created_at)),
        updated_at: Some(time::timestamp(row.updated_at)),
        ..bare(&row.name, &row.plan, usage, row.revision)
    }
}

fn default_project(usage: Usage) -> v1::Project {
    bare(&ProjectName::default(), &Plan::UNLIMITED, usage, Revision(0))
}

fn bare(name: &ProjectName, plan: &Plan, usage: Usage, revision: Revision) -> v1::Project {
    v1::Project {
        name: name.to_string(),
        max_concurrent_endpoints: plan.max_concurrent_endpoints,
        max_concurrent_runs: plan.max_concurrent_runs,
        max_run_endpoints: plan.max_run_endpoints,
        subscription_active: plan.subscription_active,
        usage: Some(v1::ProjectUsage {
            runs: usage.runs,
            endpoints: usage.endpoints,
            credits_reserved: usage.reserved,
        }),
        revision: revision.0,
        ..v1::Project::default()
    }
}

fn adjustment(adjustment: &CreditAdjustment) -> v1::CreditAdjustment {
    v1::CreditAdjustment {
        at: Some(time::timestamp(adjustment.at)),
        actor: adjustment.actor.clone(),
        reason: adjustment.reason.clone(),
        left: adjustment.left,
    }
}
