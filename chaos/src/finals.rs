//! The end: faults are over, every run must end, and every node must hold the same. What each of them holds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::{
    Consistency, Endpoint, EndpointOutcome, EndpointPhase, GetStatusRequest, ListRunEndpointsRequest,
    ListRunsRequest, ListTestsRequest, Run, RunReason, RunReasonCode, RunStatus,
};
use tonic::{Request, Status};

use crate::checker::ledger::{EndpointSaid, RunSaid};

/// Longer than a run can last at worst: its wait for capacity and its safety limit.
const ALL_TERMINAL: Duration = Duration::from_secs(90);
const SAME_INDEX: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const PAGE: u32 = 500;

/// A node that is read in the end: its name, and a connection to it.
pub type Peer = (String, Connection);

/// What a node holds in the end.
#[derive(Clone, Debug, Default)]
pub struct NodeFinal {
    /// Its name.
    pub name: String,
    /// What it had applied.
    pub index: u64,
    /// Hash of its state at that index.
    pub hash: String,
    /// Version of each test by name.
    pub tests: BTreeMap<String, u32>,
    /// Runs by id.
    pub runs: BTreeMap<String, RunFinal>,
}

/// A run in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFinal {
    /// Its status.
    pub status: RunStatus,
    /// Why, where there is something to say.
    pub reason: RunReasonCode,
    /// Whether its endpoints ever began.
    pub began: bool,
    /// Its size.
    pub total: u32,
    /// Endpoints that are CLOSED.
    pub closed: u32,
    /// Endpoints by outcome; those without one are not in here.
    pub outcomes: BTreeMap<EndpointOutcome, u32>,
}

impl From<&Run> for RunFinal {
    fn from(run: &Run) -> Self {
        let counts = run.endpoints.clone().unwrap_or_default();
        let closed = counts
            .by_phase
            .iter()
            .filter(|count| count.phase() == EndpointPhase::Closed);
        let known = counts
            .by_outcome
            .iter()
            .filter(|count| count.outcome() != EndpointOutcome::Unspecified);
        Self {
            status: run.status(),
            reason: run.reason.as_ref().map(RunReason::code).unwrap_or_default(),
            began: run.start_at.is_some(),
            total: counts.total,
            closed: closed.map(|count| count.count).sum(),
            outcomes: known.map(|count| (count.outcome(), count.count)).collect(),
        }
    }
}

/// Whether a run in this status is over.
pub fn is_terminal(status: RunStatus) -> bool {
    match status {
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => true,
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => false,
    }
}

/// Waits until every run is over, as far as that happens; how many are not.
///
/// # Errors
/// No node answers.
pub async fn settle(peers: &[Peer]) -> Result<usize> {
    let (_, first) = peers.first().context("there is a node")?;
    let deadline = tokio::time::Instant::now() + ALL_TERMINAL;
    loop {
        let open = match list_runs(first.clone(), Consistency::Linearizable).await {
            Ok(runs) => runs.iter().filter(|run| !is_terminal(run.status())).count(),
            Err(_) => usize::MAX,
        };
        if open == 0 || tokio::time::Instant::now() >= deadline {
            return Ok(open);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What every node holds, all at the same applied index.
///
/// # Errors
/// The nodes do not come to rest at one index, or one does not answer.
pub async fn collect(peers: &[Peer]) -> Result<Vec<NodeFinal>> {
    let deadline = tokio::time::Instant::now() + SAME_INDEX;
    loop {
        let before = hashes(peers).await?;
        let mut nodes = Vec::new();
        for (peer, (index, hash)) in peers.iter().zip(&before) {
            nodes.push(node(peer, *index, hash.clone()).await?);
        }
        let after = hashes(peers).await?;
        let same = before.iter().all(|(index, _)| *index == before[0].0);
        // Nothing was applied while the lists were read, so that they belong to the hashes.
        if same && before == after {
            return Ok(nodes);
        }
        if tokio::time::Instant::now() >= deadline {
            bail!("the nodes do not come to rest: {before:?}, then {after:?}");
        }
    }
}

/// What a node says of every run and its endpoints.
///
/// # Errors
/// It does not answer.
pub async fn said(peers: &[Peer]) -> Result<BTreeMap<String, RunSaid>> {
    let (_, first) = peers.first().context("there is a node")?;
    let runs = list_runs(first.clone(), Consistency::Local).await?;
    let mut said = BTreeMap::new();
    for run in runs {
        let names: BTreeMap<String, String> = run
            .assignments
            .iter()
            .map(|one| (one.worker_id.clone(), one.worker_name.clone()))
            .collect();
        let end = RunFinal::from(&run);
        let mut endpoints = Vec::new();
        for one in list_endpoints(first.clone(), &run.id).await? {
            let outcome = if one.outcome() == EndpointOutcome::Unspecified {
                ""
            } else {
                one.outcome().as_str_name()
            };
            endpoints.push(EndpointSaid {
                outcome: outcome.to_owned(),
                worker: names.get(&one.worker_id).cloned().unwrap_or(one.worker_id),
                group: one.group,
                index: one.index,
                epoch: one.epoch,
            });
        }
        let outcomes = end.outcomes.iter();
        let row = RunSaid {
            endpoints,
            outcomes: outcomes
                .filter(|(_, count)| **count > 0)
                .map(|(outcome, count)| (outcome.as_str_name().to_owned(), *count))
                .collect(),
            total: end.total,
            began: end.began,
        };
        said.insert(run.id, row);
    }
    Ok(said)
}

async fn list_endpoints(node: Connection, run: &str) -> Result<Vec<Endpoint>, Status> {
    let mut client = RunsClient::new(node);
    let mut endpoints = Vec::new();
    let mut page_token = String::new();
    loop {
        let mut request = Request::new(ListRunEndpointsRequest {
            run_id: run.to_owned(),
            page_size: PAGE,
            page_token,
            consistency: Consistency::Local.into(),
        });
        request.set_timeout(CALL_TIMEOUT);
        let page = client.list_run_endpoints(request).await?.into_inner();
        endpoints.extend(page.endpoints);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(endpoints);
        }
    }
}

async fn hashes(peers: &[Peer]) -> Result<Vec<(u64, String)>> {
    let mut hashes = Vec::new();
    for (name, connection) in peers {
        let mut request = Request::new(GetStatusRequest {
            include_state_hash: true,
        });
        request.set_timeout(CALL_TIMEOUT);
        let status = ClusterClient::new(connection.clone()).get_status(request).await;
        let status = status
            .with_context(|| format!("{name} does not answer"))?
            .into_inner();
        hashes.push((status.last_applied_index, status.state_hash));
    }
    Ok(hashes)
}

async fn node((name, connection): &Peer, index: u64, hash: String) -> Result<NodeFinal> {
    let runs = list_runs(connection.clone(), Consistency::Local).await?;
    Ok(NodeFinal {
        name: name.clone(),
        index,
        hash,
        tests: list_tests(connection.clone()).await?,
        runs: runs
            .iter()
            .map(|run| (run.id.clone(), RunFinal::from(run)))
            .collect(),
    })
}

async fn list_runs(node: Connection, consistency: Consistency) -> Result<Vec<Run>, Status> {
    let mut client = RunsClient::new(node).max_decoding_message_size(usize::MAX);
    let mut runs = Vec::new();
    let mut page_token = String::new();
    loop {
        let mut request = Request::new(ListRunsRequest {
            page_size: PAGE,
            page_token,
            consistency: consistency.into(),
            ..Default::default()
        });
        request.set_timeout(CALL_TIMEOUT);
        let page = client.list_runs(request).await?.into_inner();
        runs.extend(page.runs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(runs);
        }
    }
}

async fn list_tests(node: Connection) -> Result<BTreeMap<String, u32>, Status> {
    let mut client = TestsClient::new(node);
    let mut tests = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let mut request = Request::new(ListTestsRequest {
            page_size: PAGE,
            page_token,
            consistency: Consistency::Local.into(),
            ..Default::default()
        });
        request.set_timeout(CALL_TIMEOUT);
        let page = client.list_tests(request).await?.into_inner();
        tests.extend(page.tests.into_iter().map(|test| (test.name, test.version)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(tests);
        }
    }
}
