//! Runs from submission to RUNNING: one after the other while capacity is free, and as many as there can be under load.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use prost_types::Duration as WireDuration;
use reeve_proto::bearer::Connection;
use reeve_proto::v1::group::Executor;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{
    ApplyTestRequest, Group, ResourceKind, RunStatus, SimExecutor, StartRunRequest, TestDefinition,
    WatchRequest, resource,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Bed, Options};
use crate::fleet::Fleet;
use crate::report::{Aim, Finding, Report};
use crate::stats::{median, ms, quantile};

const WORKERS: usize = 100;
/// Submitters under load.
const CLIENTS: usize = 32;
/// Goal for the median from submission to RUNNING, milliseconds.
const STARTED: f64 = 15.0;
/// A run that is not RUNNING by then is an error.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures latency, then throughput, for runs of 1 and of 1,000 endpoints.
///
/// # Errors
/// A run was refused or did not start, or the simulated workers lost their sessions.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    let Some(reeve) = &mut bed.reeve else {
        return Ok(());
    };
    let leader = reeve.agreed_leader().await?;
    let mut fleet = Fleet::connect(&reeve.cluster, leader, WORKERS).await?;
    let channel = reeve.cluster.connect(leader).await?;
    let mut feed = Feed::open(channel.clone()).await?;
    for endpoints in [1, 1_000] {
        let test = apply(&channel, endpoints, Duration::from_secs(1)).await?;
        alone(&channel, &feed, &test, endpoints, options, report).await?;
        together(&channel, &feed, &test, endpoints, options, report).await?;
        fleet.check()?;
        feed.check()?;
    }
    Ok(())
}

/// One run after the other.
async fn alone(
    channel: &Connection,
    feed: &Feed,
    test: &str,
    endpoints: u32,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..options.runs * 5 {
        times.push(ms(submit(channel.clone(), feed, test).await?));
    }
    let case = format!(
        "{} runs of {endpoints} endpoints, one after the other, {WORKERS} sessions",
        times.len()
    );
    let aim = (endpoints == 1).then_some(Aim::AtMost(STARTED));
    for (measure, value, aim) in [
        ("submitted to RUNNING, p50", median(&times), aim),
        ("submitted to RUNNING, p99", quantile(&times, 0.99), None),
    ] {
        let finding = Finding::new("runs", &case, measure, "ms").reeve(value).aim(aim);
        report.findings.push(finding);
    }
    Ok(())
}

/// Many clients, each of which submits its next run as soon as the last one is RUNNING.
async fn together(
    channel: &Connection,
    feed: &Feed,
    test: &str,
    endpoints: u32,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let begun = Instant::now();
    let end = begun + options.shape.measured;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (channel, feed, test) = (channel.clone(), feed.clone(), test.to_owned());
        clients.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                times.push(ms(submit(channel.clone(), &feed, &test).await?));
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(one) = clients.join_next().await {
        times.extend(one??);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of runs is small")]
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    let case = format!("runs of {endpoints} endpoints, {CLIENTS} clients, {WORKERS} sessions");
    for (measure, unit, value) in [
        ("submitted and RUNNING", "runs/s", Some(per_second)),
        ("submitted to RUNNING, p50", "ms", median(&times)),
        ("submitted to RUNNING, p99", "ms", quantile(&times, 0.99)),
    ] {
        report
            .findings
            .push(Finding::new("runs", &case, measure, unit).reeve(value));
    }
    Ok(())
}

/// Submits a run; the time until the feed told that it is RUNNING.
async fn submit(channel: Connection, feed: &Feed, test: &str) -> Result<Duration> {
    let submitted = Instant::now();
    let request = StartRunRequest {
        test: test.to_owned(),
        ..StartRunRequest::default()
    };
    let started = RunsClient::new(channel).start_run(request).await?.into_inner();
    let id = started.run.context("the answer names no run")?.id;
    let running = timeout(LIMIT, feed.running(&id))
        .await
        .context("a run did not start within a minute")??;
    Ok(running.saturating_duration_since(submitted))
}

/// What became of runs, by id.
type Seen = Arc<Mutex<HashMap<String, (RunStatus, Instant)>>>;

/// One watch of all runs, shared by all who submit.
#[derive(Clone)]
pub(super) struct Feed {
    seen: Seen,
    changed: tokio::sync::watch::Receiver<()>,
}

impl Feed {
    pub(super) async fn open(channel: Connection) -> Result<Self> {
        let request = WatchRequest {
            kinds: vec![ResourceKind::Run.into()],
            ..WatchRequest::default()
        };
        let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut stream = client.watch(request).await?.into_inner();
        // The first message says that the feed is open.
        stream.message().await?.context("the feed ended at once")?;
        let seen = Seen::default();
        let (told, changed) = tokio::sync::watch::channel(());
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok(Some(change)) = stream.message().await {
                let now = Instant::now();
                let Some(Event::Put(put)) = change.event else {
                    continue;
                };
                let Some(resource::Resource::Run(run)) = put.resource else {
                    continue;
                };
                if decided(run.status()) {
                    let status = run.status();
                    lock(&noted).entry(run.id).or_insert((status, now));
                    told.send_replace(());
                }
            }
        });
        Ok(Self { seen, changed })
    }

    /// When the run was RUNNING.
    pub(super) async fn running(&self, id: &str) -> Result<Instant> {
        let mut changed = self.changed.clone();
        loop {
            changed.borrow_and_update();
            match lock(&self.seen).remove(id) {
                Some((RunStatus::Running | RunStatus::Completed, at)) => return Ok(at),
                Some((status, _)) => bail!("run {id} ended as {status:?}"),
                None => {}
            }
            changed.changed().await.context("the feed ended")?;
        }
    }

    fn check(&mut self) -> Result<()> {
        self.changed.has_changed().context("the feed ended")?;
        Ok(())
    }
}

fn lock(seen: &Seen) -> std::sync::MutexGuard<'_, HashMap<String, (RunStatus, Instant)>> {
    seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn decided(status: RunStatus) -> bool {
    match status {
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued => false,
        RunStatus::Running | RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => true,
    }
}

pub(super) async fn apply(channel: &Connection, endpoints: u32, duration: Duration) -> Result<String> {
    let wire = |time: Duration| {
        Some(WireDuration {
            seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            nanos: 0,
        })
    };
    let name = format!("bench-{endpoints}");
    let definition = TestDefinition {
        name: name.clone(),
        duration: wire(duration),
        buildup: wire(Duration::ZERO),
        queue_timeout: wire(Duration::from_secs(60)),
        max_execution: wire(Duration::from_secs(600)),
        groups: vec![Group {
            name: "callers".to_owned(),
            endpoints,
            executor: Some(Executor::Sim(SimExecutor {
                setup_min: wire(Duration::ZERO),
                setup_max: wire(Duration::ZERO),
                ..SimExecutor::default()
            })),
            ..Group::default()
        }],
    };
    let request = ApplyTestRequest {
        definition: Some(definition),
        ..ApplyTestRequest::default()
    };
    TestsClient::new(channel.clone()).apply_test(request).await?;
    Ok(name)
}
