//! `reeve status`: everything on one screen, once.

use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{ListRunsRequest, Run};

use super::cluster::{any_status, views};
use super::{PAGE_SIZE, workers};
use crate::args::{GlobalArgs, ListArgs, OutputFormat, ReadArgs};
use crate::client::Cluster;
use crate::error::CliError;
use crate::output::{Output, StatusView, note, status_json, status_text};

/// Latest runs that are counted: most clusters have no more that anyone looks at.
const MOST_RUNS: usize = 2_000;

pub(crate) async fn run(global: &GlobalArgs, output: &Output, read: ReadArgs) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    let known = any_status(&cluster).await?;
    // Without a leader nothing is linearizable, and then a status is wanted most.
    let local = read.local || known.leader_id == 0;
    if local && !read.local {
        note("no leader: workers and runs are as the answering node last knew them");
    }
    let read = ReadArgs { local };
    let filter = ListArgs {
        read,
        ..ListArgs::default()
    };
    let (workers, _) = workers::list(&cluster, filter).await?;
    let (runs, more_runs) = latest_runs(&cluster, read).await?;
    let view = StatusView {
        nodes: views(&cluster, known).await,
        workers,
        runs,
        more_runs,
    };
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&status_json(&view))?,
        OutputFormat::Name => view
            .nodes
            .iter()
            .try_for_each(|node| output.line(&node.member.name))?,
        OutputFormat::Table | OutputFormat::Wide => output.line(&status_text(&view))?,
    }
    Ok(0)
}

/// The latest runs, and whether there are more.
async fn latest_runs(cluster: &Cluster, read: ReadArgs) -> Result<(Vec<Run>, bool), CliError> {
    let mut request = ListRunsRequest {
        page_size: PAGE_SIZE,
        consistency: read.consistency(),
        ..Default::default()
    };
    let mut runs = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                RunsClient::new(channel).list_runs(request).await
            })
            .await?;
        runs.extend(page.runs);
        let more = !page.next_page_token.is_empty();
        if !more || runs.len() >= MOST_RUNS {
            return Ok((runs, more));
        }
        request.page_token = page.next_page_token;
    }
}
