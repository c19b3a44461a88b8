//! The cluster clock (architecture, “Time”): pure, fed with readings of clocks and peers.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_state::id::NodeId;
use reeve_state::time::Time;
use tokio::time::Instant;

/// Most that the clock runs faster or slower than this machine's own monotonic time.
const MAX_SLEW: f64 = 0.05;
/// A difference is worked off over about this time, within [`MAX_SLEW`].
const CORRECTION_MS: f64 = 10_000.0;
/// A peer's wall clock is not used when it was read longer ago.
const READING_MAX_AGE: Duration = Duration::from_secs(10);

/// A wall clock as it was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall_ms: i64,
    at: Instant,
}

/// The wall clocks of the other nodes, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerWalls(BTreeMap<NodeId, Reading>);

impl PeerWalls {
    /// Notes what a peer's wall clock said at `at`.
    pub(crate) fn note(&mut self, peer: NodeId, wall_ms: i64, at: Instant) {
        self.0.insert(peer, Reading { wall_ms, at });
    }

    /// The lower median of the wall clocks of the voters, this node's own among them; `None` if fewer than a quorum are known.
    pub(crate) fn median(
        &self,
        own_wall_ms: i64,
        voters: &[NodeId],
        me: NodeId,
        now: Instant,
    ) -> Option<i64> {
        let mut walls: Vec<i64> = voters
            .iter()
            .filter(|voter| **voter != me)
            .filter_map(|voter| self.0.get(voter))
            .filter(|reading| now.duration_since(reading.at) <= READING_MAX_AGE)
            .map(|reading| {
                reading
                    .wall_ms
                    .saturating_add(millis(now.duration_since(reading.at)))
            })
            .collect();
        if voters.contains(&me) {
            walls.push(own_wall_ms);
        }
        if walls.len() < voters.len() / 2 + 1 {
            return None;
        }
        walls.sort_unstable();
        walls.get((walls.len() - 1) / 2).copied()
    }
}

/// The clock that a leader stamps entries with.
#[derive(Clone, Debug)]
pub(crate) struct ClusterClock {
    /// The clock's value at `at`, in milliseconds with fractions.
    value_ms: f64,
    at: Instant,
    /// A leader started and has not seen a quorum's wall clocks yet.
    may_jump: bool,
}

impl ClusterClock {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            value_ms: 0.0,
            at: now,
            may_jump: false,
        }
    }

    /// This node begins to lead: go on from the last stamp, and jump forward to the wall clocks once a quorum's are known.
    pub(crate) fn lead(&mut self, last_stamp: Time, now: Instant) {
        *self = Self {
            value_ms: last_stamp.0 as f64,
            at: now,
            may_jump: true,
        };
    }

    /// Cluster time now. `median`: of a quorum's wall clocks, if known. Never goes back.
    pub(crate) fn now(&mut self, median: Option<i64>, now: Instant) -> Time {
        let elapsed_ms = now.saturating_duration_since(self.at).as_secs_f64() * 1_000.0;
        self.at = self.at.max(now);
        let target = median.map(|wall_ms| wall_ms as f64);
        match target {
            Some(target) if self.may_jump => {
                self.may_jump = false;
                self.value_ms = (self.value_ms + elapsed_ms).max(target);
            }
            Some(target) => {
                let ahead_ms = self.value_ms + elapsed_ms - target;
                let slew = (-ahead_ms / CORRECTION_MS).clamp(-MAX_SLEW, MAX_SLEW);
                self.value_ms += elapsed_ms * (1.0 + slew);
            }
            None => self.value_ms += elapsed_ms,
        }
        Time(self.value_ms as u64)
    }
}

/// What a follower knows of the leader's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderTime {
    cluster_ms: Time,
    at: Instant,
}

impl LeaderTime {
    /// The leader's clock said this about half a round trip ago.
    pub(crate) fn new(cluster_ms: Time, rtt: Duration, now: Instant) -> Self {
        Self {
            cluster_ms: Time(cluster_ms.0.saturating_add((rtt.as_millis() / 2) as u64)),
            at: now,
        }
    }

    /// The leader's clock now, about.
    pub(crate) fn now(&self, now: Instant) -> Time {
        Time(
            self.cluster_ms
                .0
                .saturating_add(now.saturating_duration_since(self.at).as_millis() as u64),
        )
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn three() -> Vec<NodeId> {
        vec![NodeId(1), NodeId(2), NodeId(3)]
    }

    #[test]
    fn a_leader_jumps_forward_to_the_median_once() {
        let start = Instant::now();
        let mut clock = ClusterClock::new(start);
        clock.lead(Time(1_000), start);
        assert_eq!(
            clock.now(None, start + SECOND),
            Time(2_000),
            "no quorum: own time"
        );
        assert_eq!(clock.now(Some(50_000), start + SECOND), Time(50_000), "the jump");
        let later = clock.now(Some(500_000), start + 2 * SECOND);
        assert!(later <= Time(51_051), "{later:?}: slewed, no second jump");
    }

    #[test]
    fn it_never_goes_back_and_slews_at_most_five_per_cent() {
        let start = Instant::now();
        let mut clock = ClusterClock::new(start);
        clock.lead(Time(100_000), start);
        assert_eq!(
            clock.now(Some(0), start),
            Time(100_000),
            "ahead of every wall clock: it stays"
        );
        assert_eq!(
            clock.now(Some(0), start + SECOND),
            Time(100_950),
            "slower by five per cent"
        );
        assert_eq!(
            clock.now(Some(0), start),
            Time(100_950),
            "an older reading does not turn it back"
        );
    }

    #[test]
    fn small_differences_are_worked_off_gently() {
        let start = Instant::now();
        let mut clock = ClusterClock::new(start);
        clock.lead(Time(0), start);
        clock.now(Some(10_000), start);
        let now = clock.now(Some(11_100), start + SECOND);
        assert!(now > Time(11_000) && now < Time(11_051), "{now:?}");
    }

    #[test]
    fn one_wrong_clock_moves_nothing() {
        let now = Instant::now();
        let mut walls = PeerWalls::default();
        walls.note(NodeId(2), 5_000, now);
        walls.note(NodeId(3), 999_999_999, now);
        assert_eq!(walls.median(5_010, &three(), NodeId(1), now), Some(5_010));
        walls.note(NodeId(3), -999_999_999, now);
        assert_eq!(walls.median(5_010, &three(), NodeId(1), now), Some(5_000));
    }

    #[test]
    fn less_than_a_quorum_is_no_median() {
        let now = Instant::now();
        let mut walls = PeerWalls::default();
        assert_eq!(walls.median(5, &three(), NodeId(1), now), None);
        walls.note(NodeId(2), 7, now);
        assert_eq!(
            walls.median(5, &three(), NodeId(1), now),
            Some(5),
            "the lower of two"
        );
        assert_eq!(
            walls.median(5, &three(), NodeId(1), now + 2 * READING_MAX_AGE),
            None,
            "too old"
        );
        assert_eq!(walls.median(5, &[NodeId(1)], NodeId(1), now), Some(5), "alone");
    }

    #[test]
    fn a_follower_estimates_the_leaders_clock() {
        let now = Instant::now();
        let estimate = LeaderTime::new(Time(1_000), Duration::from_millis(20), now);
        assert_eq!(estimate.now(now + SECOND), Time(2_010));
    }
}
