//! The planner of retention: runs that have been over for long enough are forgotten with everything that belongs to them.
//!
//! It reads an index of the state, longest ago first, so that a pass costs what is due.

use reeve_state::State;
use reeve_state::command::{Command, PurgeRun};
use reeve_state::time::{Millis, Time};

use crate::Planned;

/// How long runs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// After their end.
    pub retention: Millis,
    /// Most runs of one pass. At least 1; 0 is taken as 1.
    pub most_per_pass: usize,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            retention: Millis::from_secs(30 * 24 * 3_600),
            most_per_pass: 200,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// To be proposed, once the objects of each run are deleted.
    pub commands: Vec<Planned>,
    /// When the first run is due that is not yet; `None`: there is none.
    pub next_wake: Option<Time>,
}

/// Plans what is due. `now` is cluster time. O(what is due).
pub fn plan(state: &State, now: Time, config: &RetentionConfig) -> RetentionPlan {
    let mut plan = RetentionPlan::default();
    for (ended, run) in state.ended_runs() {
        let due = ended + config.retention;
        if now < due {
            plan.next_wake = Some(due);
            break;
        }
        if plan.commands.len() >= config.most_per_pass.max(1) {
            break;
        }
        let retention = config.retention;
        plan.commands.push(Planned::new(
            Command::PurgeRun(PurgeRun { run, retention }),
            format!("run {run} has been over for {retention}"),
        ));
    }
    plan
}
