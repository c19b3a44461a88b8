//! Where to connect next: every known node in turn, in random order, and never twice the same if there is another.

use rand::Rng;
use rand::seq::SliceRandom;

/// The nodes that this worker may connect to.
#[derive(Debug)]
pub struct NodeList {
    configured: Vec<String>,
    announced: Vec<String>,
    /// The rest of the present round, taken from the end.
    round: Vec<String>,
    last: Option<String>,
}

impl NodeList {
    /// Starts from the configured addresses, which stay in the list whatever nodes announce.
    pub fn new(configured: Vec<String>) -> Self {
        Self {
            configured,
            announced: Vec::new(),
            round: Vec::new(),
            last: None,
        }
    }

    /// Takes over what a Welcome names; what an earlier one named and this one does not is forgotten.
    pub fn announce(&mut self, nodes: Vec<String>) {
        self.announced = nodes;
        self.round.clear();
    }

    /// The next node to try. None only if no address is known at all.
    pub fn next(&mut self, random: &mut impl Rng) -> Option<String> {
        if self.round.is_empty() {
            self.round
                .extend(self.configured.iter().chain(&self.announced).cloned());
            self.round.sort_unstable();
            self.round.dedup();
            self.round.shuffle(random);
            if self.round.len() > 1 && self.round.last() == self.last.as_ref() {
                // Not the one that just failed: it goes to the end of this round.
                self.round.rotate_right(1);
            }
        }
        self.last = self.round.pop();
        self.last.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn list(nodes: &[&str]) -> NodeList {
        NodeList::new(nodes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_retry_goes_to_a_different_node_and_each_round_visits_all() {
        let mut random = StdRng::seed_from_u64(3);
        let mut nodes = list(&["a:1", "b:1"]);
        nodes.announce(vec!["c:1".to_owned(), "a:1".to_owned()]);
        let mut last = String::new();
        for _ in 0..200 {
            let mut round = BTreeSet::new();
            for _ in 0..3 {
                let node = nodes.next(&mut random).unwrap();
                assert_ne!(node, last);
                last.clone_from(&node);
                round.insert(node);
            }
            assert_eq!(round.len(), 3);
        }
    }

    #[test]
    fn the_start_is_random_and_a_single_node_is_tried_again() {
        let mut random = StdRng::seed_from_u64(4);
        let firsts: BTreeSet<_> = (0..100)
            .map(|_| list(&["a:1", "b:1", "c:1"]).next(&mut random).unwrap())
            .collect();
        assert_eq!(firsts.len(), 3);
        let mut one = list(&["a:1"]);
        assert_eq!(
            (one.next(&mut random), one.next(&mut random)),
            (Some("a:1".into()), Some("a:1".into()))
        );
    }

    #[test]
    fn a_node_that_left_the_cluster_is_forgotten() {
        let mut random = StdRng::seed_from_u64(5);
        let mut nodes = list(&["a:1"]);
        nodes.announce(vec!["gone:1".to_owned()]);
        nodes.announce(vec!["b:1".to_owned()]);
        let seen: BTreeSet<_> = (0..10).map(|_| nodes.next(&mut random).unwrap()).collect();
        assert_eq!(seen, BTreeSet::from(["a:1".to_owned(), "b:1".to_owned()]));
    }
}
