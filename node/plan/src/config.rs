//! Settings of the planners of runs.

use reeve_state::time::Millis;

/// Settings of placement and of the planner of runs. The defaults are the sources' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanConfig {
    /// How long workers that were offered an assignment have to confirm.
    pub ready_timeout: Millis,
    /// From the decision to begin until the common start instant: the time that the message needs to every worker.
    pub start_delay: Millis,
    /// Fewest endpoints of a group on one worker, unless capacity forces fewer. At least 1; 0 is taken as 1.
    pub min_chunk: u32,
    /// Uninterrupted leadership before a deadline is judged that waits for a worker's word: reports that queued up during
    /// an outage come first.
    pub settle: Millis,
    /// How long a run waits for capacity before what it could use is held back from younger runs.
    pub hold_after: Millis,
    /// When to look again at a run for which a command was planned, in case the command does not come through.
    pub retry: Millis,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            ready_timeout: Millis::from_secs(10),
            start_delay: Millis(150),
            min_chunk: 50,
            settle: Millis::from_secs(10),
            hold_after: Millis::from_secs(1),
            retry: Millis::from_secs(1),
        }
    }
}
