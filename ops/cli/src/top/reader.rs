//! Asks the nodes once a second: the first that answers, one that knows a leader if there is one.

use std::time::Duration;

use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    Consistency, GetStatusResponse, ListRunsRequest, ListWorkersRequest, Run, RunStatus, Worker,
};
use tokio::sync::mpsc;
use tonic::{Request, Status};

use crate::client::{Cluster, Node, is_transient};
use crate::cmd::PAGE_SIZE;
use crate::cmd::cluster::status_of;
use crate::error::CliError;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long a node may take for one answer. One that takes longer is no better than one that is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// More than this many nobody scrolls through; larger fleets are for filters of `worker list`.
const MOST_WORKERS: usize = 2_000;
const RUNS: u32 = 200;

/// What one reading brought.
pub(super) type Found = Result<Snapshot, CliError>;

/// One node's view at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// The address that answered.
    pub(super) address: String,
    pub(super) status: GetStatusResponse,
    pub(super) workers: Vec<Worker>,
    /// Whether there are more.
    pub(super) more_workers: bool,
    /// The latest ones, and those that are not at their end.
    pub(super) runs: Vec<Run>,
}

pub(super) struct Reader {
    cluster: Cluster,
}

impl Reader {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// Reads until nobody listens.
    pub(super) async fn run(self, sender: mpsc::Sender<Found>) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if sender.send(self.read().await).await.is_err() {
                return;
            }
        }
    }

    async fn read(&self) -> Found {
        let (node, status) = self.node().await?;
        match read_from(&node, status).await {
            Ok(snapshot) => Ok(snapshot),
            Err(error) => {
                if is_transient(&error) {
                    self.cluster.demote(&node.address);
                }
                Err(error)
            }
        }
    }

    /// The node to read from, and what it says about itself.
    async fn node(&self) -> Result<(Node, GetStatusResponse), CliError> {
        let mut without_leader = None;
        let mut silent = Vec::new();
        for node in self.cluster.nodes() {
            match status_of(node.channel.clone(), false, ANSWER_TIMEOUT).await {
                Ok(status) if status.leader_id != 0 => {
                    let members = status.members.iter();
                    self.cluster.learn(members.map(|member| member.grpc_addr.clone()));
                    return Ok((node, status));
                }
                Ok(status) => {
                    self.cluster.demote(&node.address);
                    without_leader.get_or_insert((node, status));
                }
                Err(error) if is_transient(&error) => {
                    self.cluster.demote(&node.address);
                    silent.push((node.address, crate::client::short_reason(&error)));
                }
                Err(error) => return Err(error),
            }
        }
        without_leader.ok_or(CliError::Unreachable(silent))
    }
}

/// What the node has applied: it answers without a leader too, and costs no quorum each second.
async fn read_from(node: &Node, status: GetStatusResponse) -> Result<Snapshot, CliError> {
    let (workers, more_workers) = workers(node).await?;
    let mut runs = runs(node, None).await?;
    // Old runs may still be going.
    for status in [RunStatus::Pending, RunStatus::Queued, RunStatus::Running] {
        for run in self::runs(node, Some(status)).await? {
            if runs.iter().all(|known| known.id != run.id) {
                runs.push(run);
            }
        }
    }
    Ok(Snapshot {
        address: node.address.clone(),
        status,
        workers,
        more_workers,
        runs,
    })
}

async fn workers(node: &Node) -> Result<(Vec<Worker>, bool), CliError> {
    let mut message = ListWorkersRequest {
        page_size: PAGE_SIZE,
        consistency: Consistency::Local.into(),
        ..Default::default()
    };
    let mut workers = Vec::new();
    loop {
        let mut client = WorkersClient::new(node.channel.clone());
        let page = in_time(client.list_workers(bounded(message.clone()))).await?;
        workers.extend(page.workers);
        let more = !page.next_page_token.is_empty();
        if !more || workers.len() >= MOST_WORKERS {
            return Ok((workers, more));
        }
        message.page_token = page.next_page_token;
    }
}

async fn runs(node: &Node, status: Option<RunStatus>) -> Result<Vec<Run>, CliError> {
    let request = bounded(ListRunsRequest {
        page_size: RUNS,
        status: status.unwrap_or_default().into(),
        consistency: Consistency::Local.into(),
        ..Default::default()
    });
    let mut client = RunsClient::new(node.channel.clone());
    Ok(in_time(client.list_runs(request)).await?.runs)
}

fn bounded<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_TIMEOUT);
    request
}

/// A frozen node keeps no deadline.
async fn in_time<T>(answer: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, CliError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded("no answer before the deadline").into()),
    }
}
