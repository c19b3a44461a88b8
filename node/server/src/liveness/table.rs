//! The lease table: when each worker was last heard, by this node or, as digests say, by another.
//!
//! Pure: every instant comes in as an argument. Of each worker only the newest session counts, and of that what was heard last: a
//! ping worker has one session and may be heard by any node (D4).

use std::collections::HashMap;
use std::time::Duration;

use reeve_state::id::{NodeId, SessionEpoch, WorkerId};
use tokio::time::Instant;

/// What a worker said of itself when it was last heard; for display only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Endpoints that it has.
    pub active_endpoints: u32,
    /// How much of its resources is in use.
    pub resources: Option<Resources>,
    /// Its clock less cluster time.
    pub clock_skew_ms: Option<i64>,
}

/// Resources in use, per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processor time.
    pub cpu_percent: u8,
    /// Memory.
    pub memory_percent: u8,
    /// Disk space.
    pub disk_percent: u8,
}

/// What is known of the newest session of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The session.
    pub epoch: SessionEpoch,
    /// The node that heard it last; that of a session worker holds the session.
    pub node: NodeId,
    /// When the worker was last heard, on this node's monotonic clock.
    pub heard: Instant,
    /// What it said.
    pub vitals: Vitals,
}

/// A line of a digest as another node sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestEntry {
    /// The worker.
    pub worker: WorkerId,
    /// Its session.
    pub epoch: SessionEpoch,
    /// How long ago the sender heard it.
    pub age: Duration,
    /// What it said.
    pub vitals: Vitals,
}

/// What is known of another node's digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// When the last one came whose ages it stood by.
    pub last: Option<Instant>,
    /// Since when it says that it does not know the ages: it was paused.
    pub unsure_since: Option<Instant>,
    /// When it last knew them again after such a pause.
    pub sure_since: Option<Instant>,
}

impl Vitals {
    /// These, and those from before where nothing is said now.
    fn or(self, before: Self) -> Self {
        Self {
            active_endpoints: self.active_endpoints,
            resources: self.resources.or(before.resources),
            clock_skew_ms: self.clock_skew_ms.or(before.clock_skew_ms),
        }
    }
}

/// One lease a worker, and what is known of each other node's digests.
#[derive(Debug, Default)]
pub struct LeaseTable {
    leases: HashMap<WorkerId, Lease>,
    digests: HashMap<NodeId, Digests>,
}

impl LeaseTable {
    /// A worker was heard by this node. A session older than the one that is known is ignored. What a worker does not say again is
    /// kept.
    pub fn heard(
        &mut self,
        node: NodeId,
        worker: WorkerId,
        epoch: SessionEpoch,
        vitals: Vitals,
        now: Instant,
    ) {
        let lease = Lease {
            epoch,
            node,
            heard: now,
            vitals,
        };
        self.leases
            .entry(worker)
            .and_modify(|known| {
                if epoch >= known.epoch {
                    *known = Lease {
                        vitals: vitals.or(known.vitals),
                        ..lease
                    };
                }
            })
            .or_insert(lease);
    }

    /// A digest came in. Sessions older than those that are known are ignored; an age never makes a lease older.
    pub fn digest(&mut self, from: NodeId, entries: &[DigestEntry], ages_unknown: bool, now: Instant) {
        for entry in entries {
            self.digest_entry(from, entry, now);
        }
        let digests = self.digests.entry(from).or_default();
        if ages_unknown {
            digests.unsure_since.get_or_insert(now);
        } else {
            if digests.unsure_since.take().is_some() {
                digests.sure_since = Some(now);
            }
            digests.last = Some(now);
        }
    }

    fn digest_entry(&mut self, from: NodeId, entry: &DigestEntry, now: Instant) {
        let heard = now.checked_sub(entry.age).unwrap_or(now);
        let fresh = Lease {
            epoch: entry.epoch,
            node: from,
            heard,
            vitals: entry.vitals,
        };
        let known = self.leases.entry(entry.worker).or_insert(fresh);
        let fresher = entry.epoch == known.epoch && heard > known.heard;
        if entry.epoch > known.epoch || fresher {
            *known = fresh;
        } else if entry.epoch == known.epoch && known.node == from {
            known.vitals = entry.vitals;
        }
    }

    /// A session is over, or a newer one is in force: what is known of it and older ones is forgotten, and returned.
    pub fn over(&mut self, worker: WorkerId, epoch: SessionEpoch) -> Option<Lease> {
        let over = self.leases.get(&worker).is_some_and(|lease| lease.epoch <= epoch);
        if over { self.leases.remove(&worker) } else { None }
    }

    /// Keeps only the leases that `keep` approves: after a reset of the change feed.
    pub fn retain(&mut self, mut keep: impl FnMut(WorkerId, &Lease) -> bool) {
        self.leases.retain(|worker, lease| keep(*worker, lease));
    }

    /// The lease of a worker.
    pub fn lease(&self, worker: WorkerId) -> Option<&Lease> {
        self.leases.get(&worker)
    }

    /// All leases.
    pub fn leases(&self) -> impl Iterator<Item = (WorkerId, &Lease)> {
        self.leases.iter().map(|(worker, lease)| (*worker, lease))
    }

    /// The leases of the sessions that a node holds.
    pub fn held_by(&self, node: NodeId) -> impl Iterator<Item = (WorkerId, &Lease)> {
        self.leases().filter(move |(_, lease)| lease.node == node)
    }

    /// What is known of a node's digests.
    pub fn digests(&self, node: NodeId) -> Digests {
        self.digests.get(&node).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: NodeId = NodeId(1);
    const THERE: NodeId = NodeId(2);
    const W: WorkerId = WorkerId::from_bytes([7; 16]);

    fn entry(epoch: u64, age_ms: u64) -> DigestEntry {
        DigestEntry {
            worker: W,
            epoch: SessionEpoch(epoch),
            age: Duration::from_millis(age_ms),
            vitals: Vitals {
                active_endpoints: 3,
                ..Vitals::default()
            },
        }
    }

    fn age(table: &LeaseTable, now: Instant) -> Option<Duration> {
        table
            .lease(W)
            .map(|lease| now.saturating_duration_since(lease.heard))
    }

    // Covers: R39, R40
    #[test]
    fn a_lease_grows_old_from_when_the_worker_was_last_heard() {
        let start = Instant::now();
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(1), Vitals::default(), start);
        assert_eq!(
            age(&table, start + Duration::from_secs(4)),
            Some(Duration::from_secs(4))
        );
        table.heard(
            HERE,
            W,
            SessionEpoch(1),
            Vitals::default(),
            start + Duration::from_secs(4),
        );
        assert_eq!(
            age(&table, start + Duration::from_secs(5)),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn a_digest_counts_from_its_receipt_and_its_age() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.digest(THERE, &[entry(1, 1_500)], false, start);
        assert_eq!(age(&table, start), Some(Duration::from_millis(1_500)));
        assert_eq!(
            table.digests(THERE),
            Digests {
                last: Some(start),
                ..Digests::default()
            }
        );
        assert_eq!(table.digests(HERE), Digests::default());
    }

    #[test]
    fn a_digest_that_was_overtaken_makes_no_lease_older() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.digest(THERE, &[entry(1, 0)], false, start);
        table.digest(THERE, &[entry(1, 9_000)], false, start);
        assert_eq!(age(&table, start), Some(Duration::ZERO));
    }

    #[test]
    fn digests_of_old_sessions_are_ignored() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(2), Vitals::default(), start);
        table.digest(THERE, &[entry(1, 0)], false, start + Duration::from_secs(9));
        assert_eq!(
            table.lease(W).map(|lease| (lease.epoch, lease.node)),
            Some((SessionEpoch(2), HERE))
        );
        assert_eq!(
            age(&table, start + Duration::from_secs(9)),
            Some(Duration::from_secs(9))
        );
        table.heard(
            HERE,
            W,
            SessionEpoch(1),
            Vitals::default(),
            start + Duration::from_secs(10),
        );
        assert_eq!(
            age(&table, start + Duration::from_secs(10)),
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn a_newer_session_elsewhere_replaces_the_lease() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(1), Vitals::default(), start);
        table.digest(THERE, &[entry(2, 500)], false, start);
        assert_eq!(table.lease(W).map(|lease| lease.node), Some(THERE));
        assert_eq!(table.held_by(HERE).count(), 0);
    }

    /// The digest of a node that has this table.
    fn digest_of(table: &LeaseTable, node: NodeId, now: Instant) -> Vec<DigestEntry> {
        let entry = |(worker, lease): (WorkerId, &Lease)| DigestEntry {
            worker,
            epoch: lease.epoch,
            age: now.saturating_duration_since(lease.heard),
            vitals: lease.vitals,
        };
        table.held_by(node).map(entry).collect()
    }

    // Covers: R346, R347, R373
    #[test]
    fn a_ping_worker_that_is_heard_by_nodes_in_turn_is_as_old_as_its_last_ping_on_each_of_them() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let nodes = [NodeId(1), NodeId(2), NodeId(3)];
        let mut tables = [(); 3].map(|()| LeaseTable::default());
        for (turn, at) in (0..9).zip((0..).map(|n| start + Duration::from_secs(20) * n)) {
            let hears = turn % 3;
            tables[hears].heard(nodes[hears], W, SessionEpoch(1), Vitals::default(), at);
            for sender in 0..3 {
                let digest = digest_of(&tables[sender], nodes[sender], at);
                for receiver in (0..3).filter(|receiver| *receiver != sender) {
                    tables[receiver].digest(nodes[sender], &digest, false, at);
                }
            }
            for table in &tables {
                assert_eq!(age(table, at), Some(Duration::ZERO), "ping {turn}");
                assert_eq!(table.lease(W).map(|lease| lease.node), Some(nodes[hears]));
            }
        }
    }

    // Covers: R346
    #[test]
    fn the_digest_of_a_node_that_heard_a_ping_worker_longer_ago_changes_nothing() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(1), Vitals::default(), start);
        table.digest(THERE, &[entry(1, 5_000)], false, start);
        let lease = table.lease(W).copied();
        assert_eq!(
            lease.map(|lease| (lease.node, lease.heard, lease.vitals)),
            Some((HERE, start, Vitals::default()))
        );
        table.digest(THERE, &[entry(1, 1_000)], false, start + Duration::from_secs(9));
        let lease = table.lease(W).copied();
        assert_eq!(
            lease.map(|lease| (lease.node, lease.vitals.active_endpoints)),
            Some((THERE, 3))
        );
    }

    // Covers: R58, R59, R60
    #[test]
    fn what_a_worker_does_not_say_again_is_kept_as_it_was() {
        let start = Instant::now();
        let said = Vitals {
            active_endpoints: 5,
            resources: Some(Resources {
                cpu_percent: 7,
                memory_percent: 8,
                disk_percent: 9,
            }),
            clock_skew_ms: Some(-40),
        };
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(1), said, start);
        table.heard(HERE, W, SessionEpoch(1), Vitals::default(), start);
        let expected = Vitals {
            active_endpoints: 0,
            ..said
        };
        assert_eq!(table.lease(W).map(|lease| lease.vitals), Some(expected));
    }

    #[test]
    fn the_ages_of_a_node_that_was_paused_are_not_to_be_trusted_until_it_says_so() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut table = LeaseTable::default();
        table.digest(THERE, &[entry(1, 0)], false, start);
        let later = start + Duration::from_secs(30);
        table.digest(THERE, &[entry(1, 30_000)], true, later);
        table.digest(THERE, &[entry(1, 31_000)], true, later + Duration::from_secs(1));
        assert_eq!(
            table.digests(THERE),
            Digests {
                last: Some(start),
                unsure_since: Some(later),
                sure_since: None
            }
        );
        let known = later + Duration::from_secs(2);
        table.digest(THERE, &[entry(1, 100)], false, known);
        assert_eq!(
            table.digests(THERE),
            Digests {
                last: Some(known),
                unsure_since: None,
                sure_since: Some(known)
            }
        );
    }

    #[test]
    fn a_session_that_is_over_is_forgotten_and_a_newer_one_is_not() {
        let now = Instant::now();
        let mut table = LeaseTable::default();
        table.heard(HERE, W, SessionEpoch(3), Vitals::default(), now);
        assert_eq!(table.over(W, SessionEpoch(2)), None);
        assert!(table.lease(W).is_some());
        assert!(table.over(W, SessionEpoch(3)).is_some());
        assert!(table.lease(W).is_none());
    }
}
