//! The scenarios by name, and how each is drawn from a seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::deed::Step;
use super::draw::Draw;
use super::draws;
use super::plan::{Load, Plan, Shape};

/// How long and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Minutes in all, for every change.
    Ci,
    /// An hour and more.
    Soak,
}

/// One scenario.
pub struct Scenario {
    /// `S1`.
    pub id: &'static str,
    /// What happens.
    pub about: &'static str,
    /// Whether every change is tried with it.
    pub ci: bool,
    draw: fn(&mut Draw),
}

/// Every scenario, in order.
pub const ALL: [Scenario; 22] = [
    scenario(
        "S1",
        true,
        "the leader is killed, and is back at once or after an election",
        draws::leader_crash,
    ),
    scenario(
        "S2",
        false,
        "every node is killed in turn, then all at once",
        draws::rolling_kill,
    ),
    scenario(
        "S3",
        true,
        "the leader, a majority, all nodes lose power",
        draws::power_cut,
    ),
    scenario(
        "S4",
        true,
        "the leader is cut off, with clients on both sides",
        draws::leader_isolated,
    ),
    scenario(
        "S5",
        true,
        "the leader can only send, or only receive",
        draws::one_way,
    ),
    scenario(
        "S6",
        false,
        "two halves see each other through one node; a ring",
        draws::bridge,
    ),
    scenario(
        "S7",
        false,
        "cuts of a moment, and connections reset",
        draws::flapping,
    ),
    scenario(
        "S8",
        false,
        "packets are late, lost, doubled, out of order",
        draws::weather,
    ),
    scenario(
        "S9",
        true,
        "the leader is paused for longer than a worker may be silent",
        draws::leader_paused,
    ),
    scenario(
        "S10",
        false,
        "a follower is paused while members change",
        draws::membership,
    ),
    scenario(
        "S11",
        true,
        "wall clocks jump by minutes, hours, a day",
        draws::clocks,
    ),
    scenario(
        "S12",
        true,
        "fsync is slow and fails, disks are full",
        draws::bad_disks,
    ),
    scenario(
        "S13",
        true,
        "a follower is away for so long that it needs a snapshot",
        draws::snapshot,
    ),
    scenario(
        "S14",
        true,
        "workers are killed in their runs",
        draws::worker_crash,
    ),
    scenario(
        "S15",
        false,
        "workers reach only some nodes, or none",
        draws::worker_cut,
    ),
    scenario(
        "S16",
        false,
        "workers are drained while leaders die",
        draws::drain_race,
    ),
    scenario(
        "S17",
        true,
        "many more runs than fit, while leaders die",
        draws::capacity_race,
    ),
    scenario(
        "S18",
        false,
        "tokens change and are used at once, on nodes that are cut off too",
        draws::token_race,
    ),
    scenario(
        "S19",
        false,
        "the leader has hardly any processor, or memory",
        draws::starved,
    ),
    scenario(
        "S20",
        false,
        "bytes of a node's files change while it is down",
        draws::bit_rot,
    ),
    scenario(
        "S21",
        false,
        "nodes are upgraded one after the other",
        draws::upgrade,
    ),
    scenario(
        "S22",
        true,
        "everything at once, as long as a majority can live",
        draws::everything,
    ),
];

const fn scenario(id: &'static str, ci: bool, about: &'static str, draw: fn(&mut Draw)) -> Scenario {
    Scenario { id, about, ci, draw }
}

/// The scenario of this name.
pub fn find(id: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.id.eq_ignore_ascii_case(id))
}

impl Scenario {
    /// A plan; the same for the same seed.
    pub fn plan(&self, seed: u64, size: Size) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed ^ u64::from(self.number()) << 32);
        let shape = match size {
            Size::Ci => Shape::small(),
            Size::Soak => Shape::drawn(&mut rng),
        };
        let (warm_up_ms, span_ms, minority_ms) = match size {
            Size::Ci => (1_500, 8_000, 1_500),
            Size::Soak => (3_000, rng.random_range(20_000..40_000), 5_000),
        };
        let mut draw = Draw {
            rng,
            shape,
            load: Load::Usual,
            span_ms,
            steps: Vec::new(),
            now_ms: 200,
        };
        (self.draw)(&mut draw);
        draw.steps.sort_by_key(|step| step.at_ms);
        Plan {
            scenario: self.id.to_owned(),
            seed,
            mutant: String::new(),
            load: draw.load,
            warm_up_ms,
            faults_ms: draw
                .steps
                .iter()
                .map(Step::end_ms)
                .max()
                .unwrap_or(0)
                .max(span_ms),
            // Whoever is away would be sent a snapshot by the one that forgets, and then nobody has all of the log.
            minority_ms: if draw.shape.forgetful { 0 } else { minority_ms },
            shape: draw.shape,
            steps: draw.steps,
        }
    }

    fn number(&self) -> u16 {
        self.id.trim_start_matches('S').parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::draws::worker_of;
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        for scenario in &ALL {
            let plan = |seed| scenario.plan(seed, Size::Soak);
            assert_eq!(plan(7), plan(7), "{}", scenario.id);
            assert_ne!(plan(7), plan(8), "{}", scenario.id);
        }
    }

    #[test]
    fn a_plan_can_be_stored_and_played_again() {
        for scenario in &ALL {
            let plan = scenario.plan(3, Size::Ci);
            let stored = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan, "{stored}");
        }
    }

    #[test]
    fn every_plan_does_something_and_ends_in_time() {
        for scenario in &ALL {
            for seed in 0..50 {
                let plan = scenario.plan(seed, Size::Ci);
                assert!(!plan.steps.is_empty(), "{} {seed}", scenario.id);
                assert!(
                    plan.faults_ms < 20_000,
                    "{} {seed}: {}",
                    scenario.id,
                    plan.faults_ms
                );
            }
        }
    }

    #[test]
    fn a_worker_that_is_down_is_not_killed_again() {
        for seed in 0..200 {
            let plan = find("s14").unwrap().plan(seed, Size::Soak);
            let mut until = std::collections::BTreeMap::new();
            for step in &plan.steps {
                let worker = worker_of(&step.deed).unwrap();
                assert!(until.get(&worker).is_none_or(|end| step.at_ms > *end));
                until.insert(worker, step.end_ms());
            }
        }
    }
}
