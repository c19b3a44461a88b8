//! Whether a quorum acknowledges this node's digests. A node that is cut off in one direction sheds its sessions, whatever Raft
//! says, so that its workers move while there is time.

use std::collections::HashMap;
use std::time::Duration;

use reeve_state::id::NodeId;
use tokio::time::Instant;

/// When each peer last acknowledged a digest.
#[derive(Debug)]
pub struct Acknowledged {
    started: Instant,
    acks: HashMap<NodeId, Instant>,
}

impl Acknowledged {
    /// A node that has just started counts as acknowledged, until it could have been.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            acks: HashMap::new(),
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
