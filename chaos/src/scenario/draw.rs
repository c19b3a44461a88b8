//! A plan while it is drawn.

use rand::Rng;
use rand::rngs::StdRng;

use super::deed::{Deed, Step, Who};
use super::plan::{Load, Shape};

/// A plan that is being drawn.
pub(super) struct Draw {
    pub(super) rng: StdRng,
    pub(super) shape: Shape,
    pub(super) load: Load,
    pub(super) span_ms: u64,
    pub(super) steps: Vec<Step>,
    /// Up to here it is drawn.
    pub(super) now_ms: u64,
}

impl Draw {
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.random_range(least..most)
    }

    pub(super) fn one_in(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    pub(super) fn follower(&mut self) -> Who {
        Who::Follower {
            offset: self.rng.random_range(1..self.shape.nodes),
        }
    }

    pub(super) fn leader_or_follower(&mut self) -> Who {
        if self.one_in(2) {
            Who::Leader
        } else {
            self.follower()
        }
    }

    pub(super) fn worker(&mut self) -> usize {
        self.rng.random_range(0..self.shape.workers)
    }

    /// At the time that the plan has come to; the next comes after its end.
    pub(super) fn then(&mut self, deed: Deed, for_ms: u64) {
        self.beside(deed, for_ms);
        self.now_ms += for_ms;
    }

    /// Beside what comes next.
    pub(super) fn beside(&mut self, deed: Deed, for_ms: u64) {
        self.steps.push(Step {
            at_ms: self.now_ms,
            for_ms,
            deed,
        });
    }

    pub(super) fn peace(&mut self, least: u64, most: u64) {
        self.now_ms += self.rng.random_range(least..most);
    }

    /// Goes on until the time is used up, at least once.
    pub(super) fn repeat(&mut self, mut round: impl FnMut(&mut Self, u32)) {
        let mut number = 0;
        while number == 0 || self.now_ms < self.span_ms {
            round(self, number);
            number += 1;
        }
    }
}
