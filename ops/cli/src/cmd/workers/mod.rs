//! `reeve worker SUBCOMMAND`: the registry of workers, a file for each group of verbs.

mod create;
mod delete;
mod drain;
mod read;
mod token;
mod wait;

pub(crate) use create::create;
pub(crate) use read::list;

use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{GetWorkerRequest, UndrainWorkerRequest, Worker};

use super::present;
use super::watch::watch as watch_list;
use crate::args::{GlobalArgs, ReadArgs, TokenCommand, WorkersCommand};
use crate::client::{Cluster, request_id};
use crate::error::CliError;
use crate::output::Output;

pub(crate) async fn run(
    global: &GlobalArgs,
    output: &Output,
    command: WorkersCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        WorkersCommand::Create(args) => create::run(&cluster, output, args).await?,
        WorkersCommand::List(args) => {
            if args.watch.watch {
                return watch_list(output, || list(&cluster, args.clone())).await;
            }
            let (workers, revision) = list(&cluster, args).await?;
            output.list(&workers, revision)?;
        }
        WorkersCommand::Get { id, read } => output.one(&get(&cluster, &id, read).await?)?,
        WorkersCommand::History { id, read } => read::history(&cluster, output, id, read).await?,
        WorkersCommand::Drain(args) => return drain::run(global, output, args).await,
        WorkersCommand::Undrain {
            id,
            request_id: given,
        } => {
            let request = UndrainWorkerRequest {
                id,
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                WorkersClient::new(channel).undrain_worker(request).await
            });
            output.one(&present(answer.await?.worker)?)?;
        }
        WorkersCommand::Token(TokenCommand::Regenerate { id, ttl }) => {
            token::regenerate(&cluster, output, id, ttl).await?;
        }
        WorkersCommand::Delete {
            id,
            force,
            request_id,
        } => delete::delete(&cluster, output, id, force, request_id).await?,
        WorkersCommand::Cleanup {
            all_offline,
            include_session_workers,
        } => delete::cleanup(&cluster, output, all_offline, include_session_workers).await?,
        WorkersCommand::Wait { id, statuses } => wait::run(global, output, &id, &statuses).await?,
    }
    Ok(0)
}

/// One worker, by id or name.
async fn get(cluster: &Cluster, id: &str, read: ReadArgs) -> Result<Worker, CliError> {
    let request = GetWorkerRequest {
        id: id.to_owned(),
        consistency: read.consistency(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WorkersClient::new(channel).get_worker(request).await
    });
    present(answer.await?.worker)
}
