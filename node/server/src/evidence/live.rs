//! Live figures (R143): what sessions of this node say once a second goes to whoever listens to that run, and is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::Stream;
use parking_lot::Mutex;
use reeve_proto::response::Response;
use reeve_proto::v1;
use reeve_proto::v1::{LiveAssignment, LiveMetric, LiveReport};
use reeve_state::State;
use reeve_state::id::{AssignmentEpoch, RunId, WorkerId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::figures::MOST_GROUPS;

/// Seconds of assignments that wait for a listener; one that is slower misses some.
const WAITING: usize = 4_096;

/// One second of one assignment.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Cluster time.
    pub at_ms: i64,
    /// What it came to.
    pub assignment: LiveAssignment,
}

/// The listeners of this node, by run.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<HashMap<RunId, broadcast::Sender<Heard>>>>);

impl Live {
    /// What is said of a run from now on.
    pub fn listen(&self, run: RunId) -> impl Stream<Item = Heard> + Send + use<> {
        let receiver = self
            .0
            .lock()
            .entry(run)
            .or_insert_with(|| broadcast::channel(WAITING).0)
            .subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(heard) => return Some((heard, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// A worker said something. What is not its own, or nobody listens to, goes nowhere.
    pub fn note(&self, state: &State, worker: WorkerId, report: LiveReport) {
        let mut listeners = self.0.lock();
        listeners.retain(|_, sender| sender.receiver_count() > 0);
        if listeners.is_empty() {
            return;
        }
        for assignment in report.assignments {
            let Ok(run) = assignment.run_id.parse::<RunId>() else {
                continue;
            };
            let Some(sender) = listeners.get(&run) else {
                continue;
            };
            let known = state.assignment_by_epoch(run, AssignmentEpoch(assignment.epoch));
            if known.is_some_and(|known| known.worker == worker) {
                // Nobody listens any more: then there is nobody to tell.
                let _ = sender.send(Heard {
                    at_ms: report.at_ms,
                    assignment,
                });
            }
        }
    }
}

/// A second is so old that its worker counts as silent.
const SILENT_AFTER_MS: i64 = 3_000;

/// The last second of a run over all workers.
#[derive(Debug, Default)]
pub struct Merged {
    latest: BTreeMap<u64, Heard>,
    /// By epoch: what was measured since the last sample.
    metrics: BTreeMap<u64, Metrics>,
}

type Metrics = BTreeMap<String, LiveMetric>;

/// What some assignments come to.
#[derive(Default)]
struct Sum {
    phases: [u32; 8],
    outcomes: [u32; 8],
    metrics: Metrics,
    responses: BTreeMap<Response, u32>,
}

impl Merged {
    /// One more second of an assignment.
    pub fn add(&mut self, heard: Heard) {
        let metrics = self.metrics.entry(heard.assignment.epoch).or_default();
        for metric in &heard.assignment.metrics {
            add_metric(metrics, metric);
        }
        self.latest.insert(heard.assignment.epoch, heard);
    }

    /// What it comes to; the next second begins. Of assignments that are not heard, the state knows best.
    pub fn take(&mut self, state: &State, run: RunId, now_ms: i64) -> v1::RunSample {
        let mut metrics = std::mem::take(&mut self.metrics);
        let mut sum = Sum::default();
        let definition = state.run(run).map(|run| &run.definition.groups);
        let names = definition.into_iter().flatten().take(MOST_GROUPS);
        let mut groups: Vec<_> = names.map(|group| (&group.name, Sum::default())).collect();
        let mut heard_count = 0;
        let started = state.assignments(run).filter(|assignment| assignment.started);
        for assignment in started {
            let latest = self.latest.get(&assignment.epoch.0);
            let fresh = |heard: &&Heard| heard.at_ms + SILENT_AFTER_MS >= now_ms;
            let heard = latest.filter(fresh).filter(|_| !assignment.all_closed());
            heard_count += u32::from(heard.is_some());
            let (phases, outcomes) = match heard {
                Some(heard) => (
                    heard.assignment.phases.as_slice(),
                    heard.assignment.outcomes.as_slice(),
                ),
                None => (&assignment.counts.phases[..], &assignment.counts.outcomes[..]),
            };
            let metrics = metrics.remove(&assignment.epoch.0).unwrap_or_default();
            let group = groups.get_mut(assignment.group as usize);
            for sum in std::iter::once(&mut sum).chain(group.map(|(_, sum)| sum)) {
                add(&mut sum.phases, phases);
                add(&mut sum.outcomes, outcomes);
                metrics
                    .values()
                    .for_each(|metric| add_metric(&mut sum.metrics, metric));
                // The state does not know them: what was heard last is what there is.
                let responses = latest.map(|heard| heard.assignment.responses.as_slice());
                add_responses(&mut sum.responses, responses.unwrap_or_default());
            }
        }
        // What this node's state does not have yet was measured all the same.
        let others = metrics.values().flat_map(BTreeMap::values);
        others.for_each(|metric| add_metric(&mut sum.metrics, metric));
        v1::RunSample {
            at: Some(timestamp(now_ms)),
            phases: distribution::<v1::EndpointPhase>(&sum.phases),
            outcomes: distribution::<v1::EndpointOutcome>(&sum.outcomes),
            metrics: sum.metrics.into_values().map(aggregate).collect(),
            assignments: heard_count,
            responses: responses(&sum.responses),
            groups: groups
                .into_iter()
                .map(|(name, sum)| group_sample(name, sum))
                .collect(),
        }
    }
}

fn group_sample(name: &str, sum: Sum) -> v1::GroupSample {
    v1::GroupSample {
        group: name.to_owned(),
        phases: distribution::<v1::EndpointPhase>(&sum.phases),
        outcomes: distribution::<v1::EndpointOutcome>(&sum.outcomes),
        responses: responses(&sum.responses),
        metrics: sum.metrics.into_values().map(aggregate).collect(),
    }
}

fn add_metric(metrics: &mut Metrics, metric: &LiveMetric) {
    match metrics.get_mut(&metric.metric) {
        Some(known) => {
            known.count += metric.count;
            known.sum_milli = known.sum_milli.saturating_add(metric.sum_milli);
            known.min_milli = known.min_milli.min(metric.min_milli);
            known.max_milli = known.max_milli.max(metric.max_milli);
        }
        None => {
            metrics.insert(metric.metric.clone(), metric.clone());
        }
    }
}

fn add_responses(sums: &mut BTreeMap<Response, u32>, counts: &[v1::EndpointDistribution]) {
    for count in counts {
        if let Ok(response) = count.name.parse() {
            let sum = sums.entry(response).or_default();
            *sum = sum.saturating_add(count.count);
        }
    }
}

fn responses(counts: &BTreeMap<Response, u32>) -> Vec<v1::EndpointDistribution> {
    let counts = counts.iter();
    counts
        .map(|(response, count)| v1::EndpointDistribution {
            name: response.to_string(),
            count: *count,
        })
        .collect()
}

fn add(sums: &mut [u32; 8], counts: &[u32]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(*count);
    }
}

/// Counts by the names of an enumeration, in its order; all of them.
pub fn distribution<E: reeve_proto::names::Named>(counts: &[u32; 8]) -> Vec<v1::EndpointDistribution> {
    let named = E::all().into_iter().zip(counts);
    named
        .map(|(value, count)| v1::EndpointDistribution {
            name: value.name().to_owned(),
            count: *count,
        })
        .collect()
}

fn aggregate(metric: LiveMetric) -> v1::LiveAggregate {
    let whole = |milli: i64| milli as f64 / 1_000.0;
    v1::LiveAggregate {
        count: metric.count,
        min: whole(metric.min_milli),
        mean: whole(metric.sum_milli) / metric.count.max(1) as f64,
        max: whole(metric.max_milli),
        metric: metric.metric,
    }
}

/// An instant of cluster time.
pub fn timestamp(ms: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: ms.div_euclid(1_000),
        nanos: i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(epoch: u64, at_ms: i64, metrics: &[(i64, u64)]) -> Heard {
        let metric = |(value, count): &(i64, u64)| LiveMetric {
            metric: "mos".to_owned(),
            count: *count,
            sum_milli: value * i64::try_from(*count).unwrap_or(0),
            min_milli: *value,
            max_milli: *value,
        };
        Heard {
            at_ms,
            assignment: LiveAssignment {
                run_id: String::new(),
                epoch,
                phases: vec![0; 8],
                outcomes: vec![0; 8],
                metrics: metrics.iter().map(metric).collect(),
                responses: Vec::new(),
            },
        }
    }

    // Covers: R143
    #[test]
    fn seconds_of_several_workers_become_one_and_are_told_once() {
        let mut merged = Merged::default();
        merged.add(heard(1, 1_000, &[(4_000, 1)]));
        merged.add(heard(2, 1_000, &[(1_000, 3)]));
        let (state, run) = (State::default(), RunId::from_bytes([1; 16]));
        let sample = merged.take(&state, run, 1_500);
        let figures: Vec<_> = sample
            .metrics
            .iter()
            .map(|m| (m.count, m.min, m.mean, m.max))
            .collect();
        assert_eq!(figures, [(4, 1.0, 1.75, 4.0)]);
        assert!(merged.take(&state, run, 2_500).metrics.is_empty());
        assert_eq!(sample.phases.len(), 8);
    }

    #[test]
    fn responses_are_counted_from_the_start_and_only_known_ones() {
        let responses = |count| {
            let named = |name: &str| v1::EndpointDistribution {
                name: name.to_owned(),
                count,
            };
            vec![named("INVITE 486"), named("nonsense")]
        };
        let mut sums = BTreeMap::new();
        add_responses(&mut sums, &responses(2));
        add_responses(&mut sums, &responses(3));
        let told = super::responses(&sums);
        let told: Vec<_> = told.iter().map(|one| (one.name.as_str(), one.count)).collect();
        assert_eq!(told, [("INVITE 486", 5)]);
    }

    #[tokio::test]
    async fn what_nobody_listens_to_goes_nowhere() {
        let live = Live::default();
        let run = RunId::from_bytes([1; 16]);
        let listener = live.listen(run);
        assert_eq!(live.0.lock().len(), 1);
        drop(listener);
        live.note(
            &State::default(),
            WorkerId::from_bytes([2; 16]),
            LiveReport::default(),
        );
        assert_eq!(live.0.lock().len(), 0, "forgotten with its last listener");
    }
}
