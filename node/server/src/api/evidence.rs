//! Evidence of runs, as people ask for it (R143, R153, R158, R178, R213).

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::record::{
    Aggregate, Assignment, EvidenceKind, Executor, GroupFigures, METRICS, Manifest, Run, RunSummary,
};
use reeve_state::transition::run::RunStatus;

use super::read::find_run;
use super::{Api, Call};
use crate::convert::{enums, run as convert};
use crate::error::ApiError;
use crate::evidence::{
    Gap, GapReason, Selection, Source, distribution, figures_for, figures_of, gaps, group_counts,
    group_figures, late_counts_until, milli, timestamp, with_success_rate,
};

/// Most bytes of chunks, as stored, that one call reads.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
/// Shortest and longest step of a series.
const STEPS_MS: std::ops::RangeInclusive<u32> = 1_000..=3_600_000;
/// Most samples of one endpoint in an answer.
const MOST_SAMPLES: usize = 100_000;

impl Api {
    /// The figures of a run, or of one of its groups: of its summary, or of what came so far.
    pub async fn get_run_metrics(
        &self,
        request: v1::GetRunMetricsRequest,
        call: &Call,
    ) -> Result<v1::GetRunMetricsResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let run = find_run(&state, call, &request.id)?;
        let summary = state.summary(run.id);
        let (figures, unreadable, untold) = self.figures(&state, run, call).await?;
        let missing = gaps(&state, run.id).into_iter().chain(unreadable);
        let counts = state.run_counts(run.id);
        let manifests = || state.manifests(run.id);
        let whole = v1::GetRunMetricsResponse {
            run_id: run.id.to_string(),
            status: enums::run_status(run.life.status()).into(),
            complete: summary.is_some_and(|summary| summary.complete),
            summarised: summary.is_some(),
            metrics: aggregates(&figures.metrics),
            phases: distribution::<v1::EndpointPhase>(&counts.phases),
            outcomes: distribution::<v1::EndpointOutcome>(&counts.outcomes),
            groups: groups(&state, run, &figures.groups),
            simulated: is_simulated(run),
            gaps: missing.map(|gap| wire_gap(&state, run, &gap)).collect(),
            chunks: count(manifests().count()),
            late_chunks: count(manifests().filter(|manifest| manifest.late).count()),
            revision: convert::revision(&state, run).0,
            missing: untold,
            responses: responses(&figures.responses),
            group: String::new(),
        };
        match request.group.as_str() {
            "" => Ok(whole),
            group => of_one_group(whole, run, group),
        }
    }

    /// The figures, what of them cannot be read now, and in words what was missing before.
    async fn figures(
        &self,
        state: &State,
        run: &Run,
        call: &Call,
    ) -> Result<(Whole, Vec<Gap>, String), ApiError> {
        let Some(summary) = state.summary(run.id) else {
            let (figures, unreadable) = self.figures_so_far(state, run, call).await?;
            return Ok((figures, unreadable, String::new()));
        };
        let (mut figures, mut untold) = (Whole::from(summary.as_ref()), summary.missing.clone());
        if !figures.groups.is_empty() {
            return Ok((figures, Vec::new(), untold));
        }
        // A node of an older version wrote it: those of groups were not made. The summary is told all the same if they cannot be now.
        let unreadable = match self.figures_so_far(state, run, call).await {
            Ok((read, unreadable)) => {
                figures.groups = read.groups;
                unreadable
            }
            Err(error) => {
                let separator = if untold.is_empty() { "" } else { "; " };
                untold += &format!("{separator}figures of groups: {error}");
                Vec::new()
            }
        };
        Ok((figures, unreadable, untold))
    }

    /// A run that has not begun has nothing to read.
    async fn figures_so_far(
        &self,
        state: &State,
        run: &Run,
        call: &Call,
    ) -> Result<(Whole, Vec<Gap>), ApiError> {
        let (figures, unreadable) = match run.life.status() {
            RunStatus::Pending | RunStatus::Queued | RunStatus::CannotRunForNow => {
                (figures_for(run), Vec::new())
            }
            RunStatus::Running | RunStatus::Completed | RunStatus::Failed => {
                let source = self.source(state, run, call)?;
                source.within(figures_of(&source.source, state, run)).await?
            }
        };
        let whole = Whole {
            metrics: with_success_rate(figures.run().aggregates(), &state.run_counts(run.id)),
            responses: figures.run().responses(),
            groups: group_figures(&figures, state, run),
        };
        Ok((whole, unreadable))
    }

    /// One metric over time.
    pub async fn get_run_series(
        &self,
        request: v1::GetRunSeriesRequest,
        call: &Call,
    ) -> Result<v1::GetRunSeriesResponse, ApiError> {
        let metric = METRICS
            .into_iter()
            .find(|metric| *metric == request.metric)
            .ok_or_else(|| {
                ApiError::invalid(
                    "series",
                    format!("{:?} is not one of {}", request.metric, METRICS.join(", ")),
                )
            })?;
        let step_ms = if request.step_ms == 0 {
            *STEPS_MS.start()
        } else {
            request.step_ms
        };
        if !STEPS_MS.contains(&step_ms) {
            return Err(ApiError::invalid("step", "must be between 1s and 1h"));
        }
        let state = self.read(request.consistency, call).await?;
        let run = find_run(&state, call, &request.id)?;
        let ordinals = match request.group.as_str() {
            "" => Vec::new(),
            group => of_group(&state, run, group)?
                .iter()
                .map(|assignment| assignment.key.ordinal)
                .collect(),
        };
        let selection = Selection {
            kind: EvidenceKind::Metrics,
            ordinals,
        };
        let until = late_counts_until(run).and_then(|at| i64::try_from(at.0).ok());
        let source = self.source(&state, run, call)?;
        let steps: BTreeMap<i64, Step> = BTreeMap::new();
        let folded = source
            .source
            .fold(&state, run.id, &selection, steps, move |steps, row, origin| {
                let counts = !origin.late || until.is_some_and(|until| row.at <= until);
                let value = row.figures().find(|(name, _)| *name == metric);
                if let Some((_, value)) = value.filter(|_| counts) {
                    steps
                        .entry(row.at.div_euclid(step_ms.into()))
                        .or_default()
                        .add(milli(value));
                }
            });
        let (steps, unreadable) = source.within(folded).await?;
        let missing = gaps(&state, run.id)
            .into_iter()
            .filter(|gap| selection.ordinals.is_empty() || selection.ordinals.contains(&gap.ordinal));
        Ok(v1::GetRunSeriesResponse {
            run_id: run.id.to_string(),
            metric: metric.to_owned(),
            step_ms,
            points: steps
                .iter()
                .map(|(at, step)| step.point(at * i64::from(step_ms)))
                .collect(),
            gaps: missing
                .chain(unreadable)
                .map(|gap| wire_gap(&state, run, &gap))
                .collect(),
        })
    }

    /// Everything about one endpoint; what came late is there and says so (D14).
    pub async fn get_endpoint_evidence(
        &self,
        request: v1::GetEndpointEvidenceRequest,
        call: &Call,
    ) -> Result<v1::GetEndpointEvidenceResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let run = find_run(&state, call, &request.id)?;
        let index = request.index;
        let of_group = of_group(&state, run, &request.group)?;
        let holds = |assignment: &&&Assignment| {
            (assignment.first..assignment.first + assignment.count).contains(&index)
        };
        let ordinals: Vec<u32> = of_group
            .iter()
            .filter(holds)
            .map(|assignment| assignment.key.ordinal)
            .collect();
        if ordinals.is_empty() {
            return Err(ApiError::invalid(
                "endpoint",
                format!("no endpoint {index} of group {:?} has started", request.group),
            ));
        }
        let source = self.source(&state, run, call)?;
        let selection = |kind| Selection {
            kind,
            ordinals: ordinals.clone(),
        };
        let (metrics, events) = (selection(EvidenceKind::Metrics), selection(EvidenceKind::Events));
        let read = async {
            let samples = source.source.fold(
                &state,
                run.id,
                &metrics,
                Vec::new(),
                move |samples, row, origin| {
                    if row.endpoint == index && samples.len() < MOST_SAMPLES {
                        samples.push(sample(row, origin.late));
                    }
                },
            );
            let (samples, unreadable) = samples.await;
            let log = source
                .source
                .fold(&state, run.id, &events, Vec::new(), move |log, row, origin| {
                    if row.endpoint == index && log.len() < MOST_SAMPLES {
                        log.push(event(row, origin.late));
                    }
                });
            let (log, unreadable_too) = log.await;
            (samples, log, [unreadable, unreadable_too].concat())
        };
        let (mut samples, mut log, unreadable) = source.within(read).await?;
        samples.sort_by_key(|sample| at(sample.at.as_ref()));
        log.sort_by_key(|event| (at(event.at.as_ref()), event.phase));
        let missing = gaps(&state, run.id)
            .into_iter()
            .filter(|gap| ordinals.contains(&gap.ordinal));
        Ok(v1::GetEndpointEvidenceResponse {
            run_id: run.id.to_string(),
            group: request.group,
            index,
            samples,
            events: log,
            gaps: missing
                .chain(unreadable)
                .map(|gap| wire_gap(&state, run, &gap))
                .collect(),
        })
    }

    /// A place among those who read, if what there is to read is not too much.
    fn source(&self, state: &State, run: &Run, call: &Call) -> Result<Reading<'_>, ApiError> {
        // Traces are read otherwise, chunk by chunk.
        let read = |manifest: &&Arc<Manifest>| manifest.key.kind != EvidenceKind::Trace;
        let bytes = state.manifests(run.id).filter(read);
        let bytes = bytes.map(|manifest| manifest.bytes).sum();
        if bytes > MOST_BYTES {
            return Err(ApiError::EvidenceTooLarge {
                bytes,
                most: MOST_BYTES,
            });
        }
        let place = self.context.evidence.reads().try_acquire();
        Ok(Reading {
            source: Source(self.context.clone()),
            deadline: call.deadline,
            _place: place.map_err(|_| ApiError::EvidenceBusy)?,
        })
    }
}

/// A question that reads chunks.
struct Reading<'a> {
    source: Source,
    deadline: tokio::time::Instant,
    _place: tokio::sync::SemaphorePermit<'a>,
}

impl Reading<'_> {
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, ApiError> {
        tokio::time::timeout_at(self.deadline, work)
            .await
            .map_err(|_| ApiError::EvidenceBusy)
    }
}

#[derive(Default)]
struct Step {
    count: u64,
    sum: i64,
    min: i64,
    max: i64,
}

impl Step {
    fn add(&mut self, milli: i64) {
        (self.min, self.max) = match self.count {
            0 => (milli, milli),
            _ => (self.min.min(milli), self.max.max(milli)),
        };
        self.count += 1;
        self.sum = self.sum.saturating_add(milli);
    }

    fn point(&self, at_ms: i64) -> v1::SeriesPoint {
        v1::SeriesPoint {
            at: Some(timestamp(at_ms)),
            count: self.count,
            min: whole(self.min),
            mean: whole(self.sum) / self.count.max(1) as f64,
            max: whole(self.max),
        }
    }
}

fn whole(milli: i64) -> f64 {
    milli as f64 / 1_000.0
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn at(time: Option<&prost_types::Timestamp>) -> (i64, i32) {
    time.map(|time| (time.seconds, time.nanos)).unwrap_or_default()
}

/// The figures of a run and of its groups.
struct Whole {
    metrics: BTreeMap<String, Aggregate>,
    responses: BTreeMap<String, u64>,
    groups: Vec<GroupFigures>,
}

impl From<&RunSummary> for Whole {
    fn from(summary: &RunSummary) -> Self {
        Self {
            metrics: summary.metrics.clone(),
            responses: summary.responses.clone(),
            groups: summary.groups.clone(),
        }
    }
}

fn aggregates(metrics: &BTreeMap<String, Aggregate>) -> Vec<v1::MetricAggregate> {
    let metrics = metrics.iter();
    metrics.map(|(name, figures)| aggregate(name, figures)).collect()
}

fn responses(responses: &BTreeMap<String, u64>) -> Vec<v1::EndpointDistribution> {
    let responses = responses.iter();
    responses
        .map(|(name, count)| v1::EndpointDistribution {
            name: name.clone(),
            count: u32::try_from(*count).unwrap_or(u32::MAX),
        })
        .collect()
}

pub(super) fn aggregate(metric: &str, figures: &Aggregate) -> v1::MetricAggregate {
    v1::MetricAggregate {
        metric: metric.to_owned(),
        count: figures.count,
        min: whole(figures.min_milli),
        mean: whole(figures.mean_milli),
        p50: whole(figures.p50_milli),
        p95: whole(figures.p95_milli),
        p99: whole(figures.p99_milli),
        max: whole(figures.max_milli),
    }
}

fn sample(row: &crate::evidence::Row<'_>, late: bool) -> v1::EndpointSample {
    v1::EndpointSample {
        at: Some(timestamp(row.at)),
        values: row
            .figures()
            .map(|(metric, value)| (metric.to_owned(), value))
            .collect(),
        late,
    }
}

fn event(row: &crate::evidence::Row<'_>, late: bool) -> v1::EndpointEvent {
    let phase = row.phase.as_deref().and_then(v1::EndpointPhase::from_name);
    let outcome = row.outcome.as_deref().and_then(v1::EndpointOutcome::from_name);
    v1::EndpointEvent {
        at: Some(timestamp(row.at)),
        phase: phase.unwrap_or_default().into(),
        outcome: outcome.unwrap_or_default().into(),
        late,
    }
}

fn is_simulated(run: &Run) -> bool {
    run.definition.groups.iter().any(|group| match &group.executor {
        Executor::Sim(_) => true,
        Executor::Sip(_) => false,
    })
}

pub(super) fn of_group<'a>(state: &'a State, run: &Run, name: &str) -> Result<Vec<&'a Assignment>, ApiError> {
    let groups = &run.definition.groups;
    let group = groups
        .iter()
        .position(|group| group.name == name)
        .ok_or_else(|| unknown_group(run, name))?;
    let of_group = |assignment: &&Assignment| assignment.started && assignment.group as usize == group;
    Ok(state
        .assignments(run.id)
        .map(AsRef::as_ref)
        .filter(of_group)
        .collect())
}

fn groups(state: &State, run: &Run, figures: &[GroupFigures]) -> Vec<v1::GroupDistribution> {
    let groups = run.definition.groups.iter().zip(group_counts(state, run));
    // Very many groups have no figures of their own.
    let mut figures = figures.iter();
    groups
        .map(|(group, counts)| {
            let figures = figures.next();
            v1::GroupDistribution {
                group: group.name.clone(),
                endpoints: group.endpoints,
                phases: distribution::<v1::EndpointPhase>(&counts.phases),
                outcomes: distribution::<v1::EndpointOutcome>(&counts.outcomes),
                metrics: figures.map_or_else(Vec::new, |figures| aggregates(&figures.metrics)),
                responses: figures.map_or_else(Vec::new, |figures| responses(&figures.responses)),
            }
        })
        .collect()
}

/// What of an answer is of one group.
fn of_one_group(
    mut whole: v1::GetRunMetricsResponse,
    run: &Run,
    name: &str,
) -> Result<v1::GetRunMetricsResponse, ApiError> {
    whole.groups.retain(|group| group.group == name);
    let group = whole.groups.first().ok_or_else(|| unknown_group(run, name))?;
    whole.metrics = group.metrics.clone();
    whole.responses = group.responses.clone();
    whole.phases = group.phases.clone();
    whole.outcomes = group.outcomes.clone();
    whole.gaps.retain(|gap| gap.group == name);
    whole.group = name.to_owned();
    Ok(whole)
}

fn unknown_group(run: &Run, name: &str) -> ApiError {
    let names: Vec<&str> = run
        .definition
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    ApiError::invalid("group", format!("{name:?} is not one of {}", names.join(", ")))
}

pub(super) fn wire_gap(state: &State, run: &Run, gap: &Gap) -> v1::EvidenceGap {
    let reason = GapReason::name(gap.reason).to_owned();
    let detail = gap.detail.clone();
    let assignment = state
        .assignments(run.id)
        .find(|assignment| assignment.key.ordinal == gap.ordinal);
    let Some(assignment) = assignment else {
        return v1::EvidenceGap {
            reason,
            detail,
            ..v1::EvidenceGap::default()
        };
    };
    let group = run.definition.groups.get(assignment.group as usize);
    v1::EvidenceGap {
        worker_id: assignment.worker.to_string(),
        group: group.map(|group| group.name.clone()).unwrap_or_default(),
        first_endpoint: assignment.first,
        endpoints: assignment.count,
        reason,
        detail,
    }
}
