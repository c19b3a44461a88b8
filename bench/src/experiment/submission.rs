//! P4 end to end: from the submission of a large run until its reservation is committed and told to a watcher, and until
//! all its workers have confirmed, on 1,000 workers with real sessions.

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
    ApplyTestRequest, Group, ResourceKind, Run, RunStatus, SimExecutor, StartRunRequest, TestDefinition,
    WatchRequest, WatchResponse, resource,
};
use tokio::time::timeout;
use tonic::Streaming;

use super::{Bed, Options};
use crate::fleet::Fleet;
use crate::report::{Aim, Finding, Report};
use crate::stats::{median, ms, quantile};

const WORKERS: usize = 1_000;
const ENDPOINTS: u32 = 10_000;
const TEST: &str = "bench-large";
/// A run that takes longer is reported as an error.
const LIMIT: Duration = Duration::from_secs(60);
/// Goal, milliseconds.
const RESERVED: f64 = 20.0;

/// What one run took from its submission, milliseconds.
struct Timed {
    reserved: f64,
    running: f64,
}

/// Submits one run after the other at the leader.
///
/// # Errors
/// The simulated workers lost their sessions, or a run did not complete.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    let Some(reeve) = &mut bed.reeve else {
        return Ok(());
    };
    let leader = reeve.agreed_leader().await?;
    let connecting = Instant::now();
    let mut fleet = Fleet::connect(&reeve.cluster, leader, WORKERS).await?;
    report.remarks.push(format!(
        "P4: {WORKERS} workers were registered and connected in {:.1} s",
        connecting.elapsed().as_secs_f64()
    ));
    let channel = reeve.cluster.connect(leader).await?;
    let request = ApplyTestRequest {
        definition: Some(definition()),
        request_id: String::new(),
        ..Default::default()
    };
    TestsClient::new(channel.clone()).apply_test(request).await?;
    let mut times = Vec::new();
    for _ in 0..options.runs {
        let one = timeout(LIMIT, submit(channel.clone())).await;
        fleet.check()?;
        times.push(one.context("a run did not complete within a minute")??);
    }
    let reserved: Vec<f64> = times.iter().map(|time| time.reserved).collect();
    let running: Vec<f64> = times.iter().map(|time| time.running).collect();
    let case = format!(
        "{} runs of {ENDPOINTS} endpoints, {WORKERS} sessions, at the leader",
        times.len()
    );
    let rows = [
        (
            "submitted to reserved and committed, median",
            median(&reserved),
            Some(Aim::AtMost(RESERVED)),
        ),
        (
            "submitted to reserved and committed, p99",
            quantile(&reserved, 0.99),
            None,
        ),
        (
            "submitted to RUNNING, every worker ready, median",
            median(&running),
            None,
        ),
    ];
    for (measure, value, aim) in rows {
        report
            .findings
            .push(Finding::new("P4", &case, measure, "ms").reeve(value).aim(aim));
    }
    report
        .samples_ms
        .insert("P4 submitted to reserved".to_owned(), reserved);
    report
        .samples_ms
        .insert("P4 submitted to RUNNING".to_owned(), running);
    Ok(())
}

/// One run from submission to completion, seen through the change feed.
async fn submit(channel: Connection) -> Result<Timed> {
    let request = WatchRequest {
        from_revision: 0,
        kinds: vec![ResourceKind::Run.into()],
        id: String::new(),
        ..Default::default()
    };
    let mut client = WatchClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let mut feed = client.watch(request).await?.into_inner();
    // The first message says that the feed is open.
    feed.message().await?.context("the feed ended at once")?;
    let submitted = Instant::now();
    let request = StartRunRequest {
        test: TEST.to_owned(),
        request_id: String::new(),
        ..Default::default()
    };
    let started = RunsClient::new(channel).start_run(request).await?.into_inner();
    let id = started.run.context("the answer names no run")?.id;
    let (mut reserved, mut running) = (None, None);
    loop {
        let run = next_change(&mut feed, &id).await?;
        let now = ms(submitted.elapsed());
        if !run.assignments.is_empty() {
            reserved.get_or_insert(now);
        }
        if run.status() == RunStatus::Running {
            running.get_or_insert(now);
        }
        match run.status() {
            RunStatus::Completed => break,
            RunStatus::Failed | RunStatus::CannotRunForNow => {
                bail!("the run ended as {:?}: {:?}", run.status(), run.reason)
            }
            RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => {}
        }
    }
    Ok(Timed {
        reserved: reserved.context("the run completed without an assignment")?,
        running: running.context("the run completed without RUNNING")?,
    })
}

async fn next_change(feed: &mut Streaming<WatchResponse>, id: &str) -> Result<Run> {
    loop {
        let change = feed.message().await?.context("the feed ended")?;
        match change.event {
            Some(Event::Put(put)) => {
                if let Some(resource::Resource::Run(run)) = put.resource
                    && run.id == id
                {
                    return Ok(run);
                }
            }
            Some(Event::Reset(_)) => bail!("the feed was reset"),
            Some(Event::Deleted(_) | Event::Bookmark(_)) | None => {}
        }
    }
}

fn definition() -> TestDefinition {
    let seconds = |seconds: i64| Some(WireDuration { seconds, nanos: 0 });
    TestDefinition {
        name: TEST.to_owned(),
        duration: seconds(1),
        buildup: seconds(0),
        queue_timeout: seconds(30),
        max_execution: seconds(60),
        groups: vec![Group {
            name: "callers".to_owned(),
            endpoints: ENDPOINTS,
            selector: None,
            executor: Some(Executor::Sim(SimExecutor {
                setup_min: seconds(0),
                setup_max: seconds(0),
                outcomes: Vec::new(),
                quality: None,
            })),
        }],
    }
}
