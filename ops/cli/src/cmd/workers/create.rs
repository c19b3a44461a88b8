//! `reeve worker create`.

use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{CreateWorkerRequest, CreateWorkerResponse, WorkerKind};

use super::token::print_with_token;
use crate::args::{CreateArgs, OutputFormat};
use crate::client::{Cluster, request_id};
use crate::cmd::present;
use crate::error::CliError;
use crate::output::{Output, note};

pub(super) async fn run(cluster: &Cluster, output: &Output, args: CreateArgs) -> Result<(), CliError> {
    let request = CreateWorkerRequest {
        name: args.name,
        region: args.region,
        kind: WorkerKind::UserOwned.into(),
        labels: args.labels.into_iter().collect(),
        capacity: args.capacity,
        request_id: request_id(args.request_id),
        token_ttl_s: args.ttl.token_ttl.unwrap_or_default(),
    };
    let CreateWorkerResponse { worker, token } = create(cluster, request).await?;
    let worker = present(worker)?;
    if output.format == OutputFormat::Name {
        output.line(&worker.id)?;
        note(&format!(
            "its token was not printed; `reeve worker token regenerate {}` gives a new one",
            worker.name
        ));
        return Ok(());
    }
    print_with_token(
        output,
        &worker,
        token,
        "the worker existed under this request id; its token was shown when it was created",
    )
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
