//! When packets are due: every 20 ms from the first, for ever. Being late moves nothing: what could not be sent in its time is skipped.

use std::time::Duration;

use crate::clock::Mono;
use crate::stream::PTIME;

/// The times of one call.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    next: Mono,
}

/// One due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When it was due.
    pub due: Mono,
    /// How late it is.
    pub late: Duration,
    /// The next one is due too: this one's time is over, nothing is sent in it.
    pub skipped: bool,
}

impl Schedule {
    /// From this time on.
    #[must_use]
    pub fn new(first: Mono) -> Self {
        Self { next: first }
    }

    /// The next due time.
    #[must_use]
    pub fn next(&self) -> Mono {
        self.next
    }

    /// The next slot, if it is due, which is taken with this.
    pub fn take(&mut self, now: Mono) -> Option<Slot> {
        if now < self.next {
            return None;
        }
        let due = self.next;
        self.next = due.plus(PTIME);
        Some(Slot {
            due,
            late: now.since(due),
            skipped: now >= self.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    #[test]
    fn nothing_is_due_before_its_time_and_then_once() {
        let mut schedule = Schedule::new(ms(100));
        assert_eq!(schedule.take(ms(99)), None);
        let slot = schedule.take(ms(101));
        let wanted = Slot {
            due: ms(100),
            late: Duration::from_millis(1),
            skipped: false,
        };
        assert_eq!(slot, Some(wanted));
        assert_eq!(schedule.take(ms(119)), None);
    }

    #[test]
    fn after_a_delay_what_is_over_is_skipped_and_the_rest_is_on_time_again() {
        let mut schedule = Schedule::new(ms(0));
        let slots: Vec<_> = std::iter::from_fn(|| schedule.take(ms(65))).collect();
        let found: Vec<_> = slots
            .iter()
            .map(|slot| (slot.late.as_millis(), slot.skipped))
            .collect();
        assert_eq!(found, [(65, true), (45, true), (25, true), (5, false)]);
        assert_eq!(schedule.next(), ms(80));
    }

    proptest! {
        #[test]
        fn due_times_never_drift_and_each_is_taken_once(delays in proptest::collection::vec(0..100_000_000_u64, 1..100)) {
            let mut schedule = Schedule::new(Mono(7));
            let (mut now, mut taken) = (0, 0);
            for delay in delays {
                now += delay;
                let mut sent = 0;
                while let Some(slot) = schedule.take(Mono(now)) {
                    prop_assert_eq!(slot.due, Mono(7).plus(PTIME * taken));
                    prop_assert_eq!(slot.skipped, slot.late >= PTIME);
                    sent += u32::from(!slot.skipped);
                    taken += 1;
                }
                prop_assert!(sent <= 1, "one packet for a visit");
            }
        }
    }
}
