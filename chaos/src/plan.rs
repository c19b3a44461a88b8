//! The plan of a run: which fault comes when. Drawn from a seed, so that the same seed gives the same plan.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;

/// Who is killed with SIGKILL. Everything that is killed is started again after `down_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Whoever leads at that moment.
    Leader {
        /// Until it is started again, milliseconds.
        down_ms: u64,
    },
    /// One of the others.
    Follower {
        /// Which of them, counted from the leader.
        offset: usize,
        /// Until it is started again, milliseconds.
        down_ms: u64,
    },
    /// Every node at once.
    AllNodes {
        /// Until they are started again, milliseconds.
        down_ms: u64,
    },
    /// A worker.
    Worker {
        /// Its position.
        worker: usize,
        /// Until it is started again, milliseconds.
        down_ms: u64,
    },
}

impl Fault {
    /// How long it lasts.
    pub fn down(self) -> Duration {
        let (Self::Leader { down_ms }
        | Self::Follower { down_ms, .. }
        | Self::AllNodes { down_ms }
        | Self::Worker { down_ms, .. }) = self;
        Duration::from_millis(down_ms)
    }

    /// For the report.
    pub fn label(self) -> &'static str {
        match self {
            Self::Leader { .. } => "kill leader",
            Self::Follower { .. } => "kill follower",
            Self::AllNodes { .. } => "kill all nodes",
            Self::Worker { .. } => "kill worker",
        }
    }
}

/// A fault and the peace before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// From the end of the fault before (or the start of the load) until this one, milliseconds.
    pub after_ms: u64,
    /// What is done then.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Faults that fit into a time. One at a time, so that a quorum lives except when all nodes are killed.
pub fn draw(seed: u64, span: Duration, workers: usize) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut steps = Vec::new();
    let mut used = Duration::ZERO;
    let mut round: Vec<Fault> = Vec::new();
    loop {
        if round.is_empty() {
            round = draw_round(&mut rng, workers);
        }
        let Some(fault) = round.pop() else { return steps };
        let after_ms = rng.random_range(1_500..3_500);
        used += Duration::from_millis(after_ms) + fault.down();
        if used > span && !steps.is_empty() {
            return steps;
        }
        steps.push(Step { after_ms, fault });
    }
}

/// One of each kind, two for the leader, in a drawn order; used from the end, where a leader is.
fn draw_round(rng: &mut StdRng, workers: usize) -> Vec<Fault> {
    let mut round = Vec::new();
    // Long enough for an election, or too short for one: a leader that is back at once must not act on what it was.
    for (shortest, longest) in [(20, 100), (1_000, 2_500)] {
        let down_ms = rng.random_range(shortest..longest);
        round.push(Fault::Leader { down_ms });
    }
    round.push(Fault::Follower {
        offset: rng.random_range(1..3),
        down_ms: rng.random_range(100..3_000),
    });
    round.push(Fault::AllNodes {
        down_ms: rng.random_range(20..1_000),
    });
    if workers > 0 {
        round.push(Fault::Worker {
            worker: rng.random_range(0..workers),
            down_ms: rng.random_range(200..8_000),
        });
    }
    round.shuffle(rng);
    let last = round.len() - 1;
    if let Some(leader) = round
        .iter()
        .position(|fault| matches!(fault, Fault::Leader { .. }))
    {
        round.swap(leader, last);
    }
    round
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(draw(7, MINUTE, 3), draw(7, MINUTE, 3));
        assert_ne!(draw(7, MINUTE, 3), draw(8, MINUTE, 3));
    }

    #[test]
    fn a_minute_kills_leaders_several_times_and_everything_else_at_least_once() {
        for seed in 0..200 {
            let plan = draw(seed, MINUTE, 3);
            let count = |label| plan.iter().filter(|step| step.fault.label() == label).count();
            assert!(count("kill leader") >= 3, "seed {seed}: {plan:?}");
            for label in ["kill follower", "kill all nodes", "kill worker"] {
                assert!(count(label) >= 1, "seed {seed}, {label}: {plan:?}");
            }
        }
    }

    #[test]
    fn a_plan_keeps_to_its_time_and_begins_with_a_leader() {
        for seed in 0..200 {
            let plan = draw(seed, MINUTE, 3);
            let used: Duration = plan
                .iter()
                .map(|step| Duration::from_millis(step.after_ms) + step.fault.down())
                .sum();
            assert!(used <= MINUTE);
            assert!(matches!(plan[0].fault, Fault::Leader { .. }));
        }
    }

    #[test]
    fn even_the_shortest_plan_has_a_fault() {
        assert_eq!(draw(1, Duration::ZERO, 0).len(), 1);
    }
}
