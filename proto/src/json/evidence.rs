//! Evidence of runs as JSON.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{WorkerEventJson, time};
use crate::names::name_of;
use crate::v1;

/// Figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunMetricsJson {
    /// The run.
    pub run_id: String,
    /// Its status.
    pub status: String,
    /// It COMPLETED and no evidence is missing; otherwise these are the results so far, or partial ones (R178).
    pub complete: bool,
    /// They are of the summary that was written after the run's end; otherwise of what came so far.
    pub summarised: bool,
    /// The endpoints are scripted (D14a).
    pub simulated: bool,
    /// By metric: setup_time_ms, call_duration_ms, start_lateness_ms, mos, jitter_ms, rtt_ms, fraction_lost, success_rate (per cent).
    pub metrics: BTreeMap<String, MetricJson>,
    /// Endpoints by phase.
    pub phases: BTreeMap<String, u32>,
    /// Endpoints by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// How requests of SIP endpoints were answered: by request and final code, such as `INVITE 486`, or words such as `INVITE no response`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<String, u32>,
    /// The group that was asked for: metrics, phases, outcomes, responses, groups and gaps are of it alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The same for each group.
    pub groups: Vec<GroupDistributionJson>,
    /// Where evidence is missing, and why.
    pub gaps: Vec<EvidenceGapJson>,
    /// What was missing when the summary was written, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub missing: String,
    /// Chunks that are stored.
    pub chunks: u32,
    /// Of these, such as came after their epoch was over (D14).
    pub late_chunks: u32,
    /// Revision of the run's last change (D28).
    pub revision: u64,
}

/// Figures of one metric; percentiles by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MetricJson {
    /// How many samples.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The least that half of them do not exceed.
    pub p50: f64,
    /// The same for 95 per cent.
    pub p95: f64,
    /// The same for 99 per cent.
    pub p99: f64,
    /// The most.
    pub max: f64,
}

/// Where the endpoints of a group are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GroupDistributionJson {
    /// The group.
    pub group: String,
    /// How many it has.
    pub endpoints: u32,
    /// By phase.
    pub phases: BTreeMap<String, u32>,
    /// By outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// How requests were answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<String, u32>,
    /// By metric; of the first hundred groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricJson>,
}

/// Where evidence is missing, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EvidenceGapJson {
    /// The worker that would have it.
    pub worker_id: String,
    /// The group of its endpoints.
    pub group: String,
    /// The first of them.
    pub first_endpoint: u32,
    /// How many.
    pub endpoints: u32,
    /// NOT_YET, NO_LAST_CHUNK, CHUNK_MISSING, ROWS_DROPPED or OBJECT_UNREADABLE.
    pub reason: String,
    /// For people.
    pub detail: String,
}

/// One metric over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunSeriesJson {
    /// The run.
    pub run_id: String,
    /// The metric.
    pub metric: String,
    /// The length of a step.
    pub step_ms: u32,
    /// In order of time; steps without samples are left out.
    pub points: Vec<SeriesPointJson>,
    /// Where evidence is missing, and why.
    pub gaps: Vec<EvidenceGapJson>,
}

/// The samples of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SeriesPointJson {
    /// Its beginning, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How many.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The most.
    pub max: f64,
}

/// Everything that is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointEvidenceJson {
    /// The run.
    pub run_id: String,
    /// The group.
    pub group: String,
    /// Within the group.
    pub index: u32,
    /// What was measured, in order of time.
    pub samples: Vec<EndpointSampleJson>,
    /// What happened, in order of time.
    pub events: Vec<EndpointEventJson>,
    /// Where evidence is missing, and why.
    pub gaps: Vec<EvidenceGapJson>,
}

/// Values at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointSampleJson {
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// By metric.
    pub values: BTreeMap<String, f64>,
    /// It came after the epoch was over (D14).
    pub late: bool,
}

/// A change of phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointEventJson {
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The phase entered.
    pub phase: String,
    /// With CLOSED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// It came after the epoch was over (D14).
    pub late: bool,
}

/// The SIP trace of one endpoint, or of more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TraceJson {
    /// The run.
    pub run_id: String,
    /// By group and endpoint, and in the order in which they were sent and received.
    pub messages: Vec<TraceMessageJson>,
    /// How endpoints ended.
    pub endings: Vec<TraceEndingJson>,
    /// Where evidence is missing, and why.
    pub gaps: Vec<EvidenceGapJson>,
}

/// A SIP message that an endpoint sent or received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TraceMessageJson {
    /// The group.
    pub group: String,
    /// Within the group.
    pub endpoint: u32,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Counts the endpoint's messages from 0.
    pub seq: u32,
    /// Microseconds since the endpoint was made.
    pub since_us: u64,
    /// The worker's wall clock, nanoseconds since 1970.
    pub wall_ns: i64,
    /// sent or received.
    pub way: String,
    /// The endpoint's address.
    pub local: String,
    /// The other side's.
    pub remote: String,
    /// udp or tcp.
    pub transport: String,
    /// It repeats the message of this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
    /// It was longer than 64 KiB.
    pub truncated: bool,
    /// The digest's response was replaced.
    pub redacted: bool,
    /// The first line.
    pub start_line: String,
    /// What was on the wire, base64.
    pub raw: String,
    /// It came after the epoch was over (D14).
    pub late: bool,
}

/// How an endpoint ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TraceEndingJson {
    /// The group.
    pub group: String,
    /// Within the group.
    pub endpoint: u32,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why, for people.
    pub detail: String,
    /// The final response to INVITE that was on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Messages that were not kept, because there were more than 200.
    pub dropped: u32,
    /// It came after the epoch was over (D14).
    pub late: bool,
}

/// The answer of `/runs/{id}/metrics`: figures, a series, or one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum MetricsJson {
    /// Of the whole run.
    Figures(RunMetricsJson),
    /// With `series`.
    Series(RunSeriesJson),
    /// With `endpoint`.
    Endpoint(EndpointEvidenceJson),
}

/// A worker of a run, and what became of it meanwhile (R182).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunWorkerJson {
    /// Its id.
    pub worker_id: String,
    /// Its name.
    pub worker_name: String,
    /// Endpoints of the run that it was given.
    pub endpoints: u32,
    /// Of these, such as ended without its word (R184).
    pub interrupted: u32,
    /// While the run was under way, newest first.
    pub events: Vec<WorkerEventJson>,
}

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunSampleJson {
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Endpoints by phase.
    pub phases: BTreeMap<String, u32>,
    /// Endpoints by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// What was measured in that second.
    pub metrics: BTreeMap<String, LiveMetricJson>,
    /// Assignments that were heard.
    pub assignments: u32,
    /// How requests were answered since the start, as far as it was heard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<String, u32>,
    /// The same for each of the first hundred groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupSampleJson>,
}

/// One second of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GroupSampleJson {
    /// The group.
    pub group: String,
    /// Endpoints by phase.
    pub phases: BTreeMap<String, u32>,
    /// Endpoints by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// What was measured in that second.
    pub metrics: BTreeMap<String, LiveMetricJson>,
    /// How requests were answered since the start, as far as it was heard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<String, u32>,
}

/// One metric in one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LiveMetricJson {
    /// How many samples.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The most.
    pub max: f64,
}

fn distribution(counts: &[v1::EndpointDistribution]) -> BTreeMap<String, u32> {
    counts
        .iter()
        .map(|count| (count.name.clone(), count.count))
        .collect()
}

fn gaps(gaps: &[v1::EvidenceGap]) -> Vec<EvidenceGapJson> {
    gaps.iter()
        .map(|gap| EvidenceGapJson {
            worker_id: gap.worker_id.clone(),
            group: gap.group.clone(),
            first_endpoint: gap.first_endpoint,
            endpoints: gap.endpoints,
            reason: gap.reason.clone(),
            detail: gap.detail.clone(),
        })
        .collect()
}

fn figures(metrics: &[v1::MetricAggregate]) -> BTreeMap<String, MetricJson> {
    let one = |metric: &v1::MetricAggregate| MetricJson {
        count: metric.count,
        min: metric.min,
        mean: metric.mean,
        p50: metric.p50,
        p95: metric.p95,
        p99: metric.p99,
        max: metric.max,
    };
    let metrics = metrics.iter();
    metrics
        .map(|metric| (metric.metric.clone(), one(metric)))
        .collect()
}

fn live(metrics: &[v1::LiveAggregate]) -> BTreeMap<String, LiveMetricJson> {
    let one = |metric: &v1::LiveAggregate| LiveMetricJson {
        count: metric.count,
        min: metric.min,
        mean: metric.mean,
        max: metric.max,
    };
    let metrics = metrics.iter();
    metrics
        .map(|metric| (metric.metric.clone(), one(metric)))
        .collect()
}

impl From<&v1::GetRunMetricsResponse> for RunMetricsJson {
    fn from(metrics: &v1::GetRunMetricsResponse) -> Self {
        let group = |group: &v1::GroupDistribution| GroupDistributionJson {
            group: group.group.clone(),
            endpoints: group.endpoints,
            phases: distribution(&group.phases),
            outcomes: distribution(&group.outcomes),
            responses: distribution(&group.responses),
            metrics: figures(&group.metrics),
        };
        Self {
            run_id: metrics.run_id.clone(),
            status: name_of::<v1::RunStatus>(metrics.status).to_owned(),
            complete: metrics.complete,
            summarised: metrics.summarised,
            simulated: metrics.simulated,
            metrics: figures(&metrics.metrics),
            phases: distribution(&metrics.phases),
            outcomes: distribution(&metrics.outcomes),
            responses: distribution(&metrics.responses),
            group: metrics.group.clone(),
            groups: metrics.groups.iter().map(group).collect(),
            gaps: gaps(&metrics.gaps),
            missing: metrics.missing.clone(),
            chunks: metrics.chunks,
            late_chunks: metrics.late_chunks,
            revision: metrics.revision,
        }
    }
}

impl From<&v1::GetRunSeriesResponse> for RunSeriesJson {
    fn from(series: &v1::GetRunSeriesResponse) -> Self {
        let point = |point: &v1::SeriesPoint| SeriesPointJson {
            at: time(&point.at),
            count: point.count,
            min: point.min,
            mean: point.mean,
            max: point.max,
        };
        Self {
            run_id: series.run_id.clone(),
            metric: series.metric.clone(),
            step_ms: series.step_ms,
            points: series.points.iter().map(point).collect(),
            gaps: gaps(&series.gaps),
        }
    }
}

impl TraceJson {
    /// Of the parts of a trace put together.
    pub fn new(run_id: &str, trace: &v1::RunTracePart) -> Self {
        Self {
            run_id: run_id.to_owned(),
            messages: trace.messages.iter().map(TraceMessageJson::from).collect(),
            endings: trace.endings.iter().map(TraceEndingJson::from).collect(),
            gaps: gaps(&trace.gaps),
        }
    }
}

impl From<&v1::TraceMessage> for TraceMessageJson {
    fn from(message: &v1::TraceMessage) -> Self {
        Self {
            group: message.group.clone(),
            endpoint: message.endpoint,
            at: time(&message.at),
            seq: message.seq,
            since_us: message.since_us,
            wall_ns: message.wall_ns,
            way: if message.sent { "sent" } else { "received" }.to_owned(),
            local: message.local.clone(),
            remote: message.remote.clone(),
            transport: message.transport.clone(),
            repeats: message.repeats,
            truncated: message.truncated,
            redacted: message.redacted,
            start_line: crate::trace::start_line(&message.raw),
            raw: BASE64_STANDARD.encode(&message.raw),
            late: message.late,
        }
    }
}

impl From<&v1::TraceEnding> for TraceEndingJson {
    fn from(ending: &v1::TraceEnding) -> Self {
        Self {
            group: ending.group.clone(),
            endpoint: ending.endpoint,
            at: time(&ending.at),
            detail: ending.detail.clone(),
            code: ending.code,
            dropped: ending.dropped,
            late: ending.late,
        }
    }
}

impl From<&v1::GetEndpointEvidenceResponse> for EndpointEvidenceJson {
    fn from(evidence: &v1::GetEndpointEvidenceResponse) -> Self {
        let sample = |sample: &v1::EndpointSample| EndpointSampleJson {
            at: time(&sample.at),
            values: sample.values.clone(),
            late: sample.late,
        };
        let event = |event: &v1::EndpointEvent| EndpointEventJson {
            at: time(&event.at),
            phase: name_of::<v1::EndpointPhase>(event.phase).to_owned(),
            outcome: (event.outcome != 0).then(|| name_of::<v1::EndpointOutcome>(event.outcome).to_owned()),
            late: event.late,
        };
        Self {
            run_id: evidence.run_id.clone(),
            group: evidence.group.clone(),
            index: evidence.index,
            samples: evidence.samples.iter().map(sample).collect(),
            events: evidence.events.iter().map(event).collect(),
            gaps: gaps(&evidence.gaps),
        }
    }
}

impl From<&v1::RunWorker> for RunWorkerJson {
    fn from(worker: &v1::RunWorker) -> Self {
        Self {
            worker_id: worker.worker_id.clone(),
            worker_name: worker.worker_name.clone(),
            endpoints: worker.endpoints,
            interrupted: worker.interrupted,
            events: worker.events.iter().map(WorkerEventJson::from).collect(),
        }
    }
}

impl From<&v1::RunSample> for RunSampleJson {
    fn from(sample: &v1::RunSample) -> Self {
        let group = |group: &v1::GroupSample| GroupSampleJson {
            group: group.group.clone(),
            phases: distribution(&group.phases),
            outcomes: distribution(&group.outcomes),
            metrics: live(&group.metrics),
            responses: distribution(&group.responses),
        };
        Self {
            at: time(&sample.at),
            phases: distribution(&sample.phases),
            outcomes: distribution(&sample.outcomes),
            metrics: live(&sample.metrics),
            assignments: sample.assignments,
            responses: distribution(&sample.responses),
            groups: sample.groups.iter().map(group).collect(),
        }
    }
}
