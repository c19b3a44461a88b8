//! When a run whose endpoints move on is shown again: not with every report, but its last counts always.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_state::id::{Revision, RunId};
use tokio::time::Instant;

/// Between two showings of a run for the sake of its counts.
pub const COUNTS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs whose counts changed and were not shown yet.
#[derive(Debug, Default)]
pub struct Counts {
    waiting: BTreeMap<RunId, Waiting>,
    /// When runs were last shown, where that is less than an interval ago.
    shown: BTreeMap<RunId, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// The first change that was not shown.
    since: Revision,
    due: Instant,
}

impl Counts {
    /// A run's counts changed.
    pub fn changed(&mut self, run: RunId, at: Revision, now: Instant) {
        let due = self.shown.get(&run).map_or(now, |shown| *shown + COUNTS_INTERVAL);
        self.waiting.entry(run).or_insert(Waiting { since: at, due });
    }

    /// A run was shown as it is, or is gone.
    pub fn shown(&mut self, run: RunId, now: Instant) {
        self.waiting.remove(&run);
        self.shown.insert(run, now);
    }

    /// Runs that are to be shown now.
    pub fn due(&mut self, now: Instant) -> Vec<RunId> {
        self.shown.retain(|_, shown| *shown + COUNTS_INTERVAL > now);
        let due: Vec<RunId> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.due <= now)
            .map(|(run, _)| *run)
            .collect();
        due.iter().for_each(|run| self.shown(*run, now));
        due
    }

    /// When the next is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// A stream that showed everything up to `at` is complete only up to here.
    pub fn complete(&self, at: Revision) -> Revision {
        let first = self.waiting.values().map(|waiting| waiting.since).min();
        first.map_or(at, |since| at.min(Revision(since.0.saturating_sub(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RunId = RunId::from_bytes([1; 16]);
    const B: RunId = RunId::from_bytes([2; 16]);

    #[test]
    fn counts_are_shown_at_once_then_once_an_interval_and_the_last_ones_always() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut counts = Counts::default();
        counts.changed(A, Revision(1), at(0));
        assert_eq!(counts.due(at(0)), [A]);
        counts.changed(A, Revision(2), at(50));
        counts.changed(A, Revision(3), at(60));
        assert!(counts.due(at(100)).is_empty());
        assert_eq!(counts.next_due(), Some(at(200)));
        assert_eq!(counts.due(at(200)), [A]);
        assert!(counts.due(at(900)).is_empty(), "nothing is shown twice");
        counts.changed(A, Revision(4), at(1_000));
        assert_eq!(counts.due(at(1_000)), [A], "after a pause at once");
    }

    #[test]
    fn a_stream_is_complete_up_to_the_first_counts_that_wait() {
        let now = Instant::now();
        let mut counts = Counts::default();
        assert_eq!(counts.complete(Revision(9)), Revision(9));
        counts.shown(A, now);
        counts.shown(B, now);
        counts.changed(A, Revision(10), now);
        counts.changed(B, Revision(12), now);
        counts.changed(A, Revision(13), now);
        assert_eq!(counts.complete(Revision(13)), Revision(9));
        // The run is shown for another reason, and its counts with it.
        counts.shown(A, now);
        assert_eq!(counts.complete(Revision(14)), Revision(11));
        assert_eq!(counts.due(now + COUNTS_INTERVAL), [B]);
        assert_eq!(counts.complete(Revision(14)), Revision(14));
    }
}
