//! A million endpoints in flight at once, in one run on real workers, with what one of them costs a node and a worker.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{EndpointPhase, GetRunRequest, RunStatus, StartRunRequest};
use reeve_testkit::{WorkerProcess, create_worker, until};
use tokio::time::timeout;

use super::runs::{Feed, apply};
use crate::machine::resident_bytes;
use crate::report::{Finding, Report};
use crate::stats::ms;
use crate::subject::Reeve;

/// Endpoints of a worker.
const SHARE: u32 = 100_000;
/// For each step but the last.
const LIMIT: Duration = Duration::from_secs(120);

/// A million endpoints (or as many as asked for) in one run on real workers, on a cluster of its own.
///
/// # Errors
/// The run does not start or does not complete.
pub async fn run(program: &Path, directory: &Path, endpoints: u32, report: &mut Report) -> Result<()> {
    let flags = vec!["--unhealthy-above-percent=100".to_owned()];
    let mut reeve = Reeve::start(program.to_owned(), directory, flags).await?;
    let leader = reeve.agreed_leader().await?;
    let channel = reeve.cluster.connect(leader).await?;
    let mut workers = workers(&reeve, &channel, program, directory, endpoints.div_ceil(SHARE)).await?;
    let (nodes_idle, workers_idle) = (nodes_bytes(&reeve), workers_bytes(&workers));
    let test = apply(&channel, endpoints, Duration::from_secs(30)).await?;
    let feed = Feed::open(channel.clone()).await?;
    let mut client = RunsClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let request = StartRunRequest {
        test,
        ..StartRunRequest::default()
    };
    let submitted = Instant::now();
    let run = client
        .start_run(request)
        .await?
        .into_inner()
        .run
        .context("no run")?;
    let running = timeout(LIMIT, feed.running(&run.id)).await??;
    let in_call = all_in_call(&mut client, &run.id, endpoints).await?;
    let case = format!("one run of {endpoints} endpoints on {} workers", workers.len());
    let each = |bytes: f64| Some(bytes / f64::from(endpoints));
    let per_node = nodes_bytes(&reeve)
        .iter()
        .zip(&nodes_idle)
        .map(|(now, idle)| now - idle)
        .fold(0.0, f64::max);
    let on_workers: f64 = workers_bytes(&workers).iter().sum::<f64>() - workers_idle.iter().sum::<f64>();
    for (measure, unit, value) in [
        ("submitted to RUNNING", "ms", Some(ms(running - submitted))),
        ("submitted to all INCALL", "ms", Some(ms(in_call - submitted))),
        (
            "memory for an endpoint on the node that uses most",
            "B",
            each(per_node),
        ),
        ("memory for an endpoint on its worker", "B", each(on_workers)),
    ] {
        report
            .findings
            .push(Finding::new("1M", &case, measure, unit).reeve(value));
    }
    let ended = until(Duration::from_secs(300), "the run completed", || {
        completed(client.clone(), run.id.clone())
    })
    .await;
    for worker in &mut workers {
        if let Some(end) = worker.unexpected_end() {
            bail!("{end}");
        }
    }
    ended?;
    let whole = ms(submitted.elapsed());
    report
        .findings
        .push(Finding::new("1M", &case, "submitted to COMPLETED", "ms").reeve(Some(whole)));
    Ok(())
}

async fn workers(
    reeve: &Reeve,
    channel: &Connection,
    program: &Path,
    directory: &Path,
    count: u32,
) -> Result<Vec<WorkerProcess>> {
    let nodes: Vec<String> = reeve
        .cluster
        .nodes()
        .iter()
        .map(|node| node.grpc.clone())
        .collect();
    let mut workers = Vec::new();
    for number in 0..count {
        let created = create_worker(channel.clone(), &format!("w{number}"), SHARE).await?;
        let mut worker = WorkerProcess::new(program.to_owned(), directory.to_owned(), &nodes, created)?;
        worker.start()?;
        workers.push(worker);
    }
    let all = workers.len();
    until(LIMIT, "every worker has a session", || async {
        let mut connected = 0;
        for node in 0..nodes.len() {
            let status = reeve.cluster.status(node, false).await;
            connected += status.map_or(0, |status| status.sessions as usize);
        }
        connected == all
    })
    .await?;
    Ok(workers)
}

async fn all_in_call(client: &mut RunsClient<Connection>, id: &str, endpoints: u32) -> Result<Instant> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let request = GetRunRequest {
            id: id.to_owned(),
            ..GetRunRequest::default()
        };
        let run = client
            .get_run(request)
            .await?
            .into_inner()
            .run
            .context("no run")?;
        let counts = run.endpoints.unwrap_or_default();
        let in_call = counts
            .by_phase
            .iter()
            .find(|count| count.phase() == EndpointPhase::Incall);
        if in_call.is_some_and(|count| count.count >= endpoints) {
            return Ok(Instant::now());
        }
        if Instant::now() > deadline {
            bail!("after a minute the endpoints are {:?}", counts.by_phase);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn completed(mut client: RunsClient<Connection>, id: String) -> bool {
    let request = GetRunRequest {
        id,
        ..GetRunRequest::default()
    };
    let answer = client.get_run(request).await;
    answer.is_ok_and(|answer| {
        answer
            .into_inner()
            .run
            .is_some_and(|run| run.status() == RunStatus::Completed)
    })
}

fn nodes_bytes(reeve: &Reeve) -> Vec<f64> {
    let pids = (0..reeve.cluster.nodes().len()).filter_map(|position| reeve.cluster.pid(position));
    pids.map(resident).collect()
}

fn workers_bytes(workers: &[WorkerProcess]) -> Vec<f64> {
    let pids = workers.iter().filter_map(WorkerProcess::pid);
    pids.map(resident).collect()
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^52")]
fn resident(pid: u32) -> f64 {
    resident_bytes(pid).unwrap_or_default() as f64
}
