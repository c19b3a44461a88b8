//! Two clocks: the worker's own monotonic one, and an estimate of cluster time on top of it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Milliseconds of this process's monotonic clock. May be negative: an instant before the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonoMs(pub i64);

impl MonoMs {
    /// This instant and a bit later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// The monotonic clock, counted from the start of the process.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Instant,
}

impl Clock {
    /// Time starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { base: Instant::now() }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> MonoMs {
        MonoMs(i64::try_from(self.base.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// The instant as the runtime's timers understand it; rounded up by a millisecond, so that a timer never fires
    /// before its time.
    #[must_use]
    pub fn instant(&self, at: MonoMs) -> Instant {
        self.base + Duration::from_millis(u64::try_from(at.0).unwrap_or(0).saturating_add(1))
    }
}

/// Samples that are remembered; network delay is judged by the best of them.
const WINDOW: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Sample {
    round_trip_ms: i64,
    /// Cluster time minus monotonic time.
    offset_ms: i64,
}

/// Cluster time as seen from here. The error is at most half the round trip of the best of the last samples.
#[derive(Debug, Default)]
pub struct ClusterClock {
    /// From Welcome: late by the one-way delay; used until the first round trip is measured.
    first_guess_ms: Option<i64>,
    samples: VecDeque<Sample>,
}

impl ClusterClock {
    /// A new session: its node may see cluster time differently, so old samples do not count.
    pub fn welcome(&mut self, cluster_time_ms: i64, received: MonoMs) {
        self.first_guess_ms = Some(cluster_time_ms.saturating_sub(received.0));
        self.samples.clear();
    }

    /// An acknowledged heartbeat. Gives the round trip, or None if the echo cannot be ours.
    pub fn acknowledged(&mut self, sent: MonoMs, cluster_time_ms: i64, received: MonoMs) -> Option<Duration> {
        let round_trip_ms = received
            .0
            .checked_sub(sent.0)
            .filter(|elapsed| *elapsed >= 0 && sent.0 >= 0)?;
        let middle_ms = sent.0 + round_trip_ms / 2;
        if self.samples.len() == WINDOW {
            self.samples.pop_front();
        }
        let offset_ms = cluster_time_ms.saturating_sub(middle_ms);
        self.samples.push_back(Sample {
            round_trip_ms,
            offset_ms,
        });
        Some(Duration::from_millis(round_trip_ms.unsigned_abs()))
    }

    /// When it is (or was) that cluster time on our clock; None before the first Welcome.
    #[must_use]
    pub fn to_monotonic(&self, cluster_time_ms: i64) -> Option<MonoMs> {
        let best = self.samples.iter().min_by_key(|sample| sample.round_trip_ms);
        let offset_ms = best.map(|sample| sample.offset_ms).or(self.first_guess_ms)?;
        Some(MonoMs(cluster_time_ms.saturating_sub(offset_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_any_round_trip_the_time_of_welcome_is_used() {
        let mut clock = ClusterClock::default();
        assert_eq!(clock.to_monotonic(1_000_000), None);
        clock.welcome(1_000_000, MonoMs(500));
        assert_eq!(clock.to_monotonic(1_002_000), Some(MonoMs(2_500)));
    }

    #[test]
    fn the_sample_with_the_smallest_round_trip_wins() {
        let mut clock = ClusterClock::default();
        clock.welcome(0, MonoMs(0));
        // True offset: 10,000. The first ack was slow on its way back, which shows as an offset 40 too small.
        clock.acknowledged(MonoMs(100), 10_110, MonoMs(200));
        assert_eq!(clock.to_monotonic(20_000), Some(MonoMs(10_040)));
        clock.acknowledged(MonoMs(300), 10_301, MonoMs(302));
        assert_eq!(clock.to_monotonic(20_000), Some(MonoMs(10_000)));
        clock.acknowledged(MonoMs(400), 10_410, MonoMs(500));
        assert_eq!(
            clock.to_monotonic(20_000),
            Some(MonoMs(10_000)),
            "a worse sample changes nothing"
        );
        for at in 6..14 {
            clock.acknowledged(MonoMs(at * 100), at * 100 + 10_030, MonoMs(at * 100 + 20));
        }
        assert_eq!(
            clock.to_monotonic(20_000),
            Some(MonoMs(9_980)),
            "old samples are forgotten"
        );
    }

    #[test]
    fn an_echo_from_the_future_is_no_sample() {
        let mut clock = ClusterClock::default();
        assert_eq!(clock.acknowledged(MonoMs(200), 5, MonoMs(100)), None);
        assert_eq!(clock.acknowledged(MonoMs(-1), 5, MonoMs(100)), None);
        assert_eq!(clock.to_monotonic(0), None);
    }
}
