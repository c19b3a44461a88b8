//! `reeve worker delete | cleanup`.

use reeve_proto::json::CleanedJson;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{CleanupWorkersRequest, DeleteWorkerRequest};

use crate::args::OutputFormat;
use crate::client::{Cluster, request_id};
use crate::cmd::present;
use crate::error::CliError;
use crate::output::{Output, note};

pub(super) async fn delete(
    cluster: &Cluster,
    output: &Output,
    id: String,
    force: bool,
    given: Option<String>,
) -> Result<(), CliError> {
    let request = DeleteWorkerRequest {
        id,
        force,
        request_id: request_id(given),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WorkersClient::new(channel).delete_worker(request).await
    });
    let worker = present(answer.await?.worker)?;
    if output.is_table() {
        note(&format!("worker {} deleted", worker.name));
        return Ok(());
    }
    output.one(&worker)
}

pub(super) async fn cleanup(
    cluster: &Cluster,
    output: &Output,
    all_offline: bool,
    include_session_workers: bool,
) -> Result<(), CliError> {
    let request = CleanupWorkersRequest {
        all_offline,
        include_session_workers,
    };
    let answer = cluster.call(request, |channel, request| async move {
        WorkersClient::new(channel).cleanup_workers(request).await
    });
    let deleted = answer.await?.deleted;
    let remark = format!("{} deleted", count(deleted.len(), "worker"));
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&CleanedJson { deleted })?,
        OutputFormat::Name | OutputFormat::Table | OutputFormat::Wide => {
            deleted.iter().try_for_each(|id| output.line(id))?;
        }
    }
    note(&remark);
    Ok(())
}

/// `1 worker`, `2 workers`.
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
