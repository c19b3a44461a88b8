//! `reeve worker token …`, and how a token is printed: once, on stdout, with a word about it on stderr.

use comfy_table::Cell;
use reeve_proto::json::{CreatedWorkerJson, WorkerJson};
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{RegenerateTokenRequest, RegenerateTokenResponse, Worker};

use crate::args::OutputFormat;
use crate::client::{Cluster, request_id};
use crate::cmd::present;
use crate::error::CliError;
use crate::output::{Output, Table, note};

pub(super) async fn regenerate(
    cluster: &Cluster,
    output: &Output,
    id: String,
    ttl_s: Option<u64>,
) -> Result<(), CliError> {
    let request = RegenerateTokenRequest {
        id,
        token_ttl_s: ttl_s.unwrap_or_default(),
        request_id: request_id(None),
    };
    let RegenerateTokenResponse { worker, token } = cluster
        .call(request, |channel, request| async move {
            WorkersClient::new(channel).regenerate_token(request).await
        })
        .await?;
    let worker = present(worker)?;
    // A node may have given the token and died before we heard it; our repetition of the request then gets none.
    print_with_token(
        output,
        &worker,
        token,
        "the new token was lost on its way to us: regenerate it again",
    )
}

/// Prints a worker with its new token, or says why there is none.
pub(super) fn print_with_token(
    output: &Output,
    worker: &Worker,
    token: String,
    without: &str,
) -> Result<(), CliError> {
    let remark = if token.is_empty() {
        without.to_owned()
    } else {
        "keep the token: it is not shown again".to_owned()
    };
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&CreatedWorkerJson {
            worker: WorkerJson::from(worker),
            token,
        })?,
        OutputFormat::Name if token.is_empty() => return Err(CliError::message(without)),
        OutputFormat::Name => output.line(&token)?,
        OutputFormat::Table | OutputFormat::Wide => {
            let mut table = Table::new(&["NAME", "REGION", "ID", "TOKEN"]);
            table.row(vec![
                Cell::new(&worker.name),
                Cell::new(&worker.region),
                Cell::new(&worker.id),
                Cell::new(if token.is_empty() { "-" } else { &token }),
            ]);
            output.line(&table.render())?;
        }
    }
    note(&remark);
    Ok(())
}
