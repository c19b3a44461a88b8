//! The planner of the registry: tokens that ran out (R42), ping workers that were OFFLINE for too long (D4a, R330, R342), and
//! tombstones whose retention is over (D7).
//!
//! Every rule reads an index of the state, soonest first, so that a pass costs what is due and not what is registered.
//! Only ping workers are deleted: a session worker is its owner's, who may start it again after a year.

use reeve_state::State;
use reeve_state::command::{Command, DeleteWorker, ExpireToken, PurgeWorker};
use reeve_state::id::WorkerId;
use reeve_state::time::{Millis, Time};

use crate::Planned;

/// Settings of the registry. The defaults are the sources' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// How long a ping worker may be OFFLINE before it is deleted (R342).
    pub delete_after: Millis,
    /// How long tombstones are kept.
    pub purge_after: Millis,
    /// Most commands of one pass, so that a fleet that was switched off a day ago does not fill the log at once. At least 1;
    /// 0 is taken as 1.
    pub most_per_pass: usize,
    /// When to look again after something was planned, in case it does not come through.
    pub retry: Millis,
    /// Uninterrupted leadership before a worker is deleted for its silence: pings that wait since an outage come first.
    pub settle: Millis,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            delete_after: Millis::from_secs(24 * 3_600),
            purge_after: Millis::from_secs(7 * 24 * 3_600),
            most_per_pass: 500,
            retry: Millis::from_secs(1),
            settle: Millis::from_secs(10),
        }
    }
}

/// What is to be done about registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryPlan {
    /// To be proposed.
    pub commands: Vec<Planned>,
    /// When to look again if nothing changes; `None`: nothing will ever be due.
    pub next_wake: Option<Time>,
}

/// Plans what is due. `now` and `leader_since` are cluster time. O(what is due).
pub fn plan(state: &State, now: Time, leader_since: Time, config: &RegistryConfig) -> RegistryPlan {
    let most = config.most_per_pass.max(1);
    let mut pass = Pass {
        now,
        most,
        plan: RegistryPlan::default(),
    };
    pass.take(state.expiring_tokens(), |id| expire(state, id));
    let settled = leader_since + config.settle;
    let offline = state
        .offline_ping_workers()
        .map(|(since, id)| ((since + config.delete_after).max(settled), id));
    pass.take(offline, |id| delete(state, id, config.delete_after));
    let deleted = state
        .deleted_workers()
        .map(|(at, id)| (at + config.purge_after, id));
    pass.take(deleted, |id| purge(state, id, config.purge_after));
    let mut plan = pass.plan;
    if !plan.commands.is_empty() {
        plan.wake(now + config.retry);
    }
    plan
}

impl RegistryPlan {
    fn wake(&mut self, at: Time) {
        self.next_wake = Some(self.next_wake.map_or(at, |before| before.min(at)));
    }
}

/// A pass in progress.
struct Pass {
    now: Time,
    most: usize,
    plan: RegistryPlan,
}

impl Pass {
    /// Plans for each that is due, soonest first, and wakes for the first that is not. What does not fit in waits for the next
    /// pass, for which the commands of this one wake.
    fn take(
        &mut self,
        by_due: impl Iterator<Item = (Time, WorkerId)>,
        planned: impl Fn(WorkerId) -> Planned,
    ) {
        for (due, id) in by_due {
            if self.now < due {
                self.plan.wake(due);
                return;
            }
            if self.plan.commands.len() == self.most {
                return;
            }
            self.plan.commands.push(planned(id));
        }
    }
}

fn expire(state: &State, worker: WorkerId) -> Planned {
    Planned::new(
        Command::ExpireToken(ExpireToken { worker }),
        format!("the token of {} ran out", name(state, worker)),
    )
}

/// Never by force: what an OFFLINE worker held is lost already, and one that came back meanwhile is refused by apply.
fn delete(state: &State, worker: WorkerId, delete_after: Millis) -> Planned {
    let command = DeleteWorker {
        worker,
        offline_for: Some(delete_after),
        force: false,
    };
    Planned::new(
        Command::DeleteWorker(command),
        format!("{} has been OFFLINE for {delete_after}", name(state, worker)),
    )
}

fn purge(state: &State, worker: WorkerId, retention: Millis) -> Planned {
    Planned::new(
        Command::PurgeWorker(PurgeWorker { worker, retention }),
        format!("{} was deleted {retention} ago", name(state, worker)),
    )
}

fn name(state: &State, worker: WorkerId) -> String {
    state
        .worker(worker)
        .map_or_else(|| worker.to_string(), |worker| worker.name.clone())
}
