//! Thresholds of a probe: what its runs are measured against (R234).

use std::fmt;

use crate::record::{Aggregate, METRICS, SUCCESS_RATE};
use crate::transition::probe::ProbeStatus;

/// The metrics that a run's summary may have, and which thresholds may be about.
pub fn measurable() -> impl Iterator<Item = &'static str> {
    METRICS.into_iter().chain([SUCCESS_RATE])
}

/// Which way of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// A limit is breached by what is below it.
    HigherIsBetter,
    /// A limit is breached by what is above it.
    LowerIsBetter,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::HigherIsBetter, Self::LowerIsBetter];

    /// Of a metric whose threshold does not say.
    pub fn of(metric: &str) -> Self {
        match metric {
            "mos" | SUCCESS_RATE => Self::HigherIsBetter,
            _ => Self::LowerIsBetter,
        }
    }

    /// Whether `value` breaches `limit`; what is exactly at it does not.
    pub const fn breached(self, value: i64, limit: i64) -> bool {
        match self {
            Self::HigherIsBetter => value < limit,
            Self::LowerIsBetter => value > limit,
        }
    }

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HigherIsBetter => "HIGHER_IS_BETTER",
            Self::LowerIsBetter => "LOWER_IS_BETTER",
        }
    }
}

/// Which number of a metric's distribution is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statistic {
    /// The average.
    #[default]
    Mean,
    /// The median.
    P50,
    /// 95 of 100 are not above it.
    P95,
    /// 99 of 100 are not above it.
    P99,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mean, Self::P50, Self::P95, Self::P99, Self::Min, Self::Max];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// Of a distribution, in thousandths.
    pub const fn of(self, aggregate: &Aggregate) -> i64 {
        match self {
            Self::Mean => aggregate.mean_milli,
            Self::P50 => aggregate.p50_milli,
            Self::P95 => aggregate.p95_milli,
            Self::P99 => aggregate.p99_milli,
            Self::Min => aggregate.min_milli,
            Self::Max => aggregate.max_milli,
        }
    }
}

/// The limits of one metric. At least one of the two is set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// One of [`measurable`].
    pub metric: String,
    /// Which number of its distribution.
    pub statistic: Statistic,
    /// Which way is better.
    pub direction: Direction,
    /// Beyond it the probe is DEGRADED; in thousandths.
    pub warning: Option<i64>,
    /// Beyond it the probe is UNHEALTHY; in thousandths.
    pub critical: Option<i64>,
}

impl Threshold {
    /// What a value in thousandths means. One that is missing is UNKNOWN: nothing was measured, so nothing is known to be well.
    pub fn judge(&self, value: Option<i64>) -> ProbeStatus {
        let Some(value) = value else {
            return ProbeStatus::Unknown;
        };
        let breached = |limit: Option<i64>| limit.is_some_and(|limit| self.direction.breached(value, limit));
        if breached(self.critical) {
            ProbeStatus::Unhealthy
        } else if breached(self.warning) {
            ProbeStatus::Degraded
        } else {
            ProbeStatus::Healthy
        }
    }
}

/// What a run's value of a metric meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetricResult {
    /// The metric.
    pub metric: String,
    /// Which number of its distribution.
    pub statistic: Statistic,
    /// In thousandths; `None`: the run did not measure it.
    pub value: Option<i64>,
    /// What it meant.
    pub status: ProbeStatus,
}

/// What a run's metrics mean, threshold by threshold (R234).
pub fn evaluate<'a>(
    thresholds: &[Threshold],
    metric: impl Fn(&str) -> Option<&'a Aggregate>,
) -> Vec<MetricResult> {
    let judged = thresholds.iter().map(|threshold| {
        let value = metric(&threshold.metric)
            .filter(|aggregate| aggregate.count > 0)
            .map(|aggregate| threshold.statistic.of(aggregate));
        MetricResult {
            metric: threshold.metric.clone(),
            statistic: threshold.statistic,
            value,
            status: threshold.judge(value),
        }
    });
    judged.collect()
}

/// Thousandths as people write them: `3.5`, `-0.25`, `800`.
#[derive(Clone, Copy, Debug)]
pub struct Thousandths(pub i64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / 1_000, self.0.unsigned_abs() % 1_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{part:03}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
