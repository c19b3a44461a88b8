//! `reeve worker wait`, and how a worker is looked at until something is true of it.

use std::ops::ControlFlow;
use std::time::Duration;

use reeve_proto::names::Named;
use reeve_proto::v1::{Worker, WorkerStatus};
use tokio::time::Instant;
use tonic::Code;

use super::get;
use crate::args::{GlobalArgs, ReadArgs};
use crate::client::{Cluster, is_transient, short_reason};
use crate::cmd::cluster::any_status;
use crate::error::CliError;
use crate::output::{Output, note};

/// How often the worker is read. Level-triggered, from any node: a failover needs no rule of its own.
const INTERVAL: Duration = Duration::from_millis(500);
/// When no node answered for this long, waiting ends with an error.
const GIVE_UP: Duration = Duration::from_secs(60);

pub(super) async fn run(
    global: &GlobalArgs,
    output: &Output,
    id: &str,
    statuses: &[WorkerStatus],
) -> Result<(), CliError> {
    let cluster = waiting_client(global).await?;
    let wanted: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
    let found = until(&cluster, id, global.timeout, |worker| {
        if statuses.contains(&worker.status()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let worker = found.await.map_err(|error| match error {
        // The caller knows what it waited for; we say what there is instead.
        CliError::TimedOut(now) => {
            CliError::TimedOut(format!("worker {id} is not {}: {now}", wanted.join(" or ")))
        }
        CliError::Status(_)
        | CliError::Unreachable(_)
        | CliError::Definition { .. }
        | CliError::Message(_)
        | CliError::Io(_) => error,
    })?;
    output.one(&worker)
}

/// A client for something that may take long, which knows where else to go when a node dies.
pub(super) async fn waiting_client(global: &GlobalArgs) -> Result<Cluster, CliError> {
    let cluster = Cluster::for_waiting(global)?;
    let members = any_status(&cluster).await?.members;
    cluster.learn(members.into_iter().map(|member| member.grpc_addr));
    Ok(cluster)
}

/// Reads a worker until `look` breaks; the worker as it then is. A worker whose record is gone is DELETED.
pub(super) async fn until(
    cluster: &Cluster,
    id: &str,
    limit: Option<Duration>,
    mut look: impl FnMut(&Worker) -> ControlFlow<()>,
) -> Result<Worker, CliError> {
    let mut last: Option<Worker> = None;
    let looking = async {
        let mut heard = Instant::now();
        let mut connected = true;
        loop {
            match look_once(cluster, id, last.as_ref()).await {
                Ok(worker) => {
                    heard = Instant::now();
                    connected = true;
                    let flow = look(&worker);
                    last = Some(worker.clone());
                    if flow.is_break() {
                        return Ok(worker);
                    }
                    if worker.status() == WorkerStatus::Deleted {
                        return Err(CliError::message(format!("worker {id} was deleted")));
                    }
                }
                Err(error) if last.is_some() && is_transient(&error) && heard.elapsed() < GIVE_UP => {
                    if connected {
                        note(&format!("no answer ({}); asking again", short_reason(&error)));
                    }
                    connected = false;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let Some(limit) = limit else {
        return looking.await;
    };
    let in_time = tokio::time::timeout(limit, looking).await;
    in_time.unwrap_or_else(|_| Err(CliError::TimedOut(as_it_is(last.as_ref()))))
}

/// By id once it is known: a name may pass to another worker.
async fn look_once(cluster: &Cluster, id: &str, last: Option<&Worker>) -> Result<Worker, CliError> {
    let id = last.map_or(id, |worker| worker.id.as_str());
    match (get(cluster, id, ReadArgs { local: false }).await, last) {
        (Err(CliError::Status(status)), Some(last)) if status.code() == Code::NotFound => Ok(Worker {
            status: WorkerStatus::Deleted.into(),
            ..last.clone()
        }),
        (answer, _) => answer,
    }
}

/// `it is OFFLINE since …: why`, for a time-out.
fn as_it_is(worker: Option<&Worker>) -> String {
    let Some(worker) = worker else {
        return "no node answered".to_owned();
    };
    let why = worker
        .conditions
        .first()
        .filter(|condition| !condition.message.is_empty())
        .map_or_else(String::new, |condition| format!(" ({})", condition.message));
    format!("it is {}{why}", worker.status().name())
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::WorkerCondition;

    use super::*;

    #[test]
    fn a_time_out_says_what_there_is_instead_and_why() {
        let worker = Worker {
            status: WorkerStatus::Offline.into(),
            conditions: vec![WorkerCondition {
                message: "registered, never connected".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            as_it_is(Some(&worker)),
            "it is OFFLINE (registered, never connected)"
        );
        assert_eq!(as_it_is(None), "no node answered");
    }
}
