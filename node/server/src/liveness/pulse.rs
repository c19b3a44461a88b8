//! Notices that this process was paused: a tick that comes late proves it.
//!
//! What was heard before the pause says nothing about who is alive now: the heartbeats of the meantime wait in the sockets. For a
//! second of ticks in time the ages of leases are unknown.
use tokio::time::Instant;

use std::time::Duration;

/// Between two ticks.
pub const TICK: Duration = Duration::from_millis(250);
/// A tick that comes this much too late proves a pause.
pub const LATE: Duration = Duration::from_secs(2);
/// How long ticks must come in time until the sockets count as read.
pub const CATCH_UP: Duration = Duration::from_secs(1);

/// The process's own heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    last: Instant,
    unknown_until: Option<Instant>,
    steady_since: Instant,
    was_paused: bool,
}

impl Pulse {
    /// Begins now, as steady as can be.
    pub fn new(now: Instant) -> Self {
        Self {
            last: now,
            unknown_until: None,
            steady_since: now,
            was_paused: false,
        }
    }

    /// One tick. Returns how late it was if that proves a pause.
    pub fn tick(&mut self, now: Instant) -> Option<Duration> {
        let late = now.saturating_duration_since(self.last).saturating_sub(TICK);
        self.last = now;
        if late > LATE {
            self.unknown_until = Some(now + CATCH_UP);
            self.steady_since = now + CATCH_UP;
            self.was_paused = true;
            return Some(late);
        }
        if self.unknown_until.is_some_and(|until| now >= until) {
            self.unknown_until = None;
        }
        None
    }

    /// Whether the ages of leases say nothing at `now`: after a pause, or during one that no tick has noticed yet.
    pub fn ages_unknown(&self, now: Instant) -> bool {
        self.unknown_until.is_some() || now.saturating_duration_since(self.last) > LATE + TICK
    }

    /// Since when the process runs without a pause.
    pub fn steady_since(&self) -> Instant {
        self.steady_since
    }

    /// When the sockets counted as read after the last pause, if there was one.
    pub fn woke(&self) -> Option<Instant> {
        self.was_paused.then_some(self.steady_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_in_time_prove_nothing() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        for n in 1..40 {
            assert_eq!(pulse.tick(start + TICK * n), None);
            assert!(!pulse.ages_unknown(start + TICK * n));
        }
        assert_eq!((pulse.steady_since(), pulse.woke()), (start, None));
    }

    #[test]
    fn a_late_tick_makes_ages_unknown_until_a_second_passed_in_time() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let woke = start + Duration::from_secs(30);
        assert_eq!(pulse.tick(woke), Some(Duration::from_secs(30) - TICK));
        for n in 1..4 {
            assert_eq!(pulse.tick(woke + TICK * n), None);
            assert!(pulse.ages_unknown(woke + TICK * n), "tick {n}");
        }
        pulse.tick(woke + TICK * 4);
        assert!(!pulse.ages_unknown(woke + TICK * 4));
        assert_eq!(pulse.steady_since(), woke + CATCH_UP);
        assert_eq!(pulse.woke(), Some(woke + CATCH_UP));
    }

    #[test]
    fn a_second_pause_begins_the_wait_again() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.tick(start + Duration::from_secs(5));
        pulse.tick(start + Duration::from_secs(10));
        assert!(pulse.ages_unknown(start + Duration::from_secs(10) + TICK));
    }

    #[test]
    fn a_pause_counts_before_the_first_tick_after_it() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        assert!(!pulse.ages_unknown(start + TICK));
        assert!(pulse.ages_unknown(start + Duration::from_secs(3)));
    }
}
