//! How a process that was told to end does so (D5): it takes nothing new, finishes what it has up to a deadline, then
//! hangs up the rest, and leaves when everything is confirmed. No I/O and no clock.

use std::time::Duration;

use crate::clock::MonoMs;

/// How long the cluster may take to confirm the drain before we leave without its word.
const CONFIRM: Duration = Duration::from_secs(2);
/// How long a worker that holds nothing looks for a node to say goodbye to.
const LOOK_FOR_NODE: Duration = Duration::from_secs(3);
/// How long after the deadline the last reports may take.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// A drain under way.
#[derive(Debug)]
pub struct Drain {
    asked: MonoMs,
    deadline: MonoMs,
    /// The cluster knows.
    pub confirmed: bool,
    hung_up: bool,
}

/// What the drain says about the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet.
    Wait,
    /// The deadline passed: hang up what still runs (once).
    HangUp,
    /// Leave in order.
    Leave,
    /// Leave although not everything is confirmed.
    GiveUp,
}

impl Drain {
    /// Asked for now.
    pub fn new(now: MonoMs, deadline: Duration) -> Self {
        Self {
            asked: now,
            deadline: now.after(deadline),
            confirmed: false,
            hung_up: false,
        }
    }

    /// What is left of the deadline.
    pub fn remaining(&self, now: MonoMs) -> Duration {
        Duration::from_millis(self.deadline.0.saturating_sub(now.0).max(0).unsigned_abs())
    }

    /// What to do now, given whether a session stands and whether anything is held.
    pub fn verdict(&mut self, now: MonoMs, connected: bool, holds_nothing: bool) -> Verdict {
        if holds_nothing {
            let patience = if connected { CONFIRM } else { LOOK_FOR_NODE };
            let leave = (connected && self.confirmed) || now >= self.asked.after(patience);
            return if leave { Verdict::Leave } else { Verdict::Wait };
        }
        if now >= self.deadline.after(LAST_REPORTS) {
            return Verdict::GiveUp;
        }
        if now >= self.deadline && !self.hung_up {
            self.hung_up = true;
            return Verdict::HangUp;
        }
        Verdict::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain() -> Drain {
        Drain::new(MonoMs(0), Duration::from_secs(60))
    }

    // Covers: R28, R31, R65
    #[test]
    fn an_idle_worker_leaves_as_soon_as_the_drain_is_confirmed() {
        let mut drain = drain();
        assert_eq!(drain.verdict(MonoMs(10), true, true), Verdict::Wait);
        drain.confirmed = true;
        assert_eq!(drain.verdict(MonoMs(20), true, true), Verdict::Leave);
    }

    #[test]
    fn a_worker_that_holds_nothing_does_not_wait_long_for_a_cluster_that_is_away() {
        let mut drain = drain();
        assert_eq!(drain.verdict(MonoMs(1_999), true, true), Verdict::Wait);
        assert_eq!(drain.verdict(MonoMs(2_000), true, true), Verdict::Leave);
        assert_eq!(drain.verdict(MonoMs(2_999), false, true), Verdict::Wait);
        assert_eq!(drain.verdict(MonoMs(3_000), false, true), Verdict::Leave);
    }

    // Covers: R36
    #[test]
    fn what_still_runs_at_the_deadline_is_hung_up_once_and_reported() {
        let mut drain = drain();
        assert_eq!(drain.remaining(MonoMs(15_000)), Duration::from_secs(45));
        assert_eq!(drain.verdict(MonoMs(59_999), true, false), Verdict::Wait);
        assert_eq!(drain.verdict(MonoMs(60_000), true, false), Verdict::HangUp);
        assert_eq!(drain.verdict(MonoMs(60_001), true, false), Verdict::Wait);
        assert_eq!(drain.verdict(MonoMs(64_999), false, false), Verdict::Wait);
        assert_eq!(drain.verdict(MonoMs(65_000), false, false), Verdict::GiveUp);
        assert_eq!(drain.verdict(MonoMs(65_000), true, true), Verdict::Leave);
    }
}
