//! Slots that nobody fired in time: there was no leader, or the cluster had no majority.

use std::collections::VecDeque;

use reeve_state::record::Probe;
use reeve_state::time::{Millis, Time};

use super::ProbeConfig;

/// So many slots that were missed have a row each, the newest ones; those before them have one together.
const ROWS: usize = 20;
/// Most slots that are counted in one pass: a probe of every minute whose cluster was off for a year has half a million.
const COUNTED: u32 = 10_000;

/// Slots in a row that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// The last of them.
    pub(super) slot: Time,
    /// How many.
    pub(super) count: u32,
}

/// The slots of a probe that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Late {
    /// Those that were missed, oldest first.
    pub(super) skips: Vec<Missed>,
    /// The one that may still fire.
    pub(super) current: Option<Time>,
}

/// Sorts the slots that are due. Of several the last may still fire: two runs at once would be none the wiser.
pub(super) fn missed(probe: &Probe, now: Time, config: &ProbeConfig) -> Late {
    let schedule = &probe.definition.schedule;
    let due = |slot: Time| schedule.due(slot, probe.id);
    let mut newest: VecDeque<Time> = VecDeque::new();
    let (mut before, mut counted) = (None, 0);
    let mut next = probe.next_slot();
    while let Some(slot) = next.filter(|slot| due(*slot) <= now) {
        if counted == COUNTED {
            // The rest in the next pass.
            return Late {
                skips: newest
                    .back()
                    .map(|slot| Missed {
                        slot: *slot,
                        count: counted,
                    })
                    .into_iter()
                    .collect(),
                current: None,
            };
        }
        counted += 1;
        newest.push_back(slot);
        // One more than have a row: the last may be the one that fires.
        if newest.len() > ROWS + 1 {
            before = newest.pop_front();
        }
        next = schedule.next_after(slot, probe.id);
    }
    let last = newest.back().copied();
    let current = last.filter(|slot| now.since(due(*slot)) <= grace(probe, *slot, config));
    if current.is_some() {
        newest.pop_back();
    } else if newest.len() > ROWS {
        before = newest.pop_front();
    }
    let alone = u32::try_from(newest.len()).unwrap_or(u32::MAX) + u32::from(current.is_some());
    let together = before.map(|slot| Missed {
        slot,
        count: counted.saturating_sub(alone),
    });
    let each = newest.into_iter().map(|slot| Missed { slot, count: 1 });
    Late {
        skips: together.into_iter().chain(each).collect(),
        current,
    }
}

/// How late a slot may fire: half of the time until the next, within bounds.
fn grace(probe: &Probe, slot: Time, config: &ProbeConfig) -> Millis {
    let next = probe.definition.schedule.next_after(slot, probe.id);
    let half = next.map_or(config.grace_most, |next| Millis(next.since(slot).0 / 2));
    half.min(config.grace_most).max(config.grace_least)
}
