//! `reeve worker create | list | get`: the registry of workers.

use comfy_table::Cell;
use reeve_proto::json::{CreatedWorkerJson, WorkerJson};
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    CreateWorkerRequest, CreateWorkerResponse, GetWorkerRequest, ListWorkersRequest, Worker, WorkerKind,
    WorkerStatus,
};

use super::watch::watch as watch_list;
use super::{PAGE_SIZE, present};
use crate::args::{GlobalArgs, OutputFormat, ReadArgs, WorkersCommand};
use crate::client::{Cluster, request_id};
use crate::error::CliError;
use crate::output::{Output, Table, note};

pub(crate) async fn run(
    global: &GlobalArgs,
    output: &Output,
    command: WorkersCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        WorkersCommand::Create {
            name,
            region,
            labels,
            capacity,
            request_id: given,
        } => {
            let request = CreateWorkerRequest {
                name,
                region,
                kind: WorkerKind::UserOwned.into(),
                labels: labels.into_iter().collect(),
                capacity,
                request_id: request_id(given),
                token_ttl_s: 0,
            };
            print_created(output, create(&cluster, request).await?)?;
        }
        WorkersCommand::List {
            status,
            region,
            watch,
            read,
        } => {
            if watch.watch {
                return watch_list(output, || list(&cluster, status, region.clone(), read)).await;
            }
            let (workers, revision) = list(&cluster, status, region, read).await?;
            output.list(&workers, revision)?;
        }
        WorkersCommand::Get { id, read } => {
            let request = GetWorkerRequest {
                id,
                consistency: read.consistency(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                WorkersClient::new(channel).get_worker(request).await
            });
            output.one(&present(answer.await?.worker)?)?;
        }
    }
    Ok(0)
}

/// Registers a worker.
pub(crate) async fn create(
    cluster: &Cluster,
    request: CreateWorkerRequest,
) -> Result<CreateWorkerResponse, CliError> {
    cluster
        .call(request, |channel, request| async move {
            WorkersClient::new(channel).create_worker(request).await
        })
        .await
}

/// All workers that match, and the revision of the list.
pub(crate) async fn list(
    cluster: &Cluster,
    status: Option<WorkerStatus>,
    region: Option<String>,
    read: ReadArgs,
) -> Result<(Vec<Worker>, u64), CliError> {
    let mut request = ListWorkersRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        status: status.unwrap_or_default().into(),
        region: region.unwrap_or_default(),
        consistency: read.consistency(),
        find_deleted: false,
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

fn print_created(output: &Output, created: CreateWorkerResponse) -> Result<(), CliError> {
    let CreateWorkerResponse { worker, token } = created;
    let worker = present(worker)?;
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => {
            output.json(&CreatedWorkerJson {
                worker: WorkerJson::from(&worker),
                token,
            })?;
        }
        OutputFormat::Name => output.line(&worker.id)?,
        OutputFormat::Table | OutputFormat::Wide => {
            let mut table = Table::new(&["NAME", "REGION", "ID", "TOKEN"]);
            table.row(vec![
                Cell::new(&worker.name),
                Cell::new(&worker.region),
                Cell::new(&worker.id),
                Cell::new(if token.is_empty() { "-" } else { &token }),
            ]);
            output.line(&table.render())?;
            if token.is_empty() {
                note("the worker existed under this request id; its token was shown when it was created");
            } else {
                note("keep the token: it is not shown again");
            }
        }
    }
    Ok(())
}
