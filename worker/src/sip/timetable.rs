//! When each endpoint of an assignment registers, and when it calls (R145).
//!
//! Slots follow from the start instant, the ramp and the index within the group alone: however a group is split over workers, its
//! registrations and its calls have the same shape. A slot that is past comes at once, but those of an assignment that are late together
//! come at twice their rate at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_sip::pace::{Pace, Slot, Slots};

use crate::clock::MonoMs;
use crate::executor::Work;
use crate::ramp::Ramp;

/// See the module.
pub(super) struct Timetable {
    begins: Column,
    /// Of callers that register before.
    calls: Option<Column>,
}

struct Column {
    start: Instant,
    ramp: Ramp,
    pace: Arc<Pace>,
}

impl Timetable {
    /// Of an assignment whose calls start at `start`; `now` and `instant` are the same moment.
    pub fn of(work: &Work, start: MonoMs, now: MonoMs, instant: Instant) -> Self {
        let column = |start: MonoMs, ramp: &Ramp| Column {
            start: at(start, now, instant),
            ramp: ramp.clone(),
            pace: Pace::new(ramp.gap()),
        };
        match work.registration() {
            Some((before, ramp)) => {
                let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
                Self {
                    begins: column(MonoMs(start.0.saturating_sub(before)), &ramp),
                    calls: Some(column(start, &work.ramp)),
                }
            }
            None => Self {
                begins: column(start, &work.ramp),
                calls: None,
            },
        }
    }

    /// Of the endpoint with this index in its group.
    pub fn slots(&self, index: u32) -> Slots {
        Slots {
            begin: self.begins.slot(index),
            call: self.calls.as_ref().map(|calls| calls.slot(index)),
        }
    }
}

impl Column {
    fn slot(&self, index: u32) -> Slot {
        Slot {
            due: self.start + self.ramp.offset(index),
            pace: Arc::clone(&self.pace),
        }
    }
}

/// A moment of our clock. What lies before the beginning of the system's is now.
fn at(time: MonoMs, now: MonoMs, instant: Instant) -> Instant {
    let apart = Duration::from_millis(time.0.abs_diff(now.0));
    if time >= now {
        return instant + apart;
    }
    instant.checked_sub(apart).unwrap_or(instant)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reeve_proto::v1::offer::Executor as Spec;
    use reeve_proto::v1::{Offer, SipOffer};

    use super::*;

    fn work(first: u32, count: u32, sip: SipOffer) -> Work {
        let offer = Offer {
            run_id: "r".into(),
            epoch: 1,
            group: "callers".into(),
            first_endpoint: first,
            endpoints: count,
            group_endpoints: 1_000,
            buildup_ms: 10_000,
            duration_ms: 1_000,
            executor: Some(Spec::Sip(sip)),
        };
        Work::from_offer(offer).unwrap()
    }

    fn apart() -> SipOffer {
        SipOffer {
            register_before_ms: Some(22_000),
            register_buildup_ms: 20_000,
            ..SipOffer::default()
        }
    }

    const NOW: MonoMs = MonoMs(100_000);
    const START: MonoMs = MonoMs(130_000);

    /// Registrations and calls of these endpoints, microseconds after `START` less 22 s.
    fn table(works: &[Work]) -> Vec<(u128, u128)> {
        let instant = Instant::now();
        let origin = instant + Duration::from_secs(8);
        let mut table = Vec::new();
        for work in works {
            let timetable = Timetable::of(work, START, NOW, instant);
            for index in work.first_endpoint..work.first_endpoint + work.endpoints {
                let slots = timetable.slots(index);
                let since = |slot: &Slot| (slot.due - origin).as_micros();
                table.push((since(&slots.begin), since(&slots.call.unwrap())));
            }
        }
        table
    }

    /// Covers: R145.
    #[test]
    fn registrations_have_their_own_rate_and_are_over_before_calls_keep_theirs() {
        for (index, (registers, calls)) in table(&[work(0, 1_000, apart())]).into_iter().enumerate() {
            assert_eq!(registers, index as u128 * 20_000, "1,000 over 20 s");
            assert_eq!(calls, 22_000_000 + index as u128 * 10_000, "1,000 over 10 s");
        }
    }

    /// Covers: R145.
    #[test]
    fn a_split_over_workers_does_not_change_the_shape() {
        let split = [
            work(0, 1, apart()),
            work(1, 332, apart()),
            work(333, 333, apart()),
            work(666, 334, apart()),
        ];
        assert_eq!(table(&split), table(&[work(0, 1_000, apart())]));
    }

    #[test]
    fn where_the_node_does_not_say_when_they_register_they_begin_with_their_slot() {
        let instant = Instant::now();
        let timetable = Timetable::of(&work(0, 1_000, SipOffer::default()), START, NOW, instant);
        let slots = timetable.slots(100);
        assert_eq!(slots.begin.due, instant + Duration::from_secs(31));
        assert!(slots.call.is_none());
    }

    #[test]
    fn a_start_that_is_past_has_slots_that_are_past() {
        let instant = Instant::now();
        let timetable = Timetable::of(&work(0, 1_000, apart()), MonoMs(99_000), NOW, instant);
        let slots = timetable.slots(0);
        assert!(slots.begin.due < slots.call.clone().unwrap().due);
        assert_eq!(slots.call.unwrap().due, instant - Duration::from_secs(1));
    }
}
