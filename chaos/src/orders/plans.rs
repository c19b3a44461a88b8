//! One plan after the other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Profile, RunArgs};
use crate::checker::coverage::Minimums;
use crate::scenario::catalog::{self, Scenario, Size};
use crate::scenario::deed::Deed;
use crate::scenario::plan::Plan;

/// The plans of a run; a soak ends when its time is over.
pub struct Plans {
    round: Vec<&'static Scenario>,
    size: Size,
    seed: u64,
    next: usize,
    deadline: Option<Instant>,
    replay: Option<(Plan, u32)>,
    whole: bool,
}

impl Plans {
    /// What is asked for.
    ///
    /// # Errors
    /// There is no such scenario, or the plan that is to be replayed cannot be read.
    pub fn of(args: &RunArgs, seed: u64) -> Result<Self> {
        let (size, deadline) = match args.profile {
            Profile::Ci => (Size::Ci, None),
            Profile::Soak => (
                Size::Soak,
                Some(Instant::now() + Duration::from_secs(args.minutes * 60)),
            ),
        };
        let replay = match &args.replay {
            Some(path) => Some((Plan::load(path)?, args.times)),
            None => None,
        };
        let named = args.scenario.iter().map(|name| {
            catalog::find(name).with_context(|| {
                let known: Vec<&str> = catalog::ALL.iter().map(|one| one.id).collect();
                format!("there is no scenario {name:?}; there are {}", known.join(", "))
            })
        });
        let mut round = named.collect::<Result<Vec<_>>>()?;
        let whole = round.is_empty() && replay.is_none();
        if whole {
            let fits = |one: &&Scenario| match args.profile {
                Profile::Ci => one.ci,
                Profile::Soak => one.id != "S21" || args.older.is_some(),
            };
            round = catalog::ALL.iter().filter(fits).collect();
        }
        Ok(Self {
            round,
            size,
            seed,
            next: 0,
            deadline,
            replay,
            whole,
        })
    }

    /// Whether it is all that the profile has.
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

impl Iterator for Plans {
    type Item = Plan;

    fn next(&mut self) -> Option<Plan> {
        if let Some((plan, times)) = &mut self.replay {
            let left = times.checked_sub(1)?;
            *times = left;
            return Some(plan.clone());
        }
        let round = self.next / self.round.len();
        let over = match self.deadline {
            None => round > 0,
            // At least one of each, or the run has shown nothing of some.
            Some(deadline) => round > 0 && Instant::now() >= deadline,
        };
        if over {
            return None;
        }
        let scenario = self.round[self.next % self.round.len()];
        self.next += 1;
        Some(scenario.plan(self.seed + round as u64, self.size))
    }
}

/// What a run of all scenarios of a profile must have been: every kind of fault that was planned must have bitten.
pub fn minimums(profile: Profile, planned: &[Deed]) -> Minimums {
    let mut faults: Vec<String> = planned
        .iter()
        .filter(|deed| deed.is_fault())
        .map(|deed| deed.label().to_owned())
        .collect();
    faults.sort_unstable();
    faults.dedup();
    let (leader_changes, mutations) = match profile {
        Profile::Ci => (15, 5_000),
        Profile::Soak => (100, 50_000),
    };
    Minimums {
        ok_percent: 95,
        faults,
        leader_changes,
        snapshot_installs: 1,
        mutations,
    }
}
