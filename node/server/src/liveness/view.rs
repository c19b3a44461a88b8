//! What this node knows, as the planner of liveness takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_plan::liveness::{Lease as PlannedLease, LeaseView};
use reeve_state::id::NodeId;
use reeve_state::mutant::{self, Mutant};
use tokio::time::Instant;

use super::Liveness;
use super::pulse::Pulse;
use super::table::{Digests, LeaseTable};

/// A node is lost when its digests stopped for so many halves of the interval.
pub(crate) const LOST_AFTER_HALVES: u32 = 5;

/// Everything a view is made of, at one instant.
struct Look<'a> {
    me: NodeId,
    table: &'a LeaseTable,
    pulse: &'a Pulse,
    /// Zero of the planner's milliseconds.
    origin: Instant,
    /// The other members.
    peers: &'a [NodeId],
    leader_since: Instant,
    exchange_interval: Duration,
    now: Instant,
}

impl Liveness {
    /// The instant in the planner's milliseconds.
    pub(crate) fn plan_ms(&self, at: Instant) -> i64 {
        signed_ms(self.0.origin, at)
    }

    /// What a leader knows at `now`. O(workers).
    pub(crate) fn view(&self, peers: &[NodeId], leader_since: Instant, now: Instant) -> LeaseView {
        let pulse = *self.0.pulse.lock();
        Look {
            me: self.0.me,
            table: &self.0.table.lock(),
            pulse: &pulse,
            origin: self.0.origin,
            peers,
            leader_since,
            exchange_interval: self.0.exchange_interval,
            now,
        }
        .view()
    }
}

impl Look<'_> {
    fn view(&self) -> LeaseView {
        LeaseView {
            trusted: self.trusted() || mutant::is(Mutant::OfflineLocalClock),
            since_ms: signed_ms(self.origin, self.collecting_since()),
            leases: self
                .table
                .leases()
                .map(|(worker, lease)| {
                    let heard_ms = signed_ms(self.origin, lease.heard);
                    (
                        worker,
                        PlannedLease {
                            epoch: lease.epoch,
                            heard_ms,
                        },
                    )
                })
                .collect(),
            lost_nodes: self.lost_nodes(),
        }
    }

    /// A leader that is new, or was paused, begins anew.
    fn collecting_since(&self) -> Instant {
        self.leader_since.max(self.pulse.steady_since())
    }

    /// Fresh digests are there from all members, as far as they can be reached: who is silent for three intervals cannot.
    fn trusted(&self) -> bool {
        let since = self.collecting_since();
        if self.pulse.ages_unknown(self.now) || self.now < since {
            return false;
        }
        let waited = self.now.saturating_duration_since(since) >= self.exchange_interval * 3;
        waited
            || self
                .peers
                .iter()
                .all(|peer| self.table.digests(*peer).last.is_some_and(|last| last >= since))
    }

    /// Nodes whose digests stopped, and nodes, this one too, that were paused and do not know the ages of their sessions (D4c). A
    /// pause ends where the ages are known again: only then can workers that found the node silent get through to it, or to
    /// another that was paused with it.
    fn lost_nodes(&self) -> BTreeMap<NodeId, i64> {
        let peers = self
            .peers
            .iter()
            .filter_map(|peer| Some((*peer, self.lost_since(self.table.digests(*peer))?)));
        let own = self.pulse.woke().map(|woke| (self.me, woke));
        peers
            .chain(own)
            .map(|(node, since)| (node, signed_ms(self.origin, since)))
            .collect()
    }

    fn lost_since(&self, digests: Digests) -> Option<Instant> {
        if let Some(unsure) = digests.unsure_since {
            return Some(unsure);
        }
        let last = digests.last.unwrap_or(self.leader_since);
        let silent = self.now.saturating_duration_since(last);
        if silent > self.exchange_interval * LOST_AFTER_HALVES / 2 {
            return Some(last);
        }
        digests.sure_since
    }
}

fn signed_ms(origin: Instant, at: Instant) -> i64 {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match at.checked_duration_since(origin) {
        Some(after) => ms(after),
        None => -ms(origin.saturating_duration_since(at)),
    }
}

#[cfg(test)]
mod tests {
    use reeve_state::id::{SessionEpoch, WorkerId};

    use super::super::Vitals;

    use super::super::table::DigestEntry;
    use super::*;

    const PEERS: [NodeId; 2] = [NodeId(2), NodeId(3)];
    const SECOND: Duration = Duration::from_secs(1);

    fn look<'a>(table: &'a LeaseTable, pulse: &'a Pulse, origin: Instant, now: Instant) -> Look<'a> {
        let leader_since = origin + SECOND * 60;
        Look {
            me: NodeId(1),
            table,
            pulse,
            origin,
            peers: &PEERS,
            leader_since,
            exchange_interval: SECOND,
            now,
        }
    }

    fn steady(until: Instant, origin: Instant) -> Pulse {
        let mut pulse = Pulse::new(origin);
        let mut at = origin;
        while at < until {
            at += super::super::TICK;
            pulse.tick(at);
        }
        pulse
    }

    #[test]
    fn a_new_leader_is_trusted_once_every_peer_told_it_or_had_its_time() {
        let origin = Instant::now();
        let elected = origin + SECOND * 60;
        let pulse = steady(elected + SECOND * 4, origin);
        let mut table = LeaseTable::default();
        table.digest(NodeId(2), &[], false, elected - SECOND);
        table.digest(NodeId(3), &[], false, elected - SECOND);
        let soon = elected + SECOND / 2;
        assert!(
            !look(&table, &pulse, origin, soon).trusted(),
            "both are from before"
        );
        table.digest(NodeId(2), &[], false, soon);
        assert!(!look(&table, &pulse, origin, soon).trusted(), "one is missing");
        assert!(
            look(&table, &pulse, origin, elected + SECOND * 3).trusted(),
            "it cannot be reached"
        );
        table.digest(NodeId(3), &[], false, soon);
        assert!(look(&table, &pulse, origin, soon).trusted());
    }

    #[test]
    fn a_leader_that_was_paused_collects_again() {
        let origin = Instant::now();
        let woke = origin + SECOND * 90;
        let mut pulse = steady(origin + SECOND * 70, origin);
        let mut table = LeaseTable::default();
        for peer in PEERS {
            table.digest(peer, &[], false, woke - SECOND * 20);
        }
        pulse.tick(woke);
        assert!(!look(&table, &pulse, origin, woke).trusted());
        for tick in 1..=4 {
            pulse.tick(woke + super::super::TICK * tick);
        }
        let read = woke + SECOND;
        assert!(
            !look(&table, &pulse, origin, read).trusted(),
            "the digests are from before the pause"
        );
        for peer in PEERS {
            table.digest(peer, &[], false, read);
        }
        assert!(look(&table, &pulse, origin, read).trusted());
    }

    #[test]
    fn a_node_is_lost_when_its_digests_stop_or_it_does_not_know() {
        let origin = Instant::now();
        let now = origin + SECOND * 80;
        let pulse = steady(now, origin);
        let mut table = LeaseTable::default();
        table.digest(NodeId(2), &[], false, now - SECOND * 2);
        table.digest(NodeId(3), &[], false, now - SECOND * 3);
        assert_eq!(
            look(&table, &pulse, origin, now).lost_nodes(),
            BTreeMap::from([(NodeId(3), 77_000)])
        );
        table.digest(NodeId(2), &[], true, now);
        table.digest(NodeId(3), &[], false, now);
        assert_eq!(
            look(&table, &pulse, origin, now).lost_nodes(),
            BTreeMap::from([(NodeId(2), 80_000)])
        );
        table.digest(NodeId(2), &[], false, now + SECOND);
        assert_eq!(
            look(&table, &pulse, origin, now + SECOND).lost_nodes(),
            BTreeMap::from([(NodeId(2), 81_000)]),
            "its workers get the grace from when it knows again"
        );
    }

    #[test]
    fn the_workers_of_this_very_node_get_their_grace_when_it_was_paused() {
        let origin = Instant::now();
        let woke = origin + SECOND * 90;
        let mut pulse = steady(origin + SECOND * 70, origin);
        let table = LeaseTable::default();
        assert_eq!(look_alone(&table, &pulse, origin), BTreeMap::new());
        pulse.tick(woke);
        assert_eq!(
            look_alone(&table, &pulse, origin),
            BTreeMap::from([(NodeId(1), 91_000)])
        );
    }

    fn look_alone(table: &LeaseTable, pulse: &Pulse, origin: Instant) -> BTreeMap<NodeId, i64> {
        let now = origin + SECOND * 92;
        let mut look = look(table, pulse, origin, now);
        look.peers = &[];
        look.lost_nodes()
    }

    #[test]
    fn leases_keep_the_instant_at_which_the_worker_was_heard() {
        let origin = Instant::now();
        let now = origin + SECOND * 61;
        let pulse = steady(now, origin);
        let worker = WorkerId::from_bytes([4; 16]);
        let entry = DigestEntry {
            worker,
            epoch: SessionEpoch(2),
            age: SECOND * 5,
            vitals: Vitals::default(),
        };
        let mut table = LeaseTable::default();
        table.digest(NodeId(2), &[entry], false, now);
        let view = look(&table, &pulse, origin, now).view();
        assert_eq!(
            view.leases[&worker],
            PlannedLease {
                epoch: SessionEpoch(2),
                heard_ms: 56_000
            }
        );
        assert_eq!(view.since_ms, 60_000);
        assert_eq!(signed_ms(now, now - SECOND), -1_000);
    }
}
