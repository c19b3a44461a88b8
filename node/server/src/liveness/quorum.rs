//! Whether a quorum, and whoever leads, acknowledge this node's digests. A node that is cut off in one direction, or from the leader
//! alone, sheds its sessions, whatever Raft says, so that its workers move while there is time.

use std::collections::HashMap;
use std::time::Duration;

use reeve_state::id::NodeId;
use tokio::time::Instant;

/// When each peer last acknowledged a digest, and whom it followed then.
#[derive(Debug)]
pub struct Acknowledged {
    started: Instant,
    acks: HashMap<NodeId, Ack>,
}

#[derive(Clone, Copy, Debug)]
struct Ack {
    /// When what was acknowledged had been sent.
    at: Instant,
    leader: Option<NodeId>,
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

    /// A peer, which sees this node lead, acknowledged a digest that was sent at `sent`.
    pub fn note(&mut self, peer: NodeId, sent: Instant, leader: Option<NodeId>) {
        let ack = Ack { at: sent, leader };
        let known = self.acks.entry(peer).or_insert(ack);
        if known.at <= sent {
            *known = ack;
        }
    }

    /// Whether what this node hears of its workers gets to where it counts: a majority of `voters`, this node included if it is one, acknowledged
    /// within `within`, and so did the node that they say leads. Without a leader nobody judges workers, and moving them helps nobody.
    pub fn are_enough(&self, me: NodeId, voters: &[NodeId], within: Duration, now: Instant) -> bool {
        let recent = |at: Instant| now.saturating_duration_since(at) <= within;
        if recent(self.started) {
            return true;
        }
        let heard = |node: NodeId| node == me || self.acks.get(&node).is_some_and(|ack| recent(ack.at));
        let fresh = voters.iter().filter(|voter| heard(**voter)).count();
        let mut leaders = self
            .acks
            .values()
            .filter(|ack| recent(ack.at))
            .filter_map(|ack| ack.leader);
        fresh > voters.len() / 2 && leaders.all(heard)
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
        assert!(acks.are_enough(NodeId(1), &[NodeId(1)], SHED, start + Duration::from_secs(60)));
    }

    #[test]
    fn one_of_two_peers_is_enough_and_none_is_not() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        assert!(
            acks.are_enough(NodeId(1), &VOTERS, SHED, start + SHED),
            "it has just started"
        );
        let later = start + Duration::from_secs(10);
        assert!(!acks.are_enough(NodeId(1), &VOTERS, SHED, later));
        acks.note(NodeId(3), later, None);
        assert!(acks.are_enough(NodeId(1), &VOTERS, SHED, later + SHED));
        assert!(!acks.are_enough(NodeId(1), &VOTERS, SHED, later + SHED + Duration::from_millis(1)));
    }

    #[test]
    fn a_node_that_was_paused_gets_the_time_of_one_that_has_just_started() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let woke = start + Duration::from_secs(60);
        acks.restart(woke);
        assert!(acks.are_enough(NodeId(1), &VOTERS, SHED, woke + SHED));
        assert!(!acks.are_enough(NodeId(1), &VOTERS, SHED, woke + SHED + Duration::from_millis(1)));
    }

    #[test]
    fn one_that_does_not_vote_needs_a_majority_of_those_that_do() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        acks.note(NodeId(1), later, None);
        assert!(!acks.are_enough(NodeId(4), &VOTERS, SHED, later));
        acks.note(NodeId(2), later, None);
        assert!(acks.are_enough(NodeId(4), &VOTERS, SHED, later));
    }

    #[test]
    fn an_acknowledgement_that_was_overtaken_changes_nothing() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        acks.note(NodeId(2), later, None);
        acks.note(NodeId(2), start, None);
        assert!(acks.are_enough(NodeId(1), &VOTERS, SHED, later));
    }

    #[test]
    fn a_node_that_the_leader_does_not_hear_has_a_majority_for_nothing() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        // Node 2 follows node 1, which does not answer this node: their link is cut.
        acks.note(NodeId(2), later, Some(NodeId(1)));
        assert!(!acks.are_enough(NodeId(3), &VOTERS, SHED, later));
        acks.note(NodeId(1), later, Some(NodeId(1)));
        assert!(acks.are_enough(NodeId(3), &VOTERS, SHED, later));
    }

    #[test]
    fn without_a_leader_or_if_it_leads_itself_a_majority_is_enough() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        for leader in [None, Some(NodeId(3))] {
            let mut acks = Acknowledged::new(start);
            acks.note(NodeId(2), later, leader);
            assert!(acks.are_enough(NodeId(3), &VOTERS, SHED, later), "{leader:?}");
        }
    }

    #[test]
    fn what_a_peer_that_is_silent_said_of_the_leader_does_not_count_any_more() {
        let start = Instant::now();
        let mut acks = Acknowledged::new(start);
        let later = start + Duration::from_secs(10);
        acks.note(NodeId(1), later, Some(NodeId(1)));
        let much_later = later + SHED * 2;
        acks.note(NodeId(2), much_later, Some(NodeId(2)));
        assert!(acks.are_enough(NodeId(3), &VOTERS, SHED, much_later));
    }
}
