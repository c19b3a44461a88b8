//! Which links a deed cuts, from who is in the cluster. Pure.

use crate::net::Link;

/// Nodes from all other nodes, both ways.
pub fn isolate(these: &[u8], all: &[u8]) -> Vec<Link> {
    Link::between(these, &others(these, all))
}

/// What goes to these nodes from the other nodes.
pub fn deaf(these: &[u8], all: &[u8]) -> Vec<Link> {
    let others = others(these, all);
    let pairs = others
        .iter()
        .flat_map(|from| these.iter().map(|to| Link::new(*from, *to)));
    pairs.collect()
}

/// What comes from these nodes to the other nodes.
pub fn mute(these: &[u8], all: &[u8]) -> Vec<Link> {
    let backwards = deaf(these, all);
    backwards
        .into_iter()
        .map(|link| Link::new(link.to, link.from))
        .collect()
}

/// The other nodes are two halves that see each other only through these.
pub fn bridge(these: &[u8], all: &[u8]) -> Vec<Link> {
    let others = others(these, all);
    let (left, right) = others.split_at(others.len() / 2);
    Link::between(left, right)
}

/// Every node reaches only the two beside it. Fewer than four nodes are a ring anyway.
pub fn ring(all: &[u8]) -> Vec<Link> {
    let count = all.len();
    let mut links = Vec::new();
    for (at, one) in all.iter().enumerate() {
        for (beside, other) in all.iter().enumerate() {
            let apart = at.abs_diff(beside);
            if apart > 1 && apart < count - 1 {
                links.push(Link::new(*one, *other));
            }
        }
    }
    links
}

/// Every two nodes, both ways.
pub fn every(all: &[u8]) -> Vec<Link> {
    let pairs = all
        .iter()
        .flat_map(|from| all.iter().map(|to| Link::new(*from, *to)));
    pairs.filter(|link| link.from != link.to).collect()
}

fn others(these: &[u8], all: &[u8]) -> Vec<u8> {
    all.iter().copied().filter(|one| !these.contains(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(pairs: &[(u8, u8)]) -> Vec<Link> {
        pairs.iter().map(|(from, to)| Link::new(*from, *to)).collect()
    }

    #[test]
    fn one_way_cuts_are_the_two_halves_of_isolation() {
        let all = [1, 2, 3];
        assert_eq!(deaf(&[1], &all), links(&[(2, 1), (3, 1)]));
        assert_eq!(mute(&[1], &all), links(&[(1, 2), (1, 3)]));
        let mut both = [deaf(&[1], &all), mute(&[1], &all)].concat();
        both.sort();
        let mut isolated = isolate(&[1], &all);
        isolated.sort();
        assert_eq!(both, isolated);
    }

    #[test]
    fn a_bridge_is_all_that_halves_have_in_common() {
        assert_eq!(bridge(&[3], &[1, 2, 3]), links(&[(1, 2), (2, 1)]));
        assert_eq!(bridge(&[5], &[1, 2, 3, 4, 5]).len(), 8);
    }

    #[test]
    fn in_a_ring_of_five_everyone_has_two_neighbours_left() {
        let all = [1, 2, 3, 4, 5];
        let cut = ring(&all);
        for one in all {
            assert_eq!(cut.iter().filter(|link| link.from == one).count(), 2);
        }
        assert!(ring(&[1, 2, 3]).is_empty());
        assert_eq!(every(&all).len(), 20);
    }
}
