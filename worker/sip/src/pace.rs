//! Slots in time: each endpoint has its own, and those that are late do not come all at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep_until;

/// Endpoints that are late catch up at no more than this many times the planned rate.
const BURST: u32 = 2;

/// What the slots of one ramp share: nothing waits as long as all are in time.
#[derive(Debug)]
pub struct Pace {
    least_gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Of slots that follow each other after `gap`.
    #[must_use]
    pub fn new(gap: Duration) -> Arc<Self> {
        Arc::new(Self {
            least_gap: gap / BURST,
            next: Mutex::new(None),
        })
    }

    /// When the next one may go that could go now: at once, but for those that are late in a crowd.
    fn grant(&self, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let granted = next.map_or(now, |next| next.max(now));
        *next = granted.checked_add(self.least_gap);
        granted
    }
}

/// When an endpoint is to do something.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The planned instant; it may be past.
    pub due: Instant,
    /// Whom it goes with.
    pub pace: Arc<Pace>,
}

impl Slot {
    /// Alone.
    #[must_use]
    pub fn alone(due: Instant) -> Self {
        Self {
            due,
            pace: Pace::new(Duration::ZERO),
        }
    }

    /// Waits for it.
    pub async fn come(&self) {
        sleep_until(self.due.into()).await;
        let now = Instant::now();
        let granted = self.pace.grant(now);
        if granted > now {
            sleep_until(granted.into()).await;
        }
    }
}

/// The slots of one endpoint.
#[derive(Clone, Debug)]
pub struct Slots {
    /// It begins: it registers, if it does that.
    pub begin: Slot,
    /// It calls. `None`: it is called, or calls so long after it began as its plan says.
    pub call: Option<Slot>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(10);

    /// When endpoints go that are due in steps of [`GAP`] and wake up at `wakes(due)`, in microseconds since the first slot.
    fn goes(count: u32, wakes: impl Fn(Duration) -> Duration) -> Vec<u128> {
        let pace = Pace::new(GAP);
        let begin = Instant::now();
        let granted = (0..count).map(|index| pace.grant(begin + wakes(GAP * index)));
        granted.map(|at| (at - begin).as_micros()).collect()
    }

    /// Covers: R145.
    #[test]
    fn slots_that_are_in_time_are_kept_exactly() {
        let at: Vec<u128> = goes(1_000, |due| due);
        assert!(
            at.iter()
                .enumerate()
                .all(|(index, at)| *at == index as u128 * 10_000)
        );
        // As timers are: up to a millisecond late, each otherwise.
        let jittery = |due: Duration| due + Duration::from_micros(due.as_micros() as u64 / 10 % 7 * 150);
        let at = goes(1_000, jittery);
        let planned = (0..).map(|index| jittery(GAP * index).as_micros());
        assert!(at.into_iter().zip(planned).all(|(at, planned)| at == planned));
    }

    /// Covers: R145.
    #[test]
    fn whoever_is_late_catches_up_at_twice_the_rate_and_then_keeps_its_slot() {
        let late = Duration::from_secs(1);
        let at = goes(500, |due| due.max(late));
        assert_eq!(at[0], 1_000_000, "the first goes at once");
        let gaps: Vec<u128> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (5_000..=10_000).contains(gap)), "{gaps:?}");
        let caught_up = at
            .iter()
            .enumerate()
            .position(|(index, at)| *at == index as u128 * 10_000);
        assert_eq!(
            caught_up,
            Some(200),
            "100 that are late, and 100 more while they catch up"
        );
        assert_eq!(at[499], 4_990_000);
    }

    #[test]
    fn without_a_buildup_all_go_at_once() {
        let pace = Pace::new(Duration::ZERO);
        let now = Instant::now();
        assert!((0..100).all(|_| pace.grant(now) == now));
    }

    #[tokio::test]
    async fn a_slot_comes_when_it_is_due_and_a_past_one_at_once() {
        let begin = Instant::now();
        Slot::alone(begin + Duration::from_millis(30)).come().await;
        assert!(begin.elapsed() >= Duration::from_millis(30));
        let past = begin.checked_sub(Duration::from_secs(1)).unwrap();
        tokio::time::timeout(Duration::from_secs(10), Slot::alone(past).come())
            .await
            .unwrap();
    }
}
