//! `reeve worker list | history`.

use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{ListWorkerEventsRequest, ListWorkersRequest, Worker};

use crate::args::{ListArgs, ReadArgs};
use crate::client::Cluster;
use crate::cmd::PAGE_SIZE;
use crate::error::CliError;
use crate::output::{Output, print_events};

/// All workers that match, and the revision of the list.
pub(crate) async fn list(cluster: &Cluster, args: ListArgs) -> Result<(Vec<Worker>, u64), CliError> {
    let mut request = ListWorkersRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        status: args.status.unwrap_or_default().into(),
        region: args.region.unwrap_or_default(),
        consistency: args.read.consistency(),
        find_deleted: args.deleted,
    };
    let mut workers = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                WorkersClient::new(channel).list_workers(request).await
            })
            .await?;
        workers.extend(page.workers);
        if page.next_page_token.is_empty() {
            return Ok((workers, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

/// What happened to a worker.
pub(super) async fn history(
    cluster: &Cluster,
    output: &Output,
    id: String,
    read: ReadArgs,
) -> Result<(), CliError> {
    let request = ListWorkerEventsRequest {
        id,
        consistency: read.consistency(),
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            WorkersClient::new(channel).list_worker_events(request).await
        })
        .await?;
    print_events(output, &answer.events, answer.revision)
}
