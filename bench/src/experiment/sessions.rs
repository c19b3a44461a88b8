//! P5: how many sessions three nodes hold, what one costs in memory, what all of them cost while nothing happens, and how long it takes
//! until all have moved when a node is killed. On a cluster of its own, with the default thresholds: heartbeats every 30 s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{Consistency, ListWorkersRequest, Worker, WorkerStatus};
use reeve_testkit::until;

use crate::herd::Herd;
use crate::machine::{cpu_time, resident_bytes};
use crate::report::{Aim, Finding, Report};
use crate::subject::Reeve;

/// Streams that share one connection; servers allow 200.
const SHARE: usize = 100;
/// Sessions with a connection of their own: a process may hold 20,000 descriptors.
const UNSHARED: usize = 6_000;
/// How long the cluster is left alone before and while its load is measured: all heartbeats come at least once.
const STEADY: Duration = Duration::from_secs(60);
/// Until all have a session.
const CONNECTED: Duration = Duration::from_secs(300);
const PAGE: u32 = 1_000;
const KIB: f64 = 1_024.0;
/// Goals.
const MOST_KIB: f64 = 48.0;
const MOST_CORE_PERCENT: f64 = 10.0;
const MOST_REHOMED_S: f64 = 15.0;

/// How far it goes.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Sessions of each step, rising.
    pub steps: Vec<usize>,
    /// How long the load is measured.
    pub steady: Duration,
}

impl Sizes {
    /// What is published.
    pub fn full() -> Self {
        Self {
            steps: vec![UNSHARED, 30_000, 100_000],
            steady: STEADY,
        }
    }

    /// A look in passing.
    pub fn quick() -> Self {
        Self {
            steps: vec![300, 1_000],
            steady: Duration::from_secs(10),
        }
    }
}

/// Grows a herd step by step, looks at what it costs, and kills the leader at the end.
///
/// # Errors
/// The sessions do not come up, or do not come back.
pub async fn run(
    program: PathBuf,
    directory: &std::path::Path,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let directory = directory.join("sessions");
    std::fs::create_dir_all(&directory)?;
    let mut reeve = Reeve::start(program, &directory, Vec::new()).await?;
    let empty = resident(&reeve);
    let mut herd = Herd::new(&reeve.cluster);
    for (step, sessions) in sizes.steps.iter().copied().enumerate() {
        let share = if step == 0 { 1 } else { SHARE };
        let added = sessions - herd.len();
        let begun = Instant::now();
        let leader = reeve.agreed_leader().await?;
        herd.grow(&reeve.cluster, leader, sessions, share).await?;
        all_connected(&herd, sessions).await?;
        report.remarks.push(format!(
            "P5: {added} more workers registered and connected in {:.0} s, {} more connections of {share} sessions each: {sessions} sessions",
            begun.elapsed().as_secs_f64(),
            added.div_ceil(share),
        ));
        settled(&reeve, &herd, sessions, sizes.steady, empty, report).await?;
    }
    let most = sizes.steps.last().copied().unwrap_or_default();
    moved(&mut reeve, &herd, most, sizes.steady, report).await
}

async fn all_connected(herd: &Herd, sessions: usize) -> Result<()> {
    until(CONNECTED, "every simulated worker has a session", || async {
        herd.connected() == sessions
    })
    .await
    .with_context(|| format!("{} of {sessions} have", herd.connected()))
}

/// Memory, CPU and log while nothing but heartbeats happens.
async fn settled(
    reeve: &Reeve,
    herd: &Herd,
    sessions: usize,
    steady: Duration,
    empty: u64,
    report: &mut Report,
) -> Result<()> {
    tokio::time::sleep(steady / 2).await;
    let (index, cpu, lost) = (last_index(reeve).await?, cpu(reeve), herd.lost());
    let begun = Instant::now();
    tokio::time::sleep(steady).await;
    let seconds = begun.elapsed().as_secs_f64();
    let used = cpu
        .iter()
        .zip(self::cpu(reeve))
        .map(|(before, after)| (after - *before).as_secs_f64());
    let per_node: Vec<f64> = used.map(|used| used / seconds * 100.0).collect();
    let entries = last_index(reeve).await? - index;
    if herd.lost() != lost {
        report.remarks.push(format!(
            "P5: {} sessions were lost while nothing happened",
            herd.lost() - lost
        ));
    }
    let case = format!("{sessions} sessions on 3 nodes, heartbeats every 30 s");
    #[expect(clippy::cast_precision_loss, reason = "memory and counts are far below 2^52")]
    let rows = [
        (
            "memory of the nodes a session",
            "KiB",
            resident(reeve).saturating_sub(empty) as f64 / sessions as f64 / KIB,
            Some(Aim::AtMost(MOST_KIB)),
        ),
        (
            "CPU of the three nodes together",
            "% of a core",
            per_node.iter().sum(),
            Some(Aim::AtMost(MOST_CORE_PERCENT)),
        ),
        (
            "CPU of the busiest node",
            "% of a core",
            per_node.iter().copied().fold(0.0, f64::max),
            None,
        ),
        (
            "entries that the log grew by meanwhile",
            "entries",
            entries as f64,
            Some(Aim::AtMost(0.0)),
        ),
    ];
    for (measure, unit, value, aim) in rows {
        report.findings.push(
            Finding::new("P5", &case, measure, unit)
                .reeve(Some(value))
                .aim(aim),
        );
    }
    Ok(())
}

/// The leader is killed: when every session stands again, and who was anything but ONLINE.
async fn moved(
    reeve: &mut Reeve,
    herd: &Herd,
    sessions: usize,
    steady: Duration,
    report: &mut Report,
) -> Result<()> {
    let leader = reeve.agreed_leader().await?;
    let held = reeve.cluster.status(leader, false).await?.sessions as usize;
    let before = flaps(&list(reeve).await?);
    reeve.cluster.kill(leader)?;
    let killed = Instant::now();
    until(
        CONNECTED,
        "the sessions of the killed node are missed",
        || async { herd.lost() >= held },
    )
    .await?;
    all_connected(herd, sessions).await?;
    let rehomed = killed.elapsed().as_secs_f64();
    // Long enough that whoever was given up wrongly is known to have been.
    tokio::time::sleep(steady).await;
    let workers = list(reeve).await?;
    if workers.len() < sessions {
        bail!("{} workers are listed of {sessions}", workers.len());
    }
    let left = workers
        .iter()
        .filter(|worker| left_online(worker, before.get(&worker.id).copied().unwrap_or(0)))
        .count();
    let grew = before.values().filter(|flaps| **flaps > 0).count();
    if grew > 0 {
        report.remarks.push(format!(
            "P5: {grew} workers were in ERROR for a while as the fleet grew, before the kill"
        ));
    }
    let case = format!("kill -9 of the leader, which held {held} of {sessions} sessions");
    #[expect(clippy::cast_precision_loss, reason = "a count of workers")]
    let rows = [
        (
            "until every session stands again",
            "s",
            rehomed,
            Some(Aim::AtMost(MOST_REHOMED_S)),
        ),
        (
            "workers that were anything but ONLINE",
            "workers",
            left as f64,
            Some(Aim::AtMost(0.0)),
        ),
    ];
    for (measure, unit, value, aim) in rows {
        report.findings.push(
            Finding::new("P5", &case, measure, unit)
                .reeve(Some(value))
                .aim(aim),
        );
    }
    Ok(())
}

/// A worker is OFFLINE only after it was in ERROR, which is counted.
fn left_online(worker: &Worker, flaps_before: u64) -> bool {
    worker.status() != WorkerStatus::Online || flaps_of(worker) > flaps_before
}

fn flaps(workers: &[Worker]) -> BTreeMap<String, u64> {
    workers
        .iter()
        .map(|worker| (worker.id.clone(), flaps_of(worker)))
        .collect()
}

fn flaps_of(worker: &Worker) -> u64 {
    worker.flaps.map_or(0, |flaps| flaps.total)
}

async fn list(reeve: &mut Reeve) -> Result<Vec<Worker>> {
    let leader = reeve.agreed_leader().await?;
    let mut client =
        WorkersClient::new(reeve.cluster.connect(leader).await?).max_decoding_message_size(usize::MAX);
    let mut request = ListWorkersRequest {
        page_size: PAGE,
        consistency: Consistency::Linearizable.into(),
        ..Default::default()
    };
    let mut workers = Vec::new();
    loop {
        let page = client.list_workers(request.clone()).await?.into_inner();
        workers.extend(page.workers);
        if page.next_page_token.is_empty() {
            return Ok(workers);
        }
        request.page_token = page.next_page_token;
    }
}

fn pids(reeve: &Reeve) -> impl Iterator<Item = u32> + '_ {
    (0..reeve.cluster.nodes().len()).filter_map(|node| reeve.cluster.pid(node))
}

fn resident(reeve: &Reeve) -> u64 {
    pids(reeve).filter_map(resident_bytes).sum()
}

fn cpu(reeve: &Reeve) -> Vec<Duration> {
    pids(reeve).filter_map(cpu_time).collect()
}

async fn last_index(reeve: &Reeve) -> Result<u64> {
    let mut most = 0;
    for node in 0..reeve.cluster.nodes().len() {
        most = most.max(reeve.cluster.status(node, false).await?.last_log_index);
    }
    Ok(most)
}
