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
/// Two readings of whole milliseconds of two clocks may differ by so much and yet be the same.
const ROUNDING_MS: i64 = 3;
/// A message that was longer on its way than this is taken for a jump of the clock.
const SLOWEST_MS: i64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    round_trip_ms: i64,
    /// Cluster time minus monotonic time.
    offset_ms: i64,
}

impl Sample {
    /// Whether both can be true of one clock.
    fn agrees(&self, other: &Self) -> bool {
        let apart_ms = self.offset_ms.abs_diff(other.offset_ms);
        let error_ms = (self.round_trip_ms + other.round_trip_ms) / 2 + ROUNDING_MS;
        apart_ms <= error_ms.unsigned_abs()
    }
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
        let sample = Sample {
            round_trip_ms,
            offset_ms,
        };
        // Cluster time is slewed, and jumps when a leader starts: what was true then says nothing about now.
        self.samples.retain(|older| older.agrees(&sample));
        self.samples.push_back(sample);
        Some(Duration::from_millis(round_trip_ms.unsigned_abs()))
    }

    /// What the node's clock says, on a message that has just come. Much coarser than a round trip, but it cannot be from before
    /// a jump: where the samples contradict it, they are.
    pub fn told(&mut self, cluster_time_ms: i64, received: MonoMs) {
        if cluster_time_ms <= 0 {
            return;
        }
        let told_ms = cluster_time_ms.saturating_sub(received.0);
        // A message takes time, so it tells at most the truth, and seldom much less.
        let possible = |best: &Sample| {
            let error_ms = best.round_trip_ms / 2 + ROUNDING_MS;
            let least_ms = told_ms.saturating_sub(error_ms);
            (least_ms..=told_ms.saturating_add(SLOWEST_MS)).contains(&best.offset_ms)
        };
        if !self.best().is_some_and(possible) {
            self.samples.clear();
            self.first_guess_ms = Some(told_ms);
        }
    }

    /// When it is (or was) that cluster time on our clock; None before the first Welcome.
    #[must_use]
    pub fn to_monotonic(&self, cluster_time_ms: i64) -> Option<MonoMs> {
        Some(MonoMs(cluster_time_ms.saturating_sub(self.offset_ms()?)))
    }

    /// What is to be added to our own clock for cluster time; None before the first Welcome.
    #[must_use]
    pub fn offset_ms(&self) -> Option<i64> {
        self.best().map(|sample| sample.offset_ms).or(self.first_guess_ms)
    }

    fn best(&self) -> Option<&Sample> {
        self.samples.iter().min_by_key(|sample| sample.round_trip_ms)
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
            clock.acknowledged(MonoMs(at * 100), at * 100 + 10_012, MonoMs(at * 100 + 20));
        }
        assert_eq!(
            clock.to_monotonic(20_000),
            Some(MonoMs(9_998)),
            "old samples are forgotten"
        );
    }

    #[test]
    fn samples_from_before_a_jump_do_not_count_however_good_they_were() {
        let mut clock = ClusterClock::default();
        clock.welcome(10_000, MonoMs(0));
        clock.acknowledged(MonoMs(0), 10_000, MonoMs(1));
        // A leader started and jumped an hour forward.
        clock.acknowledged(MonoMs(1_000), 3_611_010, MonoMs(1_020));
        assert_eq!(clock.to_monotonic(3_612_000), Some(MonoMs(2_000)));
    }

    #[test]
    fn a_start_is_understood_by_the_clock_of_the_node_that_sends_it() {
        let mut clock = ClusterClock::default();
        clock.welcome(10_000, MonoMs(0));
        clock.acknowledged(MonoMs(0), 10_000, MonoMs(1));
        clock.told(10_490, MonoMs(500));
        assert_eq!(
            clock.to_monotonic(12_000),
            Some(MonoMs(2_000)),
            "it agrees: the round trip is the better measure"
        );
        clock.told(3_610_000, MonoMs(600));
        assert_eq!(
            clock.to_monotonic(3_611_000),
            Some(MonoMs(1_600)),
            "the clock jumped since the last heartbeat"
        );
        clock.told(0, MonoMs(700));
        assert_eq!(
            clock.to_monotonic(3_611_000),
            Some(MonoMs(1_600)),
            "an older node does not say"
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
