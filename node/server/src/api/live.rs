//! Live figures of a run, merged over all nodes (R143), and the workers of a run (R182).

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use prost::Message;
use reeve_proto::v1;
use reeve_state::id::{NodeId, RunId};
use tokio::time::{Interval, MissedTickBehavior};

use super::read::find_run;
use super::{Api, Call};
use crate::convert::{event, run as convert};
use crate::error::ApiError;
use crate::evidence::{Heard, Merged};

/// One sample.
const SECOND: Duration = Duration::from_secs(1);
/// A node that could not be asked is asked again with every so many samples.
const ASK_AGAIN: u32 = 5;

struct Watcher {
    api: Api,
    call: Call,
    run: RunId,
    merged: Merged,
    seconds: SelectAll<BoxStream<'static, Heard>>,
    /// Nodes whose sessions are heard.
    heard: BTreeMap<NodeId, tokio_util::sync::CancellationToken>,
    samples: u32,
    ticks: Interval,
    ended: bool,
}

impl Api {
    /// One sample a second until the run is terminal; the last one is of its end.
    pub async fn watch_run_metrics(
        &self,
        request: v1::WatchRunMetricsRequest,
        call: Call,
    ) -> Result<impl Stream<Item = Result<v1::RunSample, ApiError>> + Send + use<>, ApiError> {
        let state = self.read_latest(&call).await?;
        let run = find_run(&state, &call, &request.id)?.id;
        let mut ticks = tokio::time::interval(SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watcher = Watcher {
            seconds: SelectAll::new(),
            api: self.clone(),
            call,
            run,
            merged: Merged::default(),
            heard: BTreeMap::new(),
            samples: 0,
            ticks,
            ended: false,
        };
        watcher
            .seconds
            .push(self.context.evidence.live().listen(run).boxed());
        watcher.hear_others().await;
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next().await?;
            Some((item, watcher))
        }))
    }

    /// The workers of a run, with their events while it was under way.
    pub async fn list_run_workers(
        &self,
        request: v1::ListRunWorkersRequest,
        call: &Call,
    ) -> Result<v1::ListRunWorkersResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let run = find_run(&state, call, &request.id)?;
        let last = run.life.timeline().last();
        let end = last
            .filter(|entry| entry.status.is_terminal())
            .map(|entry| entry.at);
        let nodes = self.node_names();
        let mut workers: BTreeMap<_, v1::RunWorker> = BTreeMap::new();
        for assignment in state.assignments(run.id) {
            let worker = workers.entry(assignment.worker).or_default();
            worker.endpoints += assignment.count;
            worker.interrupted += assignment.interrupted;
        }
        for (id, worker) in &mut workers {
            worker.worker_id = id.to_string();
            let name = state.worker(*id).map(|worker| worker.name.clone());
            worker.worker_name = name.unwrap_or_default();
            let during = state
                .worker_events(*id)
                .rev()
                .filter(|event| event.at >= run.created_at && end.is_none_or(|end| event.at <= end));
            worker.events = during.map(|row| event::worker_event(&nodes, row)).collect();
        }
        Ok(v1::ListRunWorkersResponse {
            workers: workers.into_values().collect(),
            revision: convert::revision(&state, run).0,
        })
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<v1::RunSample, ApiError>> {
        if self.ended {
            return None;
        }
        let shutdown = self.api.context.shutdown.clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.ended = true;
                    return Some(Err(ApiError::ShuttingDown));
                }
                _ = self.ticks.tick() => return Some(self.sample().await),
                Some(heard) = self.seconds.next() => self.merged.add(heard),
            }
        }
    }

    async fn sample(&mut self) -> Result<v1::RunSample, ApiError> {
        self.samples += 1;
        if self.samples.is_multiple_of(ASK_AGAIN) {
            self.hear_others().await;
        }
        let context = &self.api.context;
        let state = context.store.local();
        // A key that is revoked or runs out ends its streams.
        if let Err(error) = self.api.still_admitted(&state, &self.call) {
            self.ended = true;
            return Err(error);
        }
        let status = state.run(self.run).map(|run| run.life.status());
        self.ended = status.is_none_or(|status| status.is_terminal());
        let now_ms = i64::try_from(context.store.cluster_now().0).unwrap_or(i64::MAX);
        Ok(self.merged.take(&state, self.run, now_ms))
    }

    /// Asks the nodes that are not heard for what their sessions say.
    async fn hear_others(&mut self) {
        self.heard.retain(|_, ended| !ended.is_cancelled());
        let (evidence, store) = (self.api.context.evidence.clone(), &self.api.context.store);
        for member in evidence.peers().others(store) {
            if self.heard.contains_key(&member.id) {
                continue;
            }
            match evidence.peers().watch_live(store, member.id, self.run).await {
                Ok(stream) => {
                    let ended = tokio_util::sync::CancellationToken::new();
                    self.heard.insert(member.id, ended.clone());
                    self.seconds.push(decoded(stream, ended).boxed());
                }
                Err(status) => {
                    tracing::debug!(node = member.id.0, code = ?status.code(), "live figures: {}", status.message());
                }
            }
        }
    }
}

/// The seconds of another node, until its stream ends, which is then told.
fn decoded(
    stream: tonic::Streaming<reeve_proto::internal::LiveSecond>,
    ended: tokio_util::sync::CancellationToken,
) -> impl Stream<Item = Heard> + Send {
    let guard = ended.drop_guard();
    futures::stream::unfold((stream, guard), |(mut stream, guard)| async move {
        let second = stream.message().await.ok().flatten()?;
        Some((second, (stream, guard)))
    })
    .flat_map(|second| {
        let heard = second.assignments.into_iter().filter_map(move |bytes| {
            let assignment = v1::LiveAssignment::decode(bytes).ok()?;
            Some(Heard {
                at_ms: second.at_ms,
                assignment,
            })
        });
        futures::stream::iter(heard.collect::<Vec<_>>())
    })
}
