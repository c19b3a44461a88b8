//! A hashed timer wheel: one pending deadline per id, insert and cancel in constant time, 16 bytes per id.
//!
//! Deadlines are ticks. A slot holds the ids whose deadline falls on it in any turn of the wheel; those of later turns
//! stay when the hand passes. Lists are linked through the table of ids, so nothing is allocated per timer.

const SLOTS: usize = 4096;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    due: u64,
    next: u32,
    /// The id before this one, or for the first of a slot [`NONE`].
    previous: u32,
}

/// Not in any slot. Ticks never reach this value.
const IDLE: Link = Link {
    due: u64::MAX,
    next: NONE,
    previous: NONE,
};

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    heads: Vec<u32>,
    links: Vec<Link>,
    /// Everything up to and with this tick has fired.
    now: u64,
    pending: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            heads: vec![NONE; SLOTS],
            links: Vec::new(),
            now: 0,
            pending: 0,
        }
    }
}

impl Wheel {
    /// Bytes that one id costs.
    pub const BYTES_PER_ID: usize = size_of::<Link>();

    /// Ids that wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The last tick that has fired.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Moves the hand of a wheel on which nothing waits; otherwise does nothing.
    pub fn advance_idle(&mut self, to: u64) {
        if self.pending == 0 {
            self.now = self.now.max(to);
        }
    }

    /// Sets the deadline of an id and replaces the one it had. What is already past fires with the next tick.
    pub fn insert(&mut self, id: u32, due: u64) {
        self.cancel(id);
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, IDLE);
        }
        let due = due.clamp(self.now + 1, u64::MAX - 1);
        let slot = slot(due);
        let next = self.heads[slot];
        if next != NONE {
            self.links[next as usize].previous = id;
        }
        self.links[id as usize] = Link {
            due,
            next,
            previous: NONE,
        };
        self.heads[slot] = id;
        self.pending += 1;
    }

    /// Forgets the deadline of an id, if it has one.
    pub fn cancel(&mut self, id: u32) {
        let Some(link) = self.links.get(id as usize).copied() else {
            return;
        };
        if link.due == IDLE.due {
            return;
        }
        if link.previous == NONE {
            self.heads[slot(link.due)] = link.next;
        } else {
            self.links[link.previous as usize].next = link.next;
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[id as usize] = IDLE;
        self.pending -= 1;
    }

    /// Moves the hand to a tick and appends what fired, earliest deadline first (then by id).
    pub fn advance(&mut self, to: u64, fired: &mut Vec<u32>) {
        if to <= self.now {
            return;
        }
        let turns = usize::try_from(to - self.now).unwrap_or(SLOTS).min(SLOTS);
        let first_slot = self.now + 1;
        self.now = to;
        if self.pending == 0 {
            return;
        }
        let mut due: Vec<(u64, u32)> = Vec::new();
        for tick in first_slot..first_slot + turns as u64 {
            let mut id = self.heads[slot(tick)];
            while id != NONE {
                let link = self.links[id as usize];
                if link.due <= to {
                    due.push((link.due, id));
                }
                id = link.next;
            }
        }
        due.sort_unstable();
        for (_, id) in due {
            self.cancel(id);
            fired.push(id);
        }
    }
}

fn slot(tick: u64) -> usize {
    // Lossless: the remainder is below SLOTS.
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn fired(wheel: &mut Wheel, to: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.advance(to, &mut out);
        out
    }

    #[test]
    fn each_deadline_fires_once_at_its_tick_and_in_order() {
        let mut wheel = Wheel::default();
        wheel.insert(0, 5);
        wheel.insert(1, 5 + SLOTS as u64);
        wheel.insert(2, 3);
        assert!(fired(&mut wheel, 2).is_empty());
        assert_eq!(fired(&mut wheel, 10), [2, 0]);
        assert!(fired(&mut wheel, 4 + SLOTS as u64).is_empty());
        assert_eq!(fired(&mut wheel, 5 + SLOTS as u64), [1]);
        assert_eq!(wheel.pending(), 0);
    }

    #[test]
    fn a_long_pause_fires_everything_that_became_due() {
        let mut wheel = Wheel::default();
        for id in 0..1000 {
            wheel.insert(id, u64::from(id) * 37 + 1);
        }
        let ids = fired(&mut wheel, 1_000_000);
        assert_eq!(ids, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_past_fires_with_the_next_tick() {
        let mut wheel = Wheel::default();
        assert!(fired(&mut wheel, 100).is_empty());
        wheel.insert(7, 3);
        assert_eq!(fired(&mut wheel, 101), [7]);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u32, u64),
        Cancel(u32),
        Advance(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0u32..40, 0u64..20_000).prop_map(|(id, wait)| Op::Insert(id, wait)),
            (0u32..40).prop_map(Op::Cancel),
            (0u64..9_000).prop_map(Op::Advance),
        ]
    }

    proptest! {
        #[test]
        fn the_wheel_agrees_with_a_sorted_map(ops in prop::collection::vec(op(), 1..120)) {
            let mut wheel = Wheel::default();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Insert(id, wait) => {
                        wheel.insert(id, wheel.now() + wait);
                        model.insert(id, wheel.now() + wait.max(1));
                    }
                    Op::Cancel(id) => {
                        wheel.cancel(id);
                        model.remove(&id);
                    }
                    Op::Advance(by) => {
                        let to = wheel.now() + by;
                        let mut expected: Vec<_> =
                            model.iter().filter(|(_, due)| **due <= to).map(|(id, due)| (*due, *id)).collect();
                        expected.sort_unstable();
                        model.retain(|_, due| *due > to);
                        let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
                        prop_assert_eq!(fired(&mut wheel, to), expected);
                    }
                }
                prop_assert_eq!(wheel.pending(), model.len());
            }
        }
    }
}
