//! The planner of drains: ends those that are complete, enforces the deadline of those that are not (D5a).

use std::collections::BTreeMap;

use reeve_state::State;
use reeve_state::command::{AbandonAssignments, Command, SetDrain};
use reeve_state::id::RunId;
use reeve_state::record::Worker;
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::{AfterDrain, Drain};

use crate::Planned;
use crate::config::PlanConfig;

/// What is to be done about drains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainPlan {
    /// To be proposed.
    pub commands: Vec<Planned>,
    /// When to look again if nothing changes.
    pub next_wake: Option<Time>,
}

/// Plans all drains. `now` and `leader_since` are cluster time. O(workers).
///
/// A drain that ends in a resume is taken back once nothing holds capacity on the worker; one that ends in a disconnect is
/// ended by the worker's leaving, which the node asks for: over the session, or in the answer to a ping. A worker that does not
/// leave stays DRAINING until an administrator takes the drain back: were it disconnected here, its next ping would make it ONLINE.
///
/// Past the deadline the endpoints that remain are given up, per run. A drain by force is one whose deadline is the moment of the
/// order. It too waits until a new leader has settled: endpoints that had ended during an outage, and whose reports wait in
/// queues, must not be counted as cut off (R36).
pub fn plan(state: &State, now: Time, leader_since: Time, config: &PlanConfig) -> DrainPlan {
    let mut plan = DrainPlan::default();
    let mut overdue: BTreeMap<RunId, Vec<u32>> = BTreeMap::new();
    for worker in state.workers().filter(|worker| worker.facts.deleted_at.is_none()) {
        let Some(drain) = &worker.facts.drain else {
            continue;
        };
        if state.worker_assignments(worker.id).next().is_none() {
            plan.commands.extend(resume(worker, drain));
            continue;
        }
        let judged = drain.deadline.max(leader_since + config.settle);
        if now < judged {
            plan.wake(judged);
        } else {
            remaining(state, worker, &mut overdue);
        }
    }
    for (run, mut ordinals) in overdue {
        ordinals.sort_unstable();
        let Some(row) = state.run(run) else { continue };
        let detail = "drain_deadline".to_owned();
        let reason = format!(
            "{} assignments outlived the drain of their worker",
            ordinals.len()
        );
        let command = AbandonAssignments {
            run,
            revision: row.revision,
            ordinals,
            detail,
        };
        plan.commands
            .push(Planned::new(Command::AbandonAssignments(command), reason));
    }
    if !plan.commands.is_empty() {
        plan.wake(now + config.retry);
    }
    plan
}

impl DrainPlan {
    fn wake(&mut self, at: Time) {
        self.next_wake = Some(self.next_wake.map_or(at, |before| before.min(at)));
    }
}

fn resume(worker: &Worker, drain: &Drain) -> Option<Planned> {
    match drain.then {
        AfterDrain::Disconnect => None,
        AfterDrain::Resume => {
            let command = SetDrain {
                worker: worker.id,
                drain: None,
            };
            Some(Planned::new(
                Command::SetDrain(command),
                format!("the drain of {} is complete", worker.name),
            ))
        }
    }
}

/// Started assignments of the worker with open endpoints, by run.
fn remaining(state: &State, worker: &Worker, overdue: &mut BTreeMap<RunId, Vec<u32>>) {
    for assignment in state.worker_assignments(worker.id) {
        let running = state
            .run(assignment.key.run)
            .is_some_and(|run| run.life.status() == RunStatus::Running);
        let open = assignment.started && !assignment.all_closed() && assignment.life.status().is_current();
        if running && open {
            overdue
                .entry(assignment.key.run)
                .or_default()
                .push(assignment.key.ordinal);
        }
    }
}
