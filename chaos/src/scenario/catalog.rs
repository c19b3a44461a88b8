//! The scenarios by name, and how each is drawn from a seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::deed::{Deed, Step, Unreached, Who};
use super::plan::{Load, Plan, Shape};
use crate::disk;

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
        leader_crash,
    ),
    scenario(
        "S2",
        false,
        "every node is killed in turn, then all at once",
        rolling_kill,
    ),
    scenario(
        "S3",
        true,
        "the leader, a majority, all nodes lose power",
        power_cut,
    ),
    scenario(
        "S4",
        true,
        "the leader is cut off, with clients on both sides",
        leader_isolated,
    ),
    scenario("S5", true, "the leader can only send, or only receive", one_way),
    scenario(
        "S6",
        false,
        "two halves see each other through one node; a ring",
        bridge,
    ),
    scenario("S7", false, "cuts of a moment, and connections reset", flapping),
    scenario(
        "S8",
        false,
        "packets are late, lost, doubled, out of order",
        weather,
    ),
    scenario(
        "S9",
        true,
        "the leader is paused for longer than a worker may be silent",
        leader_paused,
    ),
    scenario(
        "S10",
        false,
        "a follower is paused while members change",
        membership,
    ),
    scenario("S11", true, "wall clocks jump by minutes, hours, a day", clocks),
    scenario("S12", true, "fsync is slow and fails, disks are full", bad_disks),
    scenario(
        "S13",
        true,
        "a follower is away for so long that it needs a snapshot",
        snapshot,
    ),
    scenario("S14", true, "workers are killed in their runs", worker_crash),
    scenario("S15", false, "workers reach only some nodes, or none", worker_cut),
    scenario("S16", false, "workers are drained while leaders die", drain_race),
    scenario(
        "S17",
        true,
        "many more runs than fit, while leaders die",
        capacity_race,
    ),
    scenario(
        "S18",
        false,
        "tokens change and are used at once, on nodes that are cut off too",
        token_race,
    ),
    scenario(
        "S19",
        false,
        "the leader has hardly any processor, or memory",
        starved,
    ),
    scenario(
        "S20",
        false,
        "bytes of a node's files change while it is down",
        bit_rot,
    ),
    scenario("S21", false, "nodes are upgraded one after the other", upgrade),
    scenario(
        "S22",
        true,
        "everything at once, as long as a majority can live",
        everything,
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

/// A plan that is being drawn.
struct Draw {
    rng: StdRng,
    shape: Shape,
    load: Load,
    span_ms: u64,
    steps: Vec<Step>,
    /// Up to here it is drawn.
    now_ms: u64,
}

impl Draw {
    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.random_range(least..most)
    }

    fn one_in(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    fn follower(&mut self) -> Who {
        Who::Follower {
            offset: self.rng.random_range(1..self.shape.nodes),
        }
    }

    fn leader_or_follower(&mut self) -> Who {
        if self.one_in(2) {
            Who::Leader
        } else {
            self.follower()
        }
    }

    fn worker(&mut self) -> usize {
        self.rng.random_range(0..self.shape.workers)
    }

    /// At the time that the plan has come to; the next comes after its end.
    fn then(&mut self, deed: Deed, for_ms: u64) {
        self.beside(deed, for_ms);
        self.now_ms += for_ms;
    }

    /// Beside what comes next.
    fn beside(&mut self, deed: Deed, for_ms: u64) {
        self.steps.push(Step {
            at_ms: self.now_ms,
            for_ms,
            deed,
        });
    }

    fn peace(&mut self, least: u64, most: u64) {
        self.now_ms += self.rng.random_range(least..most);
    }

    /// Goes on until the time is used up, at least once.
    fn repeat(&mut self, mut round: impl FnMut(&mut Self, u32)) {
        let mut number = 0;
        while number == 0 || self.now_ms < self.span_ms {
            round(self, number);
            number += 1;
        }
    }
}

fn leader_crash(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        // Too short for an election: a leader that is back at once must not act on what it was.
        let down = if number.is_multiple_of(2) {
            draw.between(20, 100)
        } else {
            draw.between(1_000, 2_000)
        };
        draw.then(Deed::Kill(Who::Leader), down);
        draw.peace(700, 1_500);
    });
}

fn rolling_kill(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        for offset in 1..draw.shape.nodes {
            let down = draw.between(50, 1_000);
            draw.then(Deed::Kill(Who::Follower { offset }), down);
            draw.peace(300, 900);
        }
        let down = draw.between(50, 1_500);
        draw.then(Deed::Kill(Who::Leader), down);
        draw.peace(500, 1_200);
        let down = draw.between(20, 1_000);
        draw.then(Deed::Kill(Who::AllNodes), down);
        draw.peace(1_200, 2_000);
    });
}

fn power_cut(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = match number % 3 {
            0 => Who::Leader,
            1 => Who::AllNodes,
            _ => Who::Majority,
        };
        let down = draw.between(50, 800);
        draw.then(Deed::PowerCut(who), down);
        draw.peace(900, 1_600);
    });
}

fn leader_isolated(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        let cut = draw.between(1_200, 3_000);
        draw.then(Deed::Isolate(Who::Leader), cut);
        draw.peace(600, 1_200);
    });
}

fn one_way(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let cut = draw.between(1_500, 3_000);
        let deed = if number.is_multiple_of(2) {
            Deed::Deaf(Who::Leader)
        } else {
            Deed::Mute(Who::Leader)
        };
        draw.then(deed, cut);
        draw.peace(600, 1_200);
    });
}

fn bridge(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let cut = draw.between(1_500, 4_000);
        let who = draw.leader_or_follower();
        let deed = if number % 2 == 1 && draw.shape.nodes > 3 {
            Deed::Ring
        } else {
            Deed::Bridge(who)
        };
        draw.then(deed, cut);
        draw.peace(500, 1_200);
    });
}

fn flapping(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let (cut, who) = (draw.between(200, 800), draw.leader_or_follower());
        let deed = match number % 3 {
            0 => Deed::Isolate(who),
            1 => Deed::Reset(who),
            _ => Deed::Unplug(who),
        };
        draw.then(deed, cut);
        draw.peace(100, 700);
    });
}

fn weather(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        let span = draw.between(2_500, 5_000);
        let in_order = draw.one_in(3);
        draw.beside(
            Deed::Delay {
                base_ms: 20,
                jitter_ms: 60,
                in_order,
            },
            span,
        );
        draw.beside(Deed::Loss { permille: 20 }, span);
        draw.then(Deed::Duplicate { permille: 50 }, span);
        draw.peace(300, 800);
    });
}

fn leader_paused(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let threshold = draw.shape.down_after_ms;
        let pause = if number.is_multiple_of(2) {
            draw.between(threshold * 2, threshold * 2 + 800)
        } else {
            draw.between(500, threshold)
        };
        draw.then(Deed::Pause(Who::Leader), pause);
        draw.peace(1_000, 2_000);
    });
}

fn membership(draw: &mut Draw) {
    let pause = draw.between(3_000, 5_000);
    let who = draw.follower();
    draw.beside(Deed::Pause(who), pause);
    draw.peace(500, 1_000);
    draw.beside(Deed::Add, 0);
    draw.peace(1_000, 2_000);
    let gone = draw.follower();
    draw.beside(Deed::Remove(gone), 0);
    draw.now_ms += pause;
    draw.repeat(|draw, _| {
        let who = draw.follower();
        draw.beside(Deed::Lead(who), 0);
        draw.peace(1_500, 2_500);
    });
}

fn clocks(draw: &mut Draw) {
    const MINUTE: i64 = 60_000;
    draw.repeat(|draw, number| {
        let offsets = [5 * MINUTE, -5 * MINUTE, -60 * MINUTE, 24 * 60 * MINUTE];
        let offset_ms = *offsets.choose(&mut draw.rng).unwrap_or(&MINUTE);
        let span = draw.between(1_200, 2_500);
        let who = match number % 3 {
            0 => Who::Leader,
            1 => Who::Worker { index: draw.worker() },
            _ => draw.follower(),
        };
        draw.then(Deed::Clock { who, offset_ms }, span);
        draw.peace(300, 800);
    });
}

fn bad_disks(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = if number.is_multiple_of(2) {
            Who::Leader
        } else {
            draw.follower()
        };
        let slow = disk::Sync::Delay {
            ms: u32::try_from(draw.between(50, 200)).unwrap_or(100),
        };
        let span = draw.between(800, 1_500);
        let kinds = [
            Deed::Sync {
                who: who.clone(),
                how: disk::Sync::Fail,
            },
            Deed::Sync {
                who: who.clone(),
                how: slow,
            },
            Deed::Write {
                who: who.clone(),
                error: disk::WriteFault::NoSpace,
            },
            Deed::DiskFull(who.clone()),
            Deed::Write {
                who: who.clone(),
                error: disk::WriteFault::Io,
            },
            Deed::SlowDisk { who, kib_per_s: 256 },
        ];
        let at = number as usize % kinds.len();
        let [fail, ..] = &kinds;
        let deed = kinds.get(at).unwrap_or(fail).clone();
        draw.then(deed, span);
        draw.peace(500, 1_000);
    });
}

fn snapshot(draw: &mut Draw) {
    draw.shape.snapshot_after_entries = 100;
    // One of the others has to keep all of the log.
    draw.shape.forgetful = true;
    let named = |name: &str| Who::Named {
        names: vec![name.to_owned()],
    };
    draw.repeat(|draw, _| {
        // It alone throws away its log.
        draw.then(Deed::Lead(named("n1")), 300);
        let away = draw.between(4_500, 6_000);
        draw.then(Deed::Isolate(named("n3")), away);
        draw.peace(1_500, 2_500);
    });
}

fn worker_crash(draw: &mut Draw) {
    // One is away for longer than a worker may be silent, whatever else happens: it must be given up, and in time.
    let away = draw.shape.down_after_ms + 7_500;
    draw.beside(Deed::Kill(Who::Worker { index: 0 }), away);
    draw.peace(300, 600);
    draw.repeat(|draw, _| {
        let (index, down) = (draw.worker(), draw.between(100, 8_000));
        draw.beside(Deed::Kill(Who::Worker { index }), down);
        draw.peace(1_500, 3_000);
        if draw.one_in(3) {
            let (index, span) = (draw.worker(), draw.between(300, 6_000));
            draw.then(Deed::Pause(Who::Worker { index }), span);
        }
    });
    one_at_a_time(&mut draw.steps);
}

fn worker_cut(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let (index, span) = (draw.worker(), draw.between(1_000, 7_000));
        let unreached = match number % 3 {
            0 => Unreached::Followers,
            1 => Unreached::Leader,
            _ => Unreached::All,
        };
        draw.beside(Deed::CutWorker { index, unreached }, span);
        draw.peace(1_500, 2_500);
        if draw.one_in(3) {
            draw.then(Deed::Kill(Who::Leader), 500);
        }
    });
}

fn drain_race(draw: &mut Draw) {
    draw.load = Load::Drains;
    leader_crash(draw);
}

fn capacity_race(draw: &mut Draw) {
    draw.load = Load::Capacity;
    // Two hundred runs of one endpoint, and room for a few.
    draw.shape.capacity = 3;
    leader_crash(draw);
}

fn token_race(draw: &mut Draw) {
    draw.load = Load::Tokens;
    draw.repeat(|draw, number| {
        let span = draw.between(800, 2_000);
        let who = draw.leader_or_follower();
        let deed = if number.is_multiple_of(2) {
            Deed::Isolate(who)
        } else {
            Deed::Kill(who)
        };
        draw.then(deed, span);
        draw.peace(400, 1_000);
    });
}

fn starved(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let span = draw.between(2_000, 4_000);
        let deed = if number.is_multiple_of(2) {
            Deed::Cpu {
                who: Who::Leader,
                percent: 10,
            }
        } else {
            Deed::Memory {
                who: Who::Leader,
                mib: 4,
            }
        };
        draw.then(deed, span);
        draw.peace(1_000, 2_000);
    });
}

fn bit_rot(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = draw.follower();
        let suffix = [".log", ".sst", ""][number as usize % 3].to_owned();
        let (count, seed) = (1 + number % 4, draw.rng.random());
        let span = draw.between(1_500, 2_500);
        draw.then(
            Deed::Flip {
                who,
                suffix,
                count,
                seed,
            },
            span,
        );
        draw.peace(1_000, 1_500);
    });
}

fn upgrade(draw: &mut Draw) {
    draw.peace(300, 600);
    draw.then(Deed::Upgrade(Who::AllNodes), 0);
}

/// Draws what is done, and for how long.
type Kind = fn(&mut Draw) -> (Deed, u64);

/// One of each kind in a drawn order, with the weather of the network beside it.
fn everything(draw: &mut Draw) {
    let kinds: [Kind; 12] = [
        |draw| (Deed::Kill(draw.leader_or_follower()), draw.between(20, 1_500)),
        |draw| (Deed::PowerCut(draw.leader_or_follower()), draw.between(50, 1_000)),
        |draw| (Deed::Pause(draw.leader_or_follower()), draw.between(300, 4_000)),
        |draw| (Deed::Isolate(draw.leader_or_follower()), draw.between(300, 2_500)),
        |draw| (Deed::Mute(Who::Leader), draw.between(500, 2_000)),
        |draw| (Deed::Reset(draw.leader_or_follower()), draw.between(50, 200)),
        |draw| (Deed::Lead(draw.follower()), 0),
        |draw| {
            let who = draw.leader_or_follower();
            let how = disk::Sync::Delay { ms: 80 };
            (Deed::Sync { who, how }, draw.between(500, 2_000))
        },
        |draw| {
            let who = draw.follower();
            let how = disk::Sync::Fail;
            (Deed::Sync { who, how }, draw.between(500, 1_000))
        },
        |draw| {
            let who = draw.leader_or_follower();
            (
                Deed::Clock {
                    who,
                    offset_ms: 300_000,
                },
                draw.between(500, 2_000),
            )
        },
        |draw| (Deed::Restart(draw.leader_or_follower()), 0),
        |draw| (Deed::PowerCut(Who::AllNodes), draw.between(50, 500)),
    ];
    draw.repeat(|draw, _| {
        let Some(kind) = kinds.choose(&mut draw.rng) else {
            return;
        };
        if draw.one_in(4) {
            let (index, down) = (draw.worker(), draw.between(200, 3_000));
            draw.beside(Deed::Kill(Who::Worker { index }), down);
        }
        if draw.one_in(4) {
            let span = draw.between(1_000, 3_000);
            draw.beside(Deed::Loss { permille: 10 }, span);
        }
        let (deed, span) = kind(draw);
        draw.then(deed, span);
        draw.peace(200, 900);
    });
    one_at_a_time(&mut draw.steps);
}

/// A process to which something is done is not hit again before that is over: the second would have nothing to hit.
fn one_at_a_time(steps: &mut Vec<Step>) {
    let mut kept: Vec<Step> = Vec::new();
    for step in steps.drain(..) {
        let same = |other: &Step| match (worker_of(&other.deed), worker_of(&step.deed)) {
            (Some(one), Some(other)) => one == other,
            (None, Some(_)) | (Some(_), None) => false,
            (None, None) => other.deed.label() == step.deed.label(),
        };
        let overlaps = kept
            .iter()
            .any(|other| same(other) && step.at_ms <= other.end_ms() + 100);
        if !overlaps {
            kept.push(step);
        }
    }
    *steps = kept;
}

fn worker_of(deed: &Deed) -> Option<usize> {
    let mut deed = deed.clone();
    match deed.who_mut() {
        Some(Who::Worker { index }) => Some(*index),
        Some(Who::Leader | Who::Follower { .. } | Who::Majority | Who::AllNodes | Who::Named { .. })
        | None => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
