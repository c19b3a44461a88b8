//! The planner of runs: what is to be done about a run, given the state and the time (R116).

mod explain;
mod limits;
mod order;
mod pass;
mod pending;
mod queued;
mod running;
mod sip;

use std::collections::BTreeMap;

use reeve_state::State;
use reeve_state::admission::AccountNeeds;
use reeve_state::id::ProjectName;
use reeve_state::record::{Run, Usage};
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;

use crate::Planned;
use crate::config::PlanConfig;
use crate::fleet::{Fleet, Reservations};

pub use explain::{Explained, Holder, Part, Verdict, explain_definition, explain_run};
pub use pass::{PassPlan, plan, plan_pass};

/// What is to be done about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunPlan {
    /// To be proposed, in this order.
    pub commands: Vec<Planned>,
    /// When to look again if nothing changes; every run that is not terminal has one (D29).
    pub next_wake: Option<Time>,
}

impl RunPlan {
    fn wait(until: Time) -> Self {
        Self {
            commands: Vec::new(),
            next_wake: Some(until),
        }
    }
}

/// What the plans of one pass share.
struct Pass<'a> {
    state: &'a State,
    now: Time,
    leader_since: Time,
    config: &'a PlanConfig,
    /// Gathered when the first run needs it.
    fleet: Option<Fleet<'a>>,
    /// What runs take up that this pass queues, by project.
    queued: BTreeMap<ProjectName, Usage>,
    /// SIP accounts that these will have.
    accounts: AccountNeeds,
}

impl<'a> Pass<'a> {
    fn new(state: &'a State, now: Time, leader_since: Time, config: &'a PlanConfig) -> Self {
        Self {
            state,
            now,
            leader_since,
            config,
            fleet: None,
            queued: BTreeMap::new(),
            accounts: AccountNeeds::new(),
        }
    }

    fn fleet(&mut self) -> &mut Fleet<'a> {
        let state = self.state;
        self.fleet
            .get_or_insert_with(|| Fleet::new(state, &Reservations::default()))
    }

    fn plan(&mut self, run: &Run) -> RunPlan {
        match run.life.status() {
            RunStatus::Pending => self.pending(run),
            RunStatus::Queued if run.assignments == 0 => self.unplaced(run),
            RunStatus::Queued => self.placed(run),
            RunStatus::Running => self.running(run),
            RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => RunPlan::default(),
        }
    }

    /// When a deadline that waits for a worker's word is judged.
    fn judged_at(&self, deadline: Time) -> Time {
        deadline.max(self.leader_since + self.config.settle)
    }

    /// One command; if it does not come through, the run is looked at again.
    fn act(&self, planned: Planned) -> RunPlan {
        RunPlan {
            commands: vec![planned],
            next_wake: Some(self.now + self.config.retry),
        }
    }
}
