//! The health of a probe (R221–R223, R230–R234, D14b): it follows from how its executions ended, and from nothing else.

use std::fmt;

use crate::record::MetricResult;
use crate::time::Time;

/// How a probe is, and how a metric of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeStatus {
    /// No limit is breached (R230).
    Healthy,
    /// A warning is breached, nothing critical (R231).
    Degraded,
    /// Something critical is breached (R232).
    Unhealthy,
    /// Nothing is known: it never ran, its last run FAILED, or something was not measured (R222, R233).
    Unknown,
}

impl ProbeStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Unhealthy => "UNHEALTHY",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// How bad it is next to the others. What is known to be bad outweighs what is not known, and what is not known outweighs what is
    /// known to be well: a probe is not HEALTHY by what it did not measure.
    const fn weight(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Unknown => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        }
    }

    /// The worst of several: the health of a probe is that of its worst metric. Of none: HEALTHY, for the run completed and nothing
    /// was asked of it.
    pub fn worst(of: impl IntoIterator<Item = Self>) -> Self {
        let worse = |one: Self, other: Self| if other.weight() > one.weight() { other } else { one };
        of.into_iter().fold(Self::Healthy, worse)
    }
}

impl fmt::Display for ProbeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the end of an execution says of its probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// COMPLETED, and measured.
    Measured(Vec<MetricResult>),
    /// FAILED, or gone: why.
    Failed(String),
    /// CANNOT_RUN_FOR_NOW: nothing was learned about the far side.
    CouldNotRun,
}

/// How a probe is, since when and why. Only [`ProbeHealth::ended`] changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeHealth {
    status: ProbeStatus,
    since: Time,
    reason: String,
    results: Vec<MetricResult>,
    slot: Option<Time>,
}

impl ProbeHealth {
    /// A probe begins in UNKNOWN.
    pub fn begin(at: Time) -> Self {
        Self {
            status: ProbeStatus::Unknown,
            since: at,
            reason: "it has not run yet".to_owned(),
            results: Vec::new(),
            slot: None,
        }
    }

    /// Health read back from disk or the wire; `None` if it is not what its results say.
    pub fn restore(
        status: ProbeStatus,
        since: Time,
        reason: String,
        results: Vec<MetricResult>,
        slot: Option<Time>,
    ) -> Option<Self> {
        let follows = results.is_empty() || status == worst(&results);
        follows.then_some(Self {
            status,
            since,
            reason,
            results,
            slot,
        })
    }

    /// The status.
    pub fn status(&self) -> ProbeStatus {
        self.status
    }

    /// Since when the status is what it is.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Why, for people.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Metric by metric, of the last execution that was measured or FAILED; empty for the latter.
    pub fn results(&self) -> &[MetricResult] {
        &self.results
    }

    /// The slot of that execution.
    pub fn slot(&self) -> Option<Time> {
        self.slot
    }

    /// An execution ended. One that could not run changes nothing (D14b); FAILED makes it UNKNOWN (R222); what was measured decides
    /// (R221, R223).
    pub(crate) fn ended(&mut self, slot: Time, verdict: Verdict, at: Time) {
        let (status, reason, results) = match verdict {
            Verdict::CouldNotRun => return,
            Verdict::Failed(why) => (ProbeStatus::Unknown, why, Vec::new()),
            Verdict::Measured(results) => (worst(&results), told(&results), results),
        };
        if status != self.status {
            self.since = at;
        }
        (self.status, self.reason, self.results, self.slot) = (status, reason, results, Some(slot));
    }
}

fn worst(results: &[MetricResult]) -> ProbeStatus {
    ProbeStatus::worst(results.iter().map(|result| result.status))
}

/// The metrics that made it what it is.
fn told(results: &[MetricResult]) -> String {
    use crate::record::Thousandths;
    let status = worst(results);
    if results.is_empty() {
        return "the run completed, and no thresholds are set".to_owned();
    }
    if status == ProbeStatus::Healthy {
        return "every metric is within its limits".to_owned();
    }
    let worst_ones = results.iter().filter(|result| result.status == status);
    let each = worst_ones.map(|result| match result.value {
        Some(value) => format!(
            "{} {} is {}",
            result.metric,
            result.statistic.name(),
            Thousandths(value)
        ),
        None => format!("{} was not measured", result.metric),
    });
    each.collect::<Vec<_>>().join(", ")
}
