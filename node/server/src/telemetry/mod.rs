//! Metrics and spans of the node.

mod feed;
mod gauges;
mod layer;

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use parking_lot::Mutex;

use crate::context::Context;

pub use feed::follow;
pub use layer::{GrpcTelemetryLayer, rest};

const API_REQUESTS: &str = "reeve_api_requests_total";
const API_SECONDS: &str = "reeve_api_seconds";
const RUN_TRANSITIONS: &str = "reeve_run_transitions_total";
const RUN_QUEUE_SECONDS: &str = "reeve_run_queue_seconds";
const WORKER_FLAPS: &str = "reeve_worker_flaps_total";
const ENDPOINT_OUTCOMES: &str = "reeve_endpoint_outcomes_total";

/// From a call that only reads memory to one that waits for a quorum far away.
const LATENCY_BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Up to the longest wait in QUEUED (D11).
const QUEUE_BUCKETS: [f64; 12] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// There is one recorder in a process, whatever runs in it.
static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs the recorder, once in a process.
///
/// # Errors
/// Another recorder is installed already, or the buckets are not acceptable.
pub fn install() -> Result<(), BuildError> {
    // Held until the handle is there: of two nodes that start together, the second must find it.
    let _installing = INSTALLING.lock();
    if HANDLE.get().is_some() {
        return Ok(());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(RUN_QUEUE_SECONDS.to_owned()), &QUEUE_BUCKETS)?
        .install_recorder()?;
    HANDLE.get_or_init(|| handle);
    describe();
    describe_raft();
    Ok(())
}

/// What the store measures; it does not know where its figures go.
fn describe_raft() {
    describe_gauge!("reeve_raft_is_leader", "1 while this node leads.");
    describe_gauge!("reeve_raft_term", "Raft's term, which rises with every election.");
    describe_gauge!(
        "reeve_raft_last_applied_index",
        "Index of the last entry of the log that this node applied."
    );
    describe_gauge!(
        "reeve_raft_quorum_lag_entries",
        "Entries of the leader's log that a majority does not have yet; 0 on other nodes."
    );
    describe_histogram!(
        "reeve_raft_commit_seconds",
        Unit::Seconds,
        "Time from a proposal to its reply, on the leader."
    );
    describe_histogram!(
        "reeve_log_sync_seconds",
        Unit::Seconds,
        "Time of one write and fsync of the log."
    );
    describe_counter!(
        "reeve_leader_changes_total",
        "Changes of the leader that this node saw."
    );
}

fn describe() {
    describe_counter!(
        API_REQUESTS,
        "Calls answered, by service, method and code; streams count when they open."
    );
    describe_histogram!(API_SECONDS, Unit::Seconds, "Time from a call to its answer.");
    describe_counter!(RUN_TRANSITIONS, "Transitions of runs that this node applied.");
    describe_histogram!(
        RUN_QUEUE_SECONDS,
        Unit::Seconds,
        "Time that runs spent in QUEUED."
    );
    describe_counter!(
        WORKER_FLAPS,
        "How often workers left ONLINE for ERROR or UNREACHABLE, as far as this node applied it."
    );
    describe_counter!(ENDPOINT_OUTCOMES, "Outcomes of endpoints that this node applied.");
}

/// Everything in Prometheus' text format: what was counted, and what the state holds now.
pub fn render(context: &Context) -> String {
    let mut text = HANDLE.get().map(PrometheusHandle::render).unwrap_or_default();
    text.push_str(&gauges::render(context));
    text
}

/// Must be called now and then, or histograms keep what they collected.
pub fn upkeep() {
    if let Some(handle) = HANDLE.get() {
        handle.run_upkeep();
    }
}
