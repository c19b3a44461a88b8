//! Waits until the cluster can be used: a leader, registered workers, all of them ONLINE.

use std::time::Duration;

use reeve_proto::names::name_of;
use reeve_proto::v1::keys_client::KeysClient;
use reeve_proto::v1::{CreateWorkerRequest, WhoAmIRequest, WorkerKind, WorkerStatus};
use tokio::time::Instant;
use tonic::Request;

use super::child::Child;
use super::layout::{Layout, WorkerEntry, region};
use crate::args::ListArgs;
use crate::client::Node;
use crate::cmd::cluster::status_of;
use crate::cmd::workers;
use crate::error::CliError;

const POLL: Duration = Duration::from_millis(50);
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The id of the leader, once it says itself that it leads and takes our key.
pub(super) async fn wait_for_leader(
    layout: &Layout,
    nodes: &[Child],
    deadline: Instant,
) -> Result<u64, CliError> {
    let cluster = layout.client(CALL_TIMEOUT)?;
    loop {
        for node in cluster.nodes() {
            if let Ok(status) = status_of(node.channel.clone(), false, CALL_TIMEOUT).await
                && status.leader_id != 0
                && status.leader_id == status.node_id
                && takes_our_key(&node).await
            {
                return Ok(status.leader_id);
            }
        }
        still_waiting(nodes, deadline, || "no leader was elected".to_owned())?;
        tokio::time::sleep(POLL).await;
    }
}

async fn takes_our_key(node: &Node) -> bool {
    let mut request = Request::new(WhoAmIRequest {});
    request.set_timeout(CALL_TIMEOUT);
    KeysClient::new(node.channel.clone())
        .who_am_i(request)
        .await
        .is_ok()
}

/// Registers the workers that the directory does not know yet, and keeps their tokens.
pub(super) async fn register_workers(
    layout: &mut Layout,
    count: u8,
    deadline: Instant,
) -> Result<(), CliError> {
    let left = deadline
        .saturating_duration_since(Instant::now())
        .max(CALL_TIMEOUT);
    let cluster = layout.client(left)?;
    for index in layout.workers.len()..usize::from(count) {
        let (name, region) = (format!("w{}", index + 1), region(index).to_owned());
        let request = CreateWorkerRequest {
            name: name.clone(),
            region: region.clone(),
            kind: WorkerKind::UserOwned.into(),
            request_id: crate::client::request_id(None),
            ..Default::default()
        };
        let created = workers::create(&cluster, request).await?;
        let id = created.worker.map(|worker| worker.id).unwrap_or_default();
        if created.token.is_empty() {
            return Err(CliError::message(format!(
                "worker {name} was registered without a token"
            )));
        }
        layout.workers.push(WorkerEntry {
            id,
            name,
            region,
            token: created.token,
        });
        // After each: a token that is not kept is lost.
        layout.save()?;
    }
    Ok(())
}

/// Returns once every worker that was started is ONLINE.
pub(super) async fn wait_for_workers(
    layout: &Layout,
    started: &[Child],
    deadline: Instant,
) -> Result<(), CliError> {
    let cluster = layout.client(CALL_TIMEOUT)?;
    loop {
        let known = workers::list(&cluster, ListArgs::default()).await;
        let missing: Vec<String> = match &known {
            Err(error) => vec![error.to_string()],
            Ok((known, _)) => started
                .iter()
                .filter_map(|child| {
                    let worker = known.iter().find(|worker| worker.name == child.name);
                    let status = worker.map_or(0, |worker| worker.status);
                    (status != i32::from(WorkerStatus::Online))
                        .then(|| format!("{} is {}", child.name, name_of::<WorkerStatus>(status)))
                })
                .collect(),
        };
        if missing.is_empty() {
            return Ok(());
        }
        still_waiting(started, deadline, || missing.join(", "))?;
        tokio::time::sleep(POLL).await;
    }
}

/// Refuses to wait for what cannot happen any more, and to wait for ever; names the log to read.
fn still_waiting(
    children: &[Child],
    deadline: Instant,
    missing: impl FnOnce() -> String,
) -> Result<(), CliError> {
    if let Some((child, status)) = children.iter().find_map(|child| Some((child, child.ended()?))) {
        let log = child.log.display();
        return Err(CliError::message(format!(
            "{} ended: {status}; see {log}",
            child.name
        )));
    }
    if Instant::now() < deadline {
        return Ok(());
    }
    let logs: Vec<String> = children
        .iter()
        .map(|child| child.log.display().to_string())
        .collect();
    Err(CliError::message(format!(
        "not ready in time: {}; see {}",
        missing(),
        logs.join(", ")
    )))
}
