//! The worker's metrics. The recorder belongs to one worker and is not installed globally, so that a process may hold
//! several.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reeve_proto::v1::{EndpointOutcome, HealthReport, report};

use crate::capacity::{Bound, Capacity};
use crate::cause::CauseKind;
use crate::error::ConfigError;
use crate::executor::Load;

const ROUND_TRIPS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0];

/// Handles of all series.
pub struct Telemetry {
    handle: PrometheusHandle,
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
    /// 1 while a session stands.
    pub connected: Gauge,
    /// Endpoints that began and have not closed (R61).
    pub active_endpoints: Gauge,
    /// Assignments whose last report is not confirmed.
    pub assignments: Gauge,
    /// Heartbeats sent (R56).
    pub heartbeats: Counter,
    /// From a heartbeat to its answer.
    pub round_trip: Histogram,
    /// Reports that were sent more than once.
    pub repeated: Counter,
    /// Of CPU, memory and disk (R59, R60).
    resources: [Gauge; 3],
}

impl Telemetry {
    /// Describes and creates the series.
    pub fn new() -> Result<Self, ConfigError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&ROUND_TRIPS)
            .map_err(|error| ConfigError::field("metrics", error.to_string()))?
            .build_recorder();
        let telemetry = metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::gauge!("reeve_worker_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            (
                metrics::gauge!("reeve_worker_connected"),
                metrics::gauge!("reeve_worker_active_endpoints"),
                metrics::gauge!("reeve_worker_assignments"),
                metrics::counter!("reeve_worker_heartbeats_total"),
                metrics::histogram!("reeve_worker_heartbeat_round_trip_seconds"),
                metrics::counter!("reeve_worker_reports_repeated_total"),
                ["CPU", "MEMORY", "DISK"].map(
                    |resource| metrics::gauge!("reeve_worker_resource_used_ratio", "resource" => resource),
                ),
            )
        });
        let (connected, active_endpoints, assignments, heartbeats, round_trip, repeated, resources) =
            telemetry;
        let handle = recorder.handle();
        Ok(Self {
            handle,
            recorder,
            connected,
            active_endpoints,
            assignments,
            heartbeats,
            round_trip,
            repeated,
            resources,
        })
    }

    /// The same, for a worker that takes endpoints (R93, R112).
    pub fn of_session(capacity: &Capacity) -> Result<Self, ConfigError> {
        let telemetry = Self::new()?;
        metrics::with_local_recorder(&telemetry.recorder, || {
            metrics::gauge!("reeve_worker_capacity_endpoints").set(f64::from(capacity.endpoints));
            if let Some(sip) = capacity.sip_endpoints() {
                metrics::gauge!("reeve_worker_sip_capacity_endpoints").set(f64::from(sip));
            }
            let bounds = [
                (Bound::Cpu, Some(capacity.by_cpu)),
                (Bound::Memory, Some(capacity.by_memory)),
                (Bound::Configured, capacity.configured()),
            ];
            for (bound, endpoints) in bounds {
                if let Some(endpoints) = endpoints {
                    metrics::gauge!("reeve_worker_capacity_bound_endpoints", "bound" => bound.name())
                        .set(f64::from(endpoints));
                }
            }
        });
        Ok(telemetry)
    }

    /// What the last health report said.
    pub fn resources(&self, report: &HealthReport) {
        for (gauge, percent) in
            self.resources
                .iter()
                .zip([report.cpu_percent, report.memory_percent, report.disk_percent])
        {
            gauge.set(f64::from(percent) / 100.0);
        }
    }

    /// Renders `/metrics`.
    pub fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// An endpoint ended.
    pub fn closed(&self, outcome: EndpointOutcome) {
        let name = outcome.as_str_name().trim_start_matches("ENDPOINT_OUTCOME_");
        self.count(|| metrics::counter!("reeve_worker_endpoint_outcomes_total", "outcome" => name));
    }

    /// A report was sent.
    pub fn reported(&self, event: Option<&report::Event>) {
        let kind = match event {
            Some(report::Event::Ready(_)) => "ready",
            Some(report::Event::NotReady(_)) => "not_ready",
            Some(report::Event::Progress(_)) => "progress",
            Some(report::Event::Closed(_)) => "closed",
            Some(report::Event::StartedLate(_)) => "started_late",
            None => return,
        };
        self.count(|| metrics::counter!("reeve_worker_reports_total", "event" => kind));
    }

    /// A session ended or could not be had.
    pub fn disconnected(&self, kind: CauseKind) {
        let cause = kind.label();
        self.count(|| metrics::counter!("reeve_worker_session_failures_total", "cause" => cause));
    }

    /// The figures that are read when they are needed.
    pub fn held(&self, active: u32, assignments: usize) {
        self.active_endpoints.set(f64::from(active));
        self.assignments
            .set(f64::from(u32::try_from(assignments).unwrap_or(u32::MAX)));
    }

    /// How the generator of media keeps up. Series appear with the first call.
    pub fn generator(&self, load: &Load) {
        metrics::with_local_recorder(&self.recorder, || {
            let calls = u32::try_from(load.calls).unwrap_or(u32::MAX);
            metrics::gauge!("reeve_worker_media_calls").set(f64::from(calls));
            metrics::gauge!("reeve_worker_media_load_ratio").set(f64::from(load.percent) / 100.0);
            metrics::gauge!("reeve_worker_media_lateness_seconds").set(load.lateness.as_secs_f64());
            for (end, packets) in [("due", load.due), ("sent", load.sent), ("missed", load.missed)] {
                metrics::counter!("reeve_worker_media_packets_total", "end" => end).absolute(packets);
            }
        });
    }

    /// An answered heartbeat.
    pub fn answered(&self, round_trip: Duration) {
        self.round_trip.record(round_trip.as_secs_f64());
    }

    fn count(&self, counter: impl FnOnce() -> Counter) {
        metrics::with_local_recorder(&self.recorder, counter).increment(1);
    }
}

fn describe_media() {
    metrics::describe_gauge!("reeve_worker_media_calls", "Calls whose media this worker plays.");
    metrics::describe_gauge!(
        "reeve_worker_media_load_ratio",
        "Use of the media thread's core; 1 if it misses more than one in twenty packets."
    );
    metrics::describe_gauge!(
        "reeve_worker_media_lateness_seconds",
        "How late the latest packet of the last second was."
    );
    metrics::describe_counter!(
        "reeve_worker_media_packets_total",
        "RTP packets that were due, were sent, and were too late or not sent at all."
    );
}

fn describe() {
    describe_media();
    metrics::describe_gauge!("reeve_worker_build_info", "The version of this worker; always 1.");
    metrics::describe_gauge!(
        "reeve_worker_capacity_endpoints",
        "Most endpoints that this worker takes."
    );
    metrics::describe_gauge!(
        "reeve_worker_sip_capacity_endpoints",
        "Of the capacity at most so many endpoints of SIP, as measured at the start or given."
    );
    metrics::describe_gauge!(
        "reeve_worker_capacity_bound_endpoints",
        "What each bound of the capacity would allow; the smallest is in force."
    );
    metrics::describe_gauge!(
        "reeve_worker_resource_used_ratio",
        "Use of CPU, memory and disk, of the container's limit or the host's."
    );
    metrics::describe_gauge!("reeve_worker_connected", "1 while a session with a node stands.");
    metrics::describe_gauge!(
        "reeve_worker_active_endpoints",
        "Endpoints that began and have not closed."
    );
    metrics::describe_gauge!(
        "reeve_worker_assignments",
        "Assignments that are held or not yet confirmed closed."
    );
    metrics::describe_counter!("reeve_worker_heartbeats_total", "Heartbeats sent.");
    metrics::describe_histogram!(
        "reeve_worker_heartbeat_round_trip_seconds",
        Unit::Seconds,
        "From a heartbeat to its answer."
    );
    metrics::describe_counter!(
        "reeve_worker_reports_total",
        "Reports sent, repetitions included."
    );
    metrics::describe_counter!("reeve_worker_reports_repeated_total", "Reports sent again.");
    metrics::describe_counter!(
        "reeve_worker_endpoint_outcomes_total",
        "Endpoints that ended, by outcome."
    );
    metrics::describe_counter!(
        "reeve_worker_session_failures_total",
        "Sessions that ended or failed, by cause."
    );
}
