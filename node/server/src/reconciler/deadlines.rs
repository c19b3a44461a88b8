//! When each run is to be looked at again, soonest first.

use std::collections::{BTreeSet, HashMap};

use reeve_state::id::RunId;
use reeve_state::time::Time;

/// One deadline a run.
#[derive(Debug, Default)]
pub struct Deadlines {
    order: BTreeSet<(Time, RunId)>,
    by_run: HashMap<RunId, Time>,
}

impl Deadlines {
    /// Sets, moves or removes the deadline of a run.
    pub fn set(&mut self, run: RunId, at: Option<Time>) {
        if let Some(before) = self.by_run.remove(&run) {
            self.order.remove(&(before, run));
        }
        if let Some(at) = at {
            self.by_run.insert(run, at);
            self.order.insert((at, run));
        }
    }

    /// The soonest.
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the runs whose deadline has come.
    pub fn take_due(&mut self, now: Time) -> Vec<RunId> {
        let mut due = Vec::new();
        while let Some((at, run)) = self.order.first().copied() {
            if at > now {
                break;
            }
            self.set(run, None);
            due.push(run);
        }
        due
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.order.clear();
        self.by_run.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u8) -> RunId {
        RunId::from_bytes([n; 16])
    }

    #[test]
    fn runs_are_due_soonest_first_and_once() {
        let mut deadlines = Deadlines::default();
        deadlines.set(run(1), Some(Time(30)));
        deadlines.set(run(2), Some(Time(10)));
        deadlines.set(run(3), Some(Time(20)));
        assert_eq!(deadlines.next(), Some(Time(10)));
        assert_eq!(deadlines.take_due(Time(20)), [run(2), run(3)]);
        assert_eq!(deadlines.take_due(Time(20)), []);
        assert_eq!(deadlines.next(), Some(Time(30)));
    }

    #[test]
    fn a_run_has_one_deadline_the_last_that_was_set() {
        let mut deadlines = Deadlines::default();
        deadlines.set(run(1), Some(Time(10)));
        deadlines.set(run(1), Some(Time(50)));
        assert_eq!(deadlines.take_due(Time(49)), []);
        deadlines.set(run(1), None);
        assert_eq!(deadlines.next(), None);
        assert_eq!(deadlines.take_due(Time(99)), []);
    }
}
