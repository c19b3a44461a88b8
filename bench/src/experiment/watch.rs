//! Fan-out: many watch one node, or all three; one thing changes; when does the last one know?

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{ApplyTestRequest, ResourceKind, WatchRequest};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Bed, Options};
use crate::numbers::fresh;
use crate::report::{Aim, Finding, Report};
use crate::spread::Target;
use crate::stats::{median, ms, quantile};
use crate::subject::definition;

const WATCHERS: usize = 1_000;
/// Streams of one connection.
const PER_CONNECTION: usize = 10;
/// Goal for the last of them, milliseconds.
const LAST: f64 = 100.0;
/// A change that is not everywhere by then is an error.
const LIMIT: Duration = Duration::from_secs(30);

/// Who was told of which change, and when.
type Told = mpsc::UnboundedReceiver<(u64, Instant)>;

/// Changes one test again and again.
///
/// # Errors
/// A stream ended, or a change was not seen by all.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    let Some(reeve) = &mut bed.reeve else {
        return Ok(());
    };
    let leader = reeve.agreed_leader().await?;
    let writer = reeve.cluster.connect(leader).await?;
    for target in Target::ALL {
        let case = format!("{WATCHERS} watchers, {}", target.label());
        let mut channels = Vec::new();
        let nodes = reeve.cluster.nodes().len();
        for connection in 0..WATCHERS / PER_CONNECTION {
            let node = match target {
                Target::AllNodes => connection % nodes,
                Target::Leader => leader,
            };
            channels.push(reeve.cluster.connect(node).await?);
        }
        let mut watchers = JoinSet::new();
        let told = watch(&channels, &mut watchers).await?;
        let (first, last) = measure(&writer, told, options.runs).await?;
        watchers.shutdown().await;
        let rows = [
            ("submitted to the first one told, median", median(&first), None),
            (
                "submitted to the last one told, median",
                median(&last),
                Some(Aim::AtMost(LAST)),
            ),
            ("submitted to the last one told, p99", quantile(&last, 0.99), None),
        ];
        for (measure, value, aim) in rows {
            let finding = Finding::new("watch", &case, measure, "ms").reeve(value).aim(aim);
            report.findings.push(finding);
        }
        report
            .samples_ms
            .insert(format!("watch, last one told, {}", target.label()), last);
    }
    Ok(())
}

async fn watch(channels: &[Connection], watchers: &mut JoinSet<Result<()>>) -> Result<Told> {
    let (tell, told) = mpsc::unbounded_channel();
    for watcher in 0..WATCHERS {
        let request = WatchRequest {
            kinds: vec![ResourceKind::Test.into()],
            ..WatchRequest::default()
        };
        let mut client = WatchClient::new(channels[watcher % channels.len()].clone());
        let mut stream = client.watch(request).await?.into_inner();
        // The first message says that the stream is open.
        stream.message().await?.context("the stream ended at once")?;
        let tell = tell.clone();
        watchers.spawn(async move {
            while let Some(message) = stream.message().await? {
                if matches!(message.event, Some(Event::Put(_))) {
                    tell.send((message.change, Instant::now()))?;
                }
            }
            bail!("the stream ended")
        });
    }
    Ok(told)
}

/// Times of the first and of the last of each change, milliseconds.
async fn measure(writer: &Connection, mut told: Told, rounds: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut client = TestsClient::new(writer.clone());
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let request = ApplyTestRequest {
            definition: Some(definition(fresh())),
            ..ApplyTestRequest::default()
        };
        let submitted = Instant::now();
        let answer = client.apply_test(request).await?.into_inner();
        let revision = answer.test.context("the answer has no test")?.revision;
        let mut times = Vec::with_capacity(WATCHERS);
        while times.len() < WATCHERS {
            let told = timeout(LIMIT, told.recv())
                .await
                .context("not everyone was told")?;
            let (change, at) = told.context("every stream ended")?;
            if change == revision {
                times.push(ms(at.duration_since(submitted)));
            }
        }
        times.sort_by(f64::total_cmp);
        first.extend(times.first());
        last.extend(times.last());
    }
    Ok((first, last))
}
