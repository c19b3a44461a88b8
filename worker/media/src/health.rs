//! Whether the generator keeps up: a load generator that is late measures itself.

use std::time::Duration;

/// Width of a bucket of lateness.
const BUCKET: Duration = Duration::from_micros(100);
/// Buckets; the last one takes all that is later.
const BUCKETS: usize = 512;

/// How the engine's thread does. Counters count since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneratorHealth {
    /// Whether the thread lives.
    pub running: bool,
    /// Calls that have begun and not ended.
    pub calls: usize,
    /// Packets that were due.
    pub due: u64,
    /// Packets that were handed to the kernel.
    pub sent: u64,
    /// Packets that were sent, but later than `late_limit`.
    pub late: u64,
    /// Packets that were not sent because their time was over.
    pub skipped: u64,
    /// Packets that the kernel refused.
    pub refused: u64,
    /// Packets of the last second that were too late, skipped or refused. Not zero: there are more calls than this machine has time for.
    pub missed: u64,
    /// The latest visit to a call in the last second.
    pub lateness_max: Duration,
    /// 95 % of the visits of the last second were no later than this, to 0.1 ms.
    pub lateness_p95: Duration,
    /// CPU time of the thread in the last second, 0 to 1: at 1 it has a core to itself and needs more.
    pub busy: f64,
    /// Intervals that ended, of all calls.
    pub intervals: u64,
    /// Those of them that are invalid.
    pub invalid_intervals: u64,
}

/// How late visits were, in one second.
#[derive(Debug)]
pub struct Lateness {
    buckets: [u32; BUCKETS],
    count: u32,
    max: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl Lateness {
    /// One visit.
    pub fn record(&mut self, late: Duration) {
        let bucket = late.as_nanos() / BUCKET.as_nanos();
        let bucket = usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1));
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(late);
    }

    /// The latest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// 95 % were no later than this: the upper edge of a bucket, or the maximum if that is beyond 51 ms. Zero without a visit.
    #[must_use]
    pub fn p95(&self) -> Duration {
        let enough = (u64::from(self.count) * 95).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in (1_u32..).zip(self.buckets) {
            seen += u64::from(count);
            if seen >= enough && (bucket as usize) < BUCKETS {
                return (BUCKET * bucket).min(self.max);
            }
        }
        self.max
    }
}

/// What the thread counts while it works.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Packets that were due.
    pub due: u64,
    /// Packets that were handed to the kernel.
    pub sent: u64,
    /// Those of them that were too late.
    pub late: u64,
    /// Packets that were not sent because their time was over.
    pub skipped: u64,
    /// Packets that the kernel refused.
    pub refused: u64,
    /// Intervals that ended.
    pub intervals: u64,
    /// Those of them that are invalid.
    pub invalid_intervals: u64,
    /// Of the present second.
    pub lateness: Lateness,
    /// Packets that were too late, skipped or refused before it.
    missed: u64,
}

impl Pulse {
    /// What is told after a second. The next second's lateness begins anew.
    pub fn beat(&mut self, calls: usize, busy: f64) -> GeneratorHealth {
        let lateness = std::mem::take(&mut self.lateness);
        let missed = self.late + self.skipped + self.refused;
        let missed_before = std::mem::replace(&mut self.missed, missed);
        GeneratorHealth {
            running: true,
            calls,
            due: self.due,
            sent: self.sent,
            late: self.late,
            skipped: self.skipped,
            refused: self.refused,
            missed: missed - missed_before,
            lateness_max: lateness.max(),
            lateness_p95: lateness.p95(),
            busy,
            intervals: self.intervals,
            invalid_intervals: self.invalid_intervals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_percentile_is_the_upper_edge_of_its_bucket() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.p95(), Duration::ZERO);
        for micros in 0..100 {
            lateness.record(Duration::from_micros(micros * 100 + 50));
        }
        assert_eq!(lateness.p95(), Duration::from_micros(9_500));
        assert_eq!(lateness.max(), Duration::from_micros(9_950));
    }

    #[test]
    fn what_was_missed_is_told_for_its_second_only() {
        let mut pulse = Pulse {
            late: 1,
            skipped: 2,
            refused: 4,
            ..Pulse::default()
        };
        pulse.lateness.record(Duration::from_millis(30));
        let first = pulse.beat(3, 0.5);
        assert_eq!((first.missed, first.skipped, first.calls), (7, 2, 3));
        assert_eq!(first.lateness_max, Duration::from_millis(30));
        let second = pulse.beat(3, 0.5);
        assert_eq!((second.missed, second.skipped), (0, 2));
        assert_eq!(second.lateness_max, Duration::ZERO);
    }

    #[test]
    fn what_is_beyond_the_last_bucket_is_counted_as_late_as_the_maximum() {
        let mut lateness = Lateness::default();
        for _ in 0..10 {
            lateness.record(Duration::from_secs(3));
        }
        assert_eq!(lateness.max(), Duration::from_secs(3));
        assert_eq!(lateness.p95(), Duration::from_secs(3));
    }
}
