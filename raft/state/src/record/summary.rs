//! What a run measured, in a few numbers.

use std::collections::BTreeMap;

use crate::id::RunId;

/// A distribution, in thousandths of the metric's unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// How many values.
    pub count: u64,
    /// The least.
    pub min_milli: i64,
    /// The average.
    pub mean_milli: i64,
    /// The median.
    pub p50_milli: i64,
    /// 95 of 100 are not above it.
    pub p95_milli: i64,
    /// 99 of 100 are not above it.
    pub p99_milli: i64,
    /// The greatest.
    pub max_milli: i64,
}

/// What a run measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// By metric.
    pub metrics: BTreeMap<String, Aggregate>,
    /// Whether everything that was measured is in it.
    pub complete: bool,
}
