//! Evidence of a run: where its measurements are, and what they come to. The measurements themselves are not in the state.

use std::collections::BTreeMap;

use crate::id::{NodeId, Revision, RunId};
use crate::record::{AssignmentKey, Executor};
use crate::time::Time;

/// The metrics of all executors (R153). From `r_factor` on only SIP endpoints have them; `asr`, `ner` and `seer` are one sample of 0
/// or 100 for each seizure, so that the mean is the ratio (R155, R156).
pub const METRICS: [&str; 27] = [
    "setup_time_ms",
    "call_duration_ms",
    "start_lateness_ms",
    "mos",
    "jitter_ms",
    "rtt_ms",
    "fraction_lost",
    "r_factor",
    "packets_lost",
    "packets_due",
    "packets_sent",
    "packets_received",
    "duplicate_packets",
    "out_of_order_packets",
    "late_packets",
    "send_lateness_ms",
    "generator_late",
    "register_time_ms",
    "trying_time_ms",
    "auth_time_ms",
    "pdd_ms",
    "call_setup_time_ms",
    "ring_time_ms",
    "asr",
    "ner",
    "seer",
    "call_lateness_ms",
];
/// Share of the endpoints that ended in SUCCESS, in per cent.
pub const SUCCESS_RATE: &str = "success_rate";

/// What a chunk of evidence holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// Samples of metrics.
    Metrics,
    /// Changes of phase and outcome.
    Events,
    /// SIP messages, and why each endpoint ended as it did (R154).
    Trace,
}

impl EvidenceKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Events, Self::Trace];

    /// The kinds that endpoints of an executor leave: only those of SIP have traces.
    pub const fn of(executor: &Executor) -> &'static [Self] {
        match executor {
            Executor::Sim(_) => &[Self::Metrics, Self::Events],
            Executor::Sip(_) => &Self::ALL,
        }
    }

    /// The name that users see, in paths too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Events => "events",
            Self::Trace => "trace",
        }
    }
}

/// Names a chunk of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestKey {
    /// The assignment that it is about.
    pub assignment: AssignmentKey,
    /// What it holds.
    pub kind: EvidenceKind,
    /// Counts the assignment's chunks of this kind from 0.
    pub seq: u32,
}

/// A chunk of evidence that is in an object store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// Its name.
    pub key: ManifestKey,
    /// The node that stored it; where each node has a folder of its own, the only one that has it.
    pub node: NodeId,
    /// Its name in the object store.
    pub path: String,
    /// How many rows.
    pub rows: u64,
    /// Its size as stored.
    pub bytes: u64,
    /// Of the bytes as stored.
    pub sha256: [u8; 32],
    /// When the first row happened.
    pub first_at: Time,
    /// When the last row happened.
    pub last_at: Time,
    /// Nothing of this kind follows.
    pub last: bool,
    /// Rows that the worker gave up since the chunk before, because uploads did not get through.
    pub dropped: u64,
    /// It came after the epoch was over: kept, never counted (D14).
    pub late: bool,
    /// When it was recorded.
    pub recorded_at: Time,
    /// Of its last change.
    pub revision: Revision,
}

/// Figures of one metric over a run; values in thousandths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// How many samples.
    pub count: u64,
    /// The least.
    pub min_milli: i64,
    /// Their mean, rounded to nearest.
    pub mean_milli: i64,
    /// The least sample that half of them do not exceed (nearest rank).
    pub p50_milli: i64,
    /// As p50, 95 %.
    pub p95_milli: i64,
    /// As p50, 99 %.
    pub p99_milli: i64,
    /// The most.
    pub max_milli: i64,
}

impl Aggregate {
    /// Of a single value.
    pub const fn one(value_milli: i64) -> Self {
        Self {
            count: 1,
            min_milli: value_milli,
            mean_milli: value_milli,
            p50_milli: value_milli,
            p95_milli: value_milli,
            p99_milli: value_milli,
            max_milli: value_milli,
        }
    }
}

/// What the evidence of one group comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupFigures {
    /// The group.
    pub group: String,
    /// By the metric's name.
    pub metrics: BTreeMap<String, Aggregate>,
    /// How requests were answered, such as `INVITE 486`, and how often.
    pub responses: BTreeMap<String, u64>,
}

/// What a run's evidence comes to, written once after its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// By the metric's name.
    pub metrics: BTreeMap<String, Aggregate>,
    /// The run COMPLETED and no evidence is missing; otherwise these are partial results (R172, R178).
    pub complete: bool,
    /// What is missing, for people; empty if it is complete.
    pub missing: String,
    /// How requests were answered, such as `INVITE 486`, and how often.
    pub responses: BTreeMap<String, u64>,
    /// The same for groups, in the order of the definition; of the first ones if there are very many.
    pub groups: Vec<GroupFigures>,
    /// When it was written.
    pub at: Time,
    /// Of its last change.
    pub revision: Revision,
}
