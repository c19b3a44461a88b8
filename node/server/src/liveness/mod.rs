//! Who was heard, and when (D4): leases of the sessions that this node holds, and digests of those that others hold.
//!
//! Heartbeats never enter the log. Every node keeps the whole table, so that a new leader knows at once; only the leader acts on it.

pub mod exchange;
mod pulse;
mod quorum;
mod service;
mod table;
mod view;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use reeve_state::State;
use reeve_state::id::{NodeId, SessionEpoch, WorkerId};
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::Worker;
use reeve_state::transition::worker::LivenessProfile;
use reeve_store::{MemberRole, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::NodeConfig;
use pulse::Pulse;
use quorum::Acknowledged;
use table::LeaseTable;

pub use pulse::TICK;
pub use service::{ExchangeService, exchange_service};
pub use table::{DigestEntry, Lease, Resources, Vitals};
pub(crate) use view::LOST_AFTER_HALVES;

/// When a worker was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How long ago.
    pub age: Duration,
    /// On which session.
    pub epoch: SessionEpoch,
    /// Heartbeats, or pings, that are overdue.
    pub missed: u32,
    /// What the worker said of itself.
    pub vitals: Vitals,
}

/// The node's knowledge of who is alive. A clone is another handle.
#[derive(Clone)]
pub struct Liveness(Arc<Shared>);

struct Shared {
    me: NodeId,
    cluster_id: String,
    heartbeat_interval: Duration,
    ping_interval: Duration,
    shed_after: Duration,
    exchange_interval: Duration,
    /// Zero of the planner's monotonic milliseconds.
    origin: Instant,
    table: Mutex<LeaseTable>,
    pulse: Mutex<Pulse>,
    acknowledged: Mutex<Acknowledged>,
    shedding: watch::Sender<bool>,
    removed: watch::Sender<bool>,
    sessions: watch::Sender<usize>,
    /// Bound when the store is open: its listener is what the exchange is served on, so the service exists before it.
    store: OnceLock<Store>,
}

impl Liveness {
    /// Empty: nobody was heard yet.
    pub fn new(config: &NodeConfig) -> Self {
        let now = Instant::now();
        Self(Arc::new(Shared {
            me: config.id,
            cluster_id: config.cluster_id.clone(),
            heartbeat_interval: config.heartbeat_interval,
            ping_interval: config.ping.interval,
            shed_after: config.shed_after,
            exchange_interval: config.exchange_interval,
            origin: now,
            table: Mutex::new(LeaseTable::default()),
            pulse: Mutex::new(Pulse::new(now)),
            acknowledged: Mutex::new(Acknowledged::new(now)),
            shedding: watch::Sender::new(false),
            removed: watch::Sender::new(false),
            sessions: watch::Sender::new(0),
            store: OnceLock::new(),
        }))
    }

    /// When a worker was last heard, by any node; `None` if it has no session or nothing was heard of it yet.
    pub fn heard(&self, worker: WorkerId, profile: LivenessProfile) -> Option<Heard> {
        let lease = self.0.table.lock().lease(worker).copied()?;
        let age = Instant::now().saturating_duration_since(lease.heard);
        Some(Heard {
            age,
            epoch: lease.epoch,
            missed: missed_heartbeats(age, self.interval(profile)),
            vitals: lease.vitals,
        })
    }

    fn interval(&self, profile: LivenessProfile) -> Duration {
        match profile {
            LivenessProfile::Session => self.0.heartbeat_interval,
            LivenessProfile::Ping => self.0.ping_interval,
        }
    }

    /// Whether this node is to send workers elsewhere: no quorum or not the leader acknowledges it, or it has known no leader for as long as that takes.
    pub fn turns_away(&self, store: &Store) -> bool {
        let leadership = *store.leadership().borrow();
        let leaderless = leadership.leader.is_none() && leadership.since.elapsed() >= self.0.shed_after;
        leaderless || *self.0.shedding.borrow()
    }

    /// Sessions that this node holds.
    pub fn session_count(&self) -> usize {
        *self.0.sessions.borrow()
    }

    /// Whether this node is shedding its sessions, and every change of that.
    pub fn shedding(&self) -> watch::Receiver<bool> {
        self.0.shedding.subscribe()
    }

    /// Resolves when the leader says that this node is not a member any more.
    pub async fn removed(&self) {
        let mut removed = self.0.removed.subscribe();
        // The sender lives as long as `self`.
        let _ = removed.wait_for(|removed| *removed).await;
    }

    /// A worker was heard by this node: on a session that it holds, or by a ping.
    pub(crate) fn note_heard(
        &self,
        worker: WorkerId,
        profile: LivenessProfile,
        epoch: SessionEpoch,
        vitals: Vitals,
    ) {
        let now = Instant::now();
        if self.deaf(now) {
            return;
        }
        let mut table = self.0.table.lock();
        let before = table.lease(worker).filter(|lease| lease.epoch == epoch).copied();
        self.count_missed(before, profile, now);
        table.heard(self.0.me, worker, epoch, vitals, now);
    }

    /// Of the mutant `offline-local-clock`: what waited in the sockets during a pause is not heard.
    fn deaf(&self, now: Instant) -> bool {
        mutant::is(Mutant::OfflineLocalClock) && self.0.pulse.lock().ages_unknown(now)
    }

    pub(crate) fn note_session_count(&self, sessions: usize) {
        self.0.sessions.send_replace(sessions);
    }

    /// What the state says of a worker: leases of sessions that are over are forgotten.
    pub(crate) fn note_worker(&self, worker: &Worker) {
        if let Some(over) = last_epoch_over(worker) {
            let lease = self.0.table.lock().over(worker.id, over);
            self.count_missed(lease, worker.profile, Instant::now());
        }
    }

    /// Counts what a silence cost, on the node that held the session, when the silence ends: each heartbeat once.
    fn count_missed(&self, lease: Option<Lease>, profile: LivenessProfile, now: Instant) {
        let Some(lease) = lease.filter(|lease| lease.node == self.0.me) else {
            return;
        };
        let age = now.saturating_duration_since(lease.heard);
        let missed = missed_heartbeats(age, self.interval(profile));
        metrics::counter!("reeve_worker_missed_heartbeats_total").increment(u64::from(missed));
    }

    /// What the state says of all workers, after a reset of the change feed.
    pub(crate) fn note_all_workers(&self, state: &State) {
        self.0.table.lock().retain(|worker, lease| {
            state
                .worker(worker)
                .is_none_or(|worker| last_epoch_over(worker).is_none_or(|over| lease.epoch > over))
        });
    }

    /// One tick of the pulse: notices pauses and decides whether sessions are shed.
    fn tick(&self, store: &Store, now: Instant) {
        if let Some(late) = self.0.pulse.lock().tick(now) {
            tracing::warn!(
                late_ms = late.as_millis(),
                "this process was paused; ages of leases are unknown for now"
            );
            self.0.acknowledged.lock().restart(now);
        }
        let status = store.status();
        let voters: Vec<NodeId> = status
            .members
            .iter()
            .filter(|member| votes(member.role))
            .map(|member| member.info.id)
            .collect();
        let good = {
            let mut acknowledged = self.0.acknowledged.lock();
            if let Some(leader) = status.leader {
                acknowledged.note_leader(leader, now);
            }
            let (me, within) = (self.0.me, self.0.shed_after);
            voters.is_empty()
                || (acknowledged.by_quorum(me, &voters, within, now)
                    && !acknowledged.is_cut_off_from_leader(me, within, now))
        };
        self.0.shedding.send_if_modified(|shedding| {
            let changed = *shedding == good;
            *shedding = !good;
            changed
        });
    }
}

const fn votes(role: MemberRole) -> bool {
    match role {
        MemberRole::Leader | MemberRole::Follower => true,
        MemberRole::Learner => false,
    }
}

impl std::fmt::Debug for Liveness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Liveness")
            .field("me", &self.0.me)
            .finish_non_exhaustive()
    }
}

/// The newest session of a worker that is over: the last one, or the one before the session in force.
fn last_epoch_over(worker: &Worker) -> Option<SessionEpoch> {
    match worker.session {
        Some(session) => session.epoch.0.checked_sub(1).map(SessionEpoch),
        None => Some(worker.last_epoch),
    }
}

/// Heartbeats that are overdue after `age`. Workers send early (D4), so that one that is healthy never counts a miss.
pub fn missed_heartbeats(age: Duration, interval: Duration) -> u32 {
    let interval_ms = interval.as_millis().max(1);
    u32::try_from(age.as_millis() / interval_ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R39, R40
    #[test]
    fn a_heartbeat_is_missed_when_a_whole_interval_passed_without_one() {
        let interval = Duration::from_secs(30);
        let rows = [
            (0, 0),
            (29_999, 0),
            (30_000, 1),
            (59_999, 1),
            (60_000, 2),
            (3_600_000, 120),
        ];
        for (age_ms, missed) in rows {
            assert_eq!(
                missed_heartbeats(Duration::from_millis(age_ms), interval),
                missed,
                "after {age_ms} ms"
            );
        }
    }
}
