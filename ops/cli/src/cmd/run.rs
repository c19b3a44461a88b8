//! `reeve run …`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use reeve_proto::json::RunJson;
use reeve_proto::names::Named;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    GetRunRequest, GetWorkerRequest, ListRunsRequest, Run, RunStatus, StartRunRequest, StopRunRequest, Worker,
};

use super::watch::watch as watch_list;
use super::{PAGE_SIZE, metrics, present};
use crate::args::{GlobalArgs, OutputFormat, ReadArgs, RunCommand};
use crate::client::{Cluster, request_id, short_reason};
use crate::cmd::cluster::any_status;
use crate::error::{CliError, EXIT_CANNOT_RUN, EXIT_ERROR, EXIT_FAILED, EXIT_INTERRUPTED};
use crate::follow::{Seen, follow};
use crate::output::{Output, assignment_table, note, summary};
use crate::progress::Progress;

/// Reads of workers under way at once.
const READS_AT_ONCE: usize = 16;

pub(crate) async fn run(global: &GlobalArgs, output: &Output, command: RunCommand) -> Result<u8, CliError> {
    match command {
        RunCommand::Start {
            test,
            request_id,
            wait,
            project,
        } => {
            let request = StartRunRequest {
                test,
                request_id: crate::client::request_id(request_id),
                project: project.name(),
            };
            start(global, output, request, wait).await
        }
        RunCommand::List {
            status,
            test,
            watch,
            read,
            project,
        } => {
            let cluster = Cluster::new(global)?;
            let request = ListRunsRequest {
                page_size: PAGE_SIZE,
                page_token: String::new(),
                status: status.unwrap_or_default().into(),
                test: test.unwrap_or_default(),
                consistency: read.consistency(),
                project: project.name(),
            };
            if watch.watch {
                return watch_list(output, || list(&cluster, request.clone())).await;
            }
            let (runs, revision) = list(&cluster, request).await?;
            output.list(&runs, revision)?;
            Ok(0)
        }
        RunCommand::Get { id, read } => {
            let request = GetRunRequest {
                id,
                consistency: read.consistency(),
            };
            let cluster = Cluster::new(global)?;
            let answer = cluster
                .call(request, |channel, request| async move {
                    RunsClient::new(channel).get_run(request).await
                })
                .await?;
            let run = present(answer.run)?;
            output.one(&run)?;
            if output.is_table() && !run.assignments.is_empty() {
                let workers = assigned_workers(&cluster, &run).await;
                let wide = output.format == OutputFormat::Wide;
                output.line(&format!("\n{}", assignment_table(&run, &workers, wide)))?;
            }
            Ok(0)
        }
        RunCommand::Stop {
            id,
            request_id: given,
        } => {
            let request = StopRunRequest {
                id,
                request_id: request_id(given),
            };
            let answer = Cluster::new(global)?
                .call(request, |channel, request| async move {
                    RunsClient::new(channel).stop_run(request).await
                })
                .await?;
            output.one(&present(answer.run)?)?;
            Ok(0)
        }
        RunCommand::Watch { id } => to_the_end(global, output, &id, true).await,
        RunCommand::Wait { id } => to_the_end(global, output, &id, false).await,
        RunCommand::Metrics(args) => metrics::metrics(global, output, args).await,
        RunCommand::Trace(args) => super::trace::trace(global, output, args).await,
        RunCommand::Workers { id, read } => metrics::workers(global, output, id, read).await,
        RunCommand::Explain { id, read } => super::explain::explain(global, output, id, read).await,
        RunCommand::Plan(args) => super::explain::plan(global, output, &args).await,
        RunCommand::Compare { a, b, read } => super::explain::compare(global, output, a, b, read).await,
    }
}

async fn start(
    global: &GlobalArgs,
    output: &Output,
    request: StartRunRequest,
    wait: bool,
) -> Result<u8, CliError> {
    let cluster = if wait {
        Cluster::for_waiting(global)?
    } else {
        Cluster::new(global)?
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            RunsClient::new(channel).start_run(request).await
        })
        .await?;
    let run = present(answer.run)?;
    if !wait {
        output.one(&run)?;
        return Ok(0);
    }
    note(&format!("run {} of {}", run.id, run.test_name));
    to_the_end(global, output, &run.id, true).await
}

/// Follows a run, prints how it went, and gives the exit code that says so.
async fn to_the_end(global: &GlobalArgs, output: &Output, id: &str, show: bool) -> Result<u8, CliError> {
    let cluster = Cluster::for_waiting(global)?;
    // Fails at once where there is no cluster, and tells where else to go when a node dies.
    cluster.learn(
        any_status(&cluster)
            .await?
            .members
            .into_iter()
            .map(|member| member.grpc_addr),
    );
    let following = follow_with_progress(&cluster, output, id, global.timeout, show);
    let run = tokio::select! {
        run = following => run?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            note(&format!("\nthe run goes on: `reeve run watch {id}` follows it again, `reeve run stop {id}` ends it"));
            return Ok(EXIT_INTERRUPTED);
        }
    };
    match output.format {
        // Every change was printed as it came, the last one included.
        OutputFormat::Jsonl if show => {}
        OutputFormat::Json | OutputFormat::Jsonl | OutputFormat::Name => output.one(&run)?,
        OutputFormat::Table | OutputFormat::Wide => {
            output.line(&format!(
                "run {} {}\n\n{}",
                run.id,
                run.status().name(),
                summary(&run)
            ))?;
        }
    }
    Ok(exit_code(&run))
}

async fn follow_with_progress(
    cluster: &Cluster,
    output: &Output,
    id: &str,
    limit: Option<Duration>,
    show: bool,
) -> Result<Run, CliError> {
    let stream = show && output.format == OutputFormat::Jsonl;
    let mut progress = (show && !stream).then(Progress::new);
    let mut connected = true;
    follow(cluster, id, limit, |seen| {
        match seen {
            Seen::Run(run) => {
                connected = true;
                if stream {
                    output.json(&RunJson::from(run))?;
                } else if let Some(progress) = &mut progress {
                    progress.show(run);
                }
            }
            // Once for each outage, however many nodes are asked before one answers.
            Seen::Lost(address, error) => {
                if let Some(progress) = progress.as_ref().filter(|_| connected) {
                    progress.remark(&format!(
                        "{address} does not answer ({}); asking another node",
                        short_reason(error)
                    ));
                }
                connected = false;
            }
        }
        Ok(())
    })
    .await
}

/// The workers that a run's endpoints are on, by id, as the first node that answers knows them; what cannot be read is left out.
async fn assigned_workers(cluster: &Cluster, run: &Run) -> BTreeMap<String, Worker> {
    let ids: BTreeSet<&str> = run
        .assignments
        .iter()
        .map(|assignment| assignment.worker_id.as_str())
        .collect();
    let asked = ids.into_iter().map(|id| {
        let request = GetWorkerRequest {
            id: id.to_owned(),
            consistency: ReadArgs { local: true }.consistency(),
        };
        cluster.call(request, |channel, request| async move {
            WorkersClient::new(channel).get_worker(request).await
        })
    });
    futures::stream::iter(asked)
        .buffer_unordered(READS_AT_ONCE)
        .filter_map(|answer| async move { answer.ok()?.worker })
        .map(|worker| (worker.id.clone(), worker))
        .collect()
        .await
}

fn exit_code(run: &Run) -> u8 {
    match run.status() {
        RunStatus::Completed => 0,
        RunStatus::CannotRunForNow => EXIT_CANNOT_RUN,
        RunStatus::Failed => EXIT_FAILED,
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => EXIT_ERROR,
    }
}

async fn list(cluster: &Cluster, mut request: ListRunsRequest) -> Result<(Vec<Run>, u64), CliError> {
    let mut runs = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                RunsClient::new(channel).list_runs(request).await
            })
            .await?;
        runs.extend(page.runs);
        if page.next_page_token.is_empty() {
            return Ok((runs, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_how_the_run_ended() {
        for (status, code) in [
            (RunStatus::Completed, 0),
            (RunStatus::CannotRunForNow, 2),
            (RunStatus::Failed, 3),
        ] {
            assert_eq!(
                exit_code(&Run {
                    status: status.into(),
                    ..Default::default()
                }),
                code,
                "{status:?}"
            );
        }
    }
}
