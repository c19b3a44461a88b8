//! What heartbeats are taken for: signs of life when they arrive, whatever they say; and no more of them than a worker needs.

use reeve_proto::v1;
use reeve_state::time::Time;
use tokio::time::Instant;

use super::encode;
use crate::liveness::{Resources, Vitals};

/// How many seconds' worth of heartbeats may come at once: those that queued up while this node was paused are no flood.
const BURST_S: f64 = 10.0;

/// The heartbeats of one session so far.
#[derive(Debug)]
pub(super) struct Heartbeats {
    last_seq: u64,
    per_second: f64,
    /// How many more may come now.
    credit: f64,
    credited: Instant,
}

/// What a heartbeat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The next one.
    New,
    /// Late, or twice: it is answered and tells nothing new (D30).
    Old,
    /// One more than a worker may send.
    Flood,
}

impl Heartbeats {
    pub(super) fn new(most_per_s: u32, now: Instant) -> Self {
        let per_second = f64::from(most_per_s);
        Self {
            last_seq: 0,
            per_second,
            credit: per_second * BURST_S,
            credited: now,
        }
    }

    /// Takes one that arrives at `now`.
    pub(super) fn take(&mut self, seq: u64, now: Instant) -> Beat {
        let passed = now.saturating_duration_since(self.credited).as_secs_f64();
        self.credited = now;
        self.credit = (self.credit + passed * self.per_second).min(self.per_second * BURST_S);
        if self.credit < 1.0 {
            return Beat::Flood;
        }
        self.credit -= 1.0;
        if seq <= self.last_seq {
            return Beat::Old;
        }
        self.last_seq = seq;
        Beat::New
    }
}

/// A worker's clock less cluster time; `None` if it sent no time. Any figure is taken: it is only shown.
pub(crate) fn clock_skew_ms(wall_ms: i64, cluster_now: Time) -> Option<i64> {
    (wall_ms != 0).then(|| wall_ms.saturating_sub(encode::instant(cluster_now)))
}

/// What a worker said of itself; the figures are checked.
pub(super) fn vitals(
    active_endpoints: u32,
    health: Option<&v1::HealthReport>,
    clock_skew_ms: Option<i64>,
) -> Vitals {
    let percent = |figure: u32| u8::try_from(figure).unwrap_or(u8::MAX);
    Vitals {
        active_endpoints,
        resources: health.map(|health| Resources {
            cpu_percent: percent(health.cpu_percent),
            memory_percent: percent(health.memory_percent),
            disk_percent: percent(health.disk_percent),
        }),
        clock_skew_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Covers: R39
    #[test]
    fn a_heartbeat_that_comes_twice_or_late_is_told_from_the_next_one() {
        let now = Instant::now();
        let mut beats = Heartbeats::new(20, now);
        let taken = [1, 2, 2, 1, 5, 4, 6].map(|seq| beats.take(seq, now));
        let (new, old) = (Beat::New, Beat::Old);
        assert_eq!(taken, [new, new, old, old, new, old, new]);
    }

    #[test]
    fn only_what_is_faster_than_allowed_for_long_is_a_flood() {
        let start = Instant::now();
        let mut steady = Heartbeats::new(20, start);
        for n in 1..=2_000_u32 {
            let at = start + Duration::from_millis(50) * n;
            assert_eq!(steady.take(n.into(), at), Beat::New, "heartbeat {n}");
        }
        let mut burst = Heartbeats::new(20, start);
        for n in 1..=200 {
            assert_eq!(burst.take(n, start), Beat::New, "heartbeat {n}");
        }
        assert_eq!(burst.take(201, start), Beat::Flood);
        let later = start + Duration::from_secs(1);
        assert_eq!(burst.take(202, later), Beat::New, "time is forgiving");
    }

    // Covers: R58
    #[test]
    fn any_clock_of_a_worker_is_only_a_figure() {
        let now = Time(1_000_000);
        for (wall_ms, skew) in [
            (0, None),
            (1_000_250, Some(250)),
            (999_000, Some(-1_000)),
            (-5, Some(-1_000_005)),
            (i64::MIN, Some(i64::MIN)),
            (i64::MAX, Some(i64::MAX - 1_000_000)),
        ] {
            assert_eq!(clock_skew_ms(wall_ms, now), skew, "{wall_ms}");
        }
    }
}
