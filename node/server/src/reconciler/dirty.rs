//! What the change feed makes worth another look.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_state::State;
use reeve_state::change::{Change, Delta};
use reeve_state::id::{RunId, WorkerId};
use reeve_state::record::{Assignment, AssignmentKey, Run, Worker};
use reeve_state::time::Time;
use reeve_state::transition::worker::{LivenessProfile, WorkerStatus};

/// Runs that changed, and whether the planners of the fleet may find something new.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Runs to be planned.
    pub runs: BTreeSet<RunId>,
    /// Capacity or the fleet changed: runs that wait may fit now.
    pub fleet: bool,
    /// A drain may be complete.
    pub drains: bool,
    /// A token may run out, a worker be deleted or purged, at another time than before.
    pub registry: bool,
    /// A slot may be due at another time than before, or the run of one be over.
    pub probes: bool,
}

impl Dirty {
    /// Everything that is live: for a new leader, and after a reset of the feed.
    pub fn everything(state: &State) -> Self {
        Self {
            runs: state.live_runs().map(|run| run.id).collect(),
            fleet: true,
            drains: true,
            registry: true,
            probes: true,
        }
    }

    /// Whether any planner is to look before its next deadline.
    pub fn wants_look(&self) -> bool {
        self.wants_pass() || self.drains || self.registry || self.probes
    }

    /// Whether a pass over runs is due.
    pub fn wants_pass(&self) -> bool {
        self.fleet || !self.runs.is_empty()
    }

    /// Takes in the changes of a command.
    pub fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Run(delta) => {
                    self.probes |= delta.after.as_ref().is_none_or(|run| is_over_for_probe(run));
                    self.runs.insert(delta.key);
                }
                Change::Assignment(delta) => self.assignment(delta),
                Change::Worker(delta) => self.worker(delta),
                // A run keeps the definition it was started with, and endpoints are counted in their assignment.
                Change::Test(_)
                | Change::Chunk(_)
                | Change::Request(_)
                | Change::Event(_)
                | Change::Key(_)
                | Change::Webhook(_)
                | Change::Delivery(_)
                | Change::ProbeSlot(_)
                | Change::Manifest(_)
                // A plan that allows more starts no run: what waits has its place in it already.
                | Change::Project(_)
                // Nor do accounts that are free: what found none has ended.
                | Change::Registrar(_)
                | Change::SipAccount(_)
                | Change::SipLease(_)
                | Change::Media(_) => {}
                Change::Probe(_) | Change::Summary(_) => self.probes = true,
            }
        }
    }

    /// Progress is no reason to plan, until the last endpoint is closed.
    fn assignment(&mut self, delta: &Delta<AssignmentKey, Assignment>) {
        let seen = |row: &Option<Arc<Assignment>>| {
            row.as_ref()
                .map(|row| (row.life.status(), row.started, row.lost, row.all_closed()))
        };
        if seen(&delta.before) == seen(&delta.after) {
            return;
        }
        self.runs.insert(delta.key.run);
        let holds = |row: &Option<Arc<Assignment>>| {
            row.as_ref().is_some_and(|row| row.life.status().holds_capacity())
        };
        if holds(&delta.before) && !holds(&delta.after) {
            self.fleet = true;
            self.drains = true;
        }
    }

    fn worker(&mut self, delta: &Delta<WorkerId, Worker>) {
        let seen = |row: &Option<Arc<Worker>>| {
            row.as_ref().map(|row| {
                (
                    row.status(),
                    row.capacity(),
                    row.sip_capacity(),
                    row.region.clone(),
                    row.labels.clone(),
                )
            })
        };
        self.fleet |= seen(&delta.before) != seen(&delta.after);
        let drain = |row: &Option<Arc<Worker>>| row.as_ref().and_then(|row| row.facts.drain.clone());
        self.drains |= drain(&delta.before) != drain(&delta.after);
        let due = |row: &Option<Arc<Worker>>| row.as_deref().map(registry_due);
        self.registry |= due(&delta.before) != due(&delta.after);
    }
}

/// Whether a run says something about its probe: it is over.
fn is_over_for_probe(run: &Run) -> bool {
    run.probe.is_some() && run.life.status().is_terminal()
}

/// What the planner of the registry goes by: when the token runs out, since when a ping worker is OFFLINE, and since when the
/// worker is deleted.
fn registry_due(row: &Worker) -> (Option<Time>, Option<Time>, Option<Time>) {
    let facts = &row.facts;
    let open = facts.credential_rejected.is_none();
    let offline = row.profile == LivenessProfile::Ping && row.status() == WorkerStatus::Offline;
    (
        row.token_expires_at.filter(|_| open),
        offline.then_some(facts.link.since),
        facts.deleted_at,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reeve_state::id::{AssignmentEpoch, Revision, SessionEpoch};
    use reeve_state::record::{EndpointCounts, WorkerKind};
    use reeve_state::transition::assignment::{AssignmentLife, AssignmentStatus};
    use reeve_state::transition::worker::{CredentialRejected, Facts, Link};

    use super::*;

    const RUN: RunId = RunId::from_bytes([1; 16]);

    fn assignment(status: AssignmentStatus, closed: u32) -> Arc<Assignment> {
        Arc::new(Assignment {
            key: AssignmentKey { run: RUN, ordinal: 0 },
            worker: WorkerId::from_bytes([2; 16]),
            group: 0,
            first: 0,
            count: 10,
            epoch: AssignmentEpoch(1),
            life: AssignmentLife::restore(status),
            started: true,
            lost: false,
            interrupted: 0,
            start_late: None,
            late: Vec::new(),
            late_left_out: 0,
            detail: None,
            acked_seq: u64::from(closed),
            counts: EndpointCounts {
                phases: [10 - closed, 0, 0, 0, 0, 0, 0, closed],
                outcomes: [0; 8],
            },
            revision: Revision(1),
        })
    }

    fn noted(before: Arc<Assignment>, after: Arc<Assignment>) -> Dirty {
        let mut dirty = Dirty::default();
        let key = after.key;
        dirty.note(&[Change::Assignment(Delta {
            key,
            before: Some(before),
            after: Some(after),
        })]);
        dirty
    }

    #[test]
    fn progress_wakes_nobody_until_the_last_endpoint_is_closed() {
        use AssignmentStatus as S;
        let halfway = noted(assignment(S::Started, 1), assignment(S::Started, 9));
        assert_eq!(halfway, Dirty::default());
        let done = noted(assignment(S::Started, 9), assignment(S::Started, 10));
        assert_eq!(
            done,
            Dirty {
                runs: BTreeSet::from([RUN]),
                ..Dirty::default()
            }
        );
        assert!(done.wants_pass());
    }

    #[test]
    fn capacity_that_becomes_free_is_worth_a_look_at_runs_that_wait_and_at_drains() {
        use AssignmentStatus as S;
        let closed = noted(assignment(S::Started, 10), assignment(S::Closed, 10));
        assert_eq!(
            closed,
            Dirty {
                runs: BTreeSet::from([RUN]),
                fleet: true,
                drains: true,
                registry: false,
                probes: false,
            }
        );
    }

    /// A ping worker that is ONLINE, with a token for the sake of these tests.
    fn worker() -> Worker {
        let mut facts = Facts::registered(Time(1));
        facts.link.link = Link::Up;
        Worker {
            id: WorkerId::from_bytes([2; 16]),
            name: "p".to_owned(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Ping,
            region: String::new(),
            labels: BTreeMap::new(),
            configured_capacity: None,
            reported_capacity: None,
            sip_capacity: None,
            token_hash: None,
            token_expires_at: Some(Time(9)),
            function_blocks: BTreeSet::new(),
            version: String::new(),
            ip_address: String::new(),
            registered_by: None,
            flaps: 0,
            events: 0,
            facts,
            session: None,
            last_epoch: SessionEpoch(1),
            attempt: None,
            created_at: Time(1),
            created_by: None,
            revision: Revision(1),
        }
    }

    fn edited(before: Worker, edit: fn(&mut Worker)) -> Dirty {
        let mut after = before.clone();
        edit(&mut after);
        let mut dirty = Dirty::default();
        dirty.note(&[Change::Worker(Delta {
            key: after.id,
            before: Some(Arc::new(before)),
            after: Some(Arc::new(after)),
        })]);
        dirty
    }

    #[test]
    fn runs_that_wait_are_looked_at_when_the_fleet_may_carry_more_or_others() {
        type Edit = (fn(&mut Worker), bool, &'static str);
        let edits: [Edit; 7] = [
            (|_| (), false, "nothing"),
            (|row| row.version = "2".to_owned(), false, "a new version"),
            (|row| row.sip_capacity = Some(20), true, "more SIP endpoints"),
            (
                |row| row.sip_capacity = None,
                true,
                "no bound of its own for them",
            ),
            (|row| row.reported_capacity = Some(90), true, "fewer endpoints"),
            (|row| row.region = "eu".to_owned(), true, "another region"),
            (|row| row.facts.link.link = Link::Down, true, "OFFLINE"),
        ];
        for (edit, expected, what) in edits {
            let before = Worker {
                reported_capacity: Some(100),
                sip_capacity: Some(10),
                ..worker()
            };
            assert_eq!(edited(before, edit).fleet, expected, "{what}");
        }
    }

    #[test]
    fn the_registry_is_looked_at_when_something_becomes_due_at_another_time() {
        type Edit = (fn(&mut Worker), bool, &'static str);
        let edits: [Edit; 8] = [
            (|_| (), false, "nothing"),
            (|row| row.facts.link.link = Link::Suspect, false, "silent"),
            (|row| row.version = "2".to_owned(), false, "a new version"),
            (|row| row.facts.link.link = Link::Down, true, "OFFLINE"),
            (|row| row.facts.deleted_at = Some(Time(3)), true, "deleted"),
            (|row| row.token_expires_at = None, true, "a token for ever"),
            (|row| row.token_expires_at = Some(Time(8)), true, "a new token"),
            (
                |row| {
                    row.facts.credential_rejected = Some(CredentialRejected {
                        reason: String::new(),
                        since: Time(3),
                    });
                },
                true,
                "its token ran out",
            ),
        ];
        for (edit, expected, what) in edits {
            let dirty = edited(worker(), edit);
            assert_eq!(dirty.registry, expected, "{what}");
        }
    }
}
