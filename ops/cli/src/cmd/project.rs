//! `reeve project …`: whose tests and runs are, and what their plans allow.

use reeve_proto::v1::adjust_credits_request::Change;
use reeve_proto::v1::projects_client::ProjectsClient;
use reeve_proto::v1::{
    AdjustCreditsRequest, CreateProjectRequest, DeleteProjectRequest, GetProjectRequest, ListProjectsRequest,
    Project, UpdateProjectRequest,
};

use super::watch::watch as watch_list;
use super::{PAGE_SIZE, present};
use crate::args::{CreditArgs, GlobalArgs, LimitArgs, ProjectCommand, ReadArgs};
use crate::client::{Cluster, request_id};
use crate::error::CliError;
use crate::output::{Output, note};

pub(crate) async fn run(
    global: &GlobalArgs,
    output: &Output,
    command: ProjectCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        ProjectCommand::Create {
            name,
            limits,
            credits,
            request_id: given,
        } => {
            let request = create_request(name, limits, credits, request_id(given));
            let answer = cluster.call(request, |channel, request| async move {
                ProjectsClient::new(channel).create_project(request).await
            });
            output.one(&present(answer.await?.project)?)?;
        }
        ProjectCommand::List { watch, read } => {
            if watch.watch {
                return watch_list(output, || list(&cluster, read)).await;
            }
            let (projects, revision) = list(&cluster, read).await?;
            output.list(&projects, revision)?;
        }
        ProjectCommand::Get { name, read } => {
            let request = GetProjectRequest {
                name: name.unwrap_or_default(),
                consistency: read.consistency(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProjectsClient::new(channel).get_project(request).await
            });
            output.one(&present(answer.await?.project)?)?;
        }
        ProjectCommand::Set {
            name,
            limits,
            request_id: given,
        } => {
            let request = update_request(name, limits, request_id(given));
            let answer = cluster.call(request, |channel, request| async move {
                ProjectsClient::new(channel).update_project(request).await
            });
            output.one(&present(answer.await?.project)?)?;
        }
        ProjectCommand::Credits {
            name,
            change,
            reason,
            request_id: given,
        } => {
            let request = AdjustCreditsRequest {
                name,
                change: change_of(change),
                reason,
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProjectsClient::new(channel).adjust_credits(request).await
            });
            output.one(&present(answer.await?.project)?)?;
        }
        ProjectCommand::Delete {
            name,
            request_id: given,
        } => {
            let request = DeleteProjectRequest {
                name: name.clone(),
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProjectsClient::new(channel).delete_project(request).await
            });
            answer.await?;
            note(&format!("project {name} deleted"));
        }
    }
    Ok(0)
}

fn create_request(
    name: String,
    limits: LimitArgs,
    credits: Option<u64>,
    request_id: String,
) -> CreateProjectRequest {
    CreateProjectRequest {
        name,
        max_concurrent_endpoints: limits.max_endpoints,
        max_concurrent_runs: limits.max_runs,
        max_run_endpoints: limits.max_run_endpoints,
        subscription_active: limits.subscription,
        credits,
        request_id,
    }
}

fn update_request(name: String, limits: LimitArgs, request_id: String) -> UpdateProjectRequest {
    UpdateProjectRequest {
        name,
        max_concurrent_endpoints: limits.max_endpoints,
        max_concurrent_runs: limits.max_runs,
        max_run_endpoints: limits.max_run_endpoints,
        subscription_active: limits.subscription,
        request_id,
    }
}

fn change_of(change: CreditArgs) -> Option<Change> {
    change
        .add
        .map(Change::Add)
        .or(change.set.map(Change::Set))
        .or(change.unlimited.then_some(Change::Unlimited(true)))
}

async fn list(cluster: &Cluster, read: ReadArgs) -> Result<(Vec<Project>, u64), CliError> {
    let mut request = ListProjectsRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
    };
    let mut projects = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                ProjectsClient::new(channel).list_projects(request).await
            })
            .await?;
        projects.extend(page.projects);
        if page.next_page_token.is_empty() {
            return Ok((projects, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}
