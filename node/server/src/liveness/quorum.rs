//! Whether a quorum acknowledges this node's digests. A node that is cut off in one direction sheds its sessions, whatever Raft
//! says, so that its workers move while there is time. So does one that the leader does not hear while others hear the leader: its
//! workers are well, and would be given up.

use std::collections::HashMap;
use std::time::Duration;

use reeve_state::id::NodeId;
use tokio::time::Instant;

/// When each peer last acknowledged a digest.
#[derive(Debug)]
pub struct Acknowledged {
    started: Instant,
    acks: HashMap<NodeId, Instant>,
    /// The newest word of a leader that lives, this node's own or a peer's.
    leader: Option<(NodeId, Instant)>,
}

impl Acknowledged {
    /// A node that has just started counts as acknowledged, until it could have been.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            acks: HashMap::new(),
            leader: None,
        }
    }

    /// This node was paused: nobody could acknowledge anything, which says nothing about the network.
    pub fn restart(&mut self, now: Instant) {
        self.started = now;
    }

    /// A peer acknowledged a digest that was sent at `sent`.
    pub fn note(&mut self, peer: NodeId, sent: Instant) {
        self.acks
            .entry(peer)
            .and_modify(|at| *at = (*at).max(sent))
            .or_insert(sent);
    }

    /// A node hears a leader.
    pub fn note_leader(&mut self, leader: NodeId, at: Instant) {
        if self.leader.is_none_or(|(_, last)| last <= at) {
            self.leader = Some((leader, at));
        }
    }

    /// Whether a leader that lives has not acknowledged anything for `within`. Says nothing of one that died.
    pub fn is_cut_off_from_leader(&self, me: NodeId, within: Duration, now: Instant) -> bool {
        let Some((leader, seen)) = self.leader else {
            return false;
        };
        let acked = self.acks.get(&leader).copied().unwrap_or(self.started);
        let lives = now.saturating_duration_since(seen) <= within;
        leader != me && lives && seen.saturating_duration_since(acked.max(self.started)) > within
    }

    /// Whether a majority of `voters`, this node included if it is one, acknowledged within `within`.
    pub fn by_quorum(&self, me: NodeId, voters: &[NodeId], within: Duration, now: Instant) -> bool {
        let recent = |at: Instant| now.saturating_duration_since(at) <= within;
        if recent(self.started) {
            return true;
        }
        let fresh = voters
            .iter()
            .filter(|voter| **voter == me || self.acks.get(voter).is_some_and(|at| recent(*at)))
            .count();
        fresh > voters.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
    const SHED: Duration = Duration::from_secs(3);

    #[test]
    fn a_node_alone_is_its_own_quorum() {
        let start = Instant::now();
        let acks = Acknowledged::new(start);
        assert!(acks.by_quorum(NodeId(1), &[NodeId(1)], SHED, start + Duration::from_secs(60)));
    }

    #[test]
    fn one_of_two_peers_is_enough_and_none_is_not() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        assert!(
            acks.by_quorum(NodeId(1), &VOTERS, SHED, start + SHED),
            "it has just started"
        );
        let later = start + Duration::from_secs(10);
        assert!(!acks.by_quorum(NodeId(1), &VOTERS, SHED, later));
        acks.note(NodeId(3), later);
        assert!(acks.by_quorum(NodeId(1), &VOTERS, SHED, later + SHED));
        assert!(!acks.by_quorum(NodeId(1), &VOTERS, SHED, later + SHED + Duration::from_millis(1)));
    }

    #[test]
    fn a_node_that_was_paused_gets_the_time_of_one_that_has_just_started() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let woke = start + Duration::from_secs(60);
        acks.restart(woke);
        assert!(acks.by_quorum(NodeId(1), &VOTERS, SHED, woke + SHED));
        assert!(!acks.by_quorum(NodeId(1), &VOTERS, SHED, woke + SHED + Duration::from_millis(1)));
    }

    #[test]
    fn one_that_does_not_vote_needs_a_majority_of_those_that_do() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        acks.note(NodeId(1), later);
        assert!(!acks.by_quorum(NodeId(4), &VOTERS, SHED, later));
        acks.note(NodeId(2), later);
        assert!(acks.by_quorum(NodeId(4), &VOTERS, SHED, later));
    }

    // Covers: R39
    #[test]
    fn a_node_that_the_leader_does_not_hear_is_cut_off_although_a_quorum_answers() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut acks = Acknowledged::new(start);
        for at in (1..=10).map(|n| start + second * n) {
            acks.note(NodeId(2), at);
            acks.note_leader(NodeId(3), at);
            let cut_off = at > start + SHED;
            assert_eq!(
                acks.is_cut_off_from_leader(NodeId(1), SHED, at),
                cut_off,
                "{at:?}"
            );
            assert!(acks.by_quorum(NodeId(1), &VOTERS, SHED, at));
        }
        let now = start + second * 10;
        assert!(
            !acks.is_cut_off_from_leader(NodeId(3), SHED, now),
            "it is the leader"
        );
        acks.note(NodeId(3), now);
        assert!(
            !acks.is_cut_off_from_leader(NodeId(1), SHED, now),
            "it is heard again"
        );
    }

    #[test]
    fn a_leader_that_died_cuts_nobody_off() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        acks.note(NodeId(3), start);
        acks.note_leader(NodeId(3), start + SHED / 2);
        for ms in (0..10_000).step_by(100) {
            let at = start + Duration::from_millis(ms);
            assert!(!acks.is_cut_off_from_leader(NodeId(1), SHED, at), "{ms} ms");
        }
    }

    #[test]
    fn an_acknowledgement_that_was_overtaken_changes_nothing() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        acks.note(NodeId(2), later);
        acks.note(NodeId(2), start);
        assert!(acks.by_quorum(NodeId(1), &VOTERS, SHED, later));
    }
}
