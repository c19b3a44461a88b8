//! When heartbeats go out, and when a node that does not answer them counts as silent (D4).

use std::time::Duration;

use rand::Rng;

use crate::clock::MonoMs;

/// The least time after which a node may count as silent, however short the interval.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long a look into the socket may take after patience ran out: if this process itself was paused, the answer may
/// wait there.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// The heartbeats of one session.
#[derive(Debug)]
pub struct Heartbeats {
    interval: Duration,
    seq: u64,
    next: MonoMs,
    /// When the oldest unanswered one was sent.
    unanswered_since: Option<MonoMs>,
    /// When we found that patience had run out.
    doubted: Option<MonoMs>,
}

impl Heartbeats {
    /// The first is due at once: it gives the first measure of cluster time.
    pub fn new(interval: Duration, now: MonoMs) -> Self {
        Self {
            interval: interval.max(Duration::from_millis(10)),
            seq: 0,
            next: now,
            unanswered_since: None,
            doubted: None,
        }
    }

    /// Whether one is due.
    pub fn is_due(&self, now: MonoMs) -> bool {
        self.next <= now
    }

    /// One goes out now. Gives its number. The next follows early, after 0.6 to 0.9 of the interval.
    pub fn sent(&mut self, now: MonoMs, random: &mut impl Rng) -> u64 {
        self.seq += 1;
        self.next = now.after(self.interval.mul_f64(random.random_range(0.6..0.9)));
        self.unanswered_since.get_or_insert(now);
        self.seq
    }

    /// Number `seq` was answered, and with it those before.
    pub fn answered(&mut self, seq: u64) {
        // An answer to an older one shows life as well; the newest may be under way.
        if seq <= self.seq {
            self.unanswered_since = None;
            self.doubted = None;
        }
    }

    /// Whether the node counts as silent.
    pub fn is_silent(&mut self, now: MonoMs) -> bool {
        match (self.patience_ends(), self.doubted) {
            (Some(_), Some(doubted)) => now >= doubted.after(LAST_LOOK),
            (Some(end), None) if now >= end => {
                self.doubted = Some(now);
                false
            }
            (Some(_), None) | (None, _) => false,
        }
    }

    /// When there is something to do.
    pub fn wake(&self) -> MonoMs {
        let judge = self
            .doubted
            .map(|doubted| doubted.after(LAST_LOOK))
            .or(self.patience_ends());
        judge.map_or(self.next, |judge| judge.min(self.next))
    }

    fn patience_ends(&self) -> Option<MonoMs> {
        self.unanswered_since
            .map(|since| since.after(self.interval.max(LEAST_PATIENCE)))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    // Covers: R56, R57
    #[test]
    fn each_heartbeat_is_early_so_that_a_healthy_worker_never_counts_a_miss() {
        let mut random = StdRng::seed_from_u64(1);
        let mut heartbeats = Heartbeats::new(Duration::from_secs(30), MonoMs(0));
        assert!(heartbeats.is_due(MonoMs(0)), "the first at once");
        for seq in 1..500 {
            let now = heartbeats.next;
            assert_eq!(heartbeats.sent(now, &mut random), seq);
            heartbeats.answered(seq);
            let wait = heartbeats.next.0 - now.0;
            assert!((18_000..=27_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_node_is_silent_a_whole_interval_after_an_unanswered_heartbeat_and_not_under_a_second() {
        let mut random = StdRng::seed_from_u64(1);
        for (interval_ms, patience) in [(30_000, 30_000), (200, 1_000)] {
            let mut heartbeats = Heartbeats::new(Duration::from_millis(interval_ms), MonoMs(0));
            assert!(!heartbeats.is_silent(MonoMs(100_000)), "nothing was asked");
            heartbeats.sent(MonoMs(0), &mut random);
            heartbeats.sent(MonoMs(150), &mut random);
            assert!(!heartbeats.is_silent(MonoMs(patience - 1)));
            assert!(!heartbeats.is_silent(MonoMs(patience)), "a last look");
            assert!(!heartbeats.is_silent(MonoMs(patience + 249)));
            assert!(heartbeats.is_silent(MonoMs(patience + 250)));
        }
    }

    #[test]
    fn a_worker_that_was_itself_paused_reads_what_waits_before_it_judges() {
        let mut random = StdRng::seed_from_u64(1);
        let mut heartbeats = Heartbeats::new(Duration::from_secs(1), MonoMs(0));
        heartbeats.sent(MonoMs(0), &mut random);
        assert!(!heartbeats.is_silent(MonoMs(60_000)), "just woke up");
        heartbeats.answered(1);
        assert!(!heartbeats.is_silent(MonoMs(70_000)));
    }
}
