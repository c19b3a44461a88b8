//! What happens to probes, at random.

use std::collections::BTreeSet;

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::record::{Direction, SkipReason, Threshold};
use reeve_state::schedule::Interval;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::probe::ProbeStatus;

use crate::world::probes::*;
use crate::world::{World, run_id};

use super::{Act, RUNS, perform, run_act};

pub const PROBES: u8 = 2;

#[derive(Clone, Debug)]
pub enum ProbeAct {
    /// Creates or updates it: which schedule, and whether with which thresholds.
    Put(u8, u8, u8, u8),
    Delete(u8),
    Pause(u8, bool),
    /// Fires a slot of its schedule, or one beside it, this run.
    Fire(u8, u8, i8),
    Skip(u8, i8, bool),
    /// The slot that is open, or another.
    Evaluate(u8, bool),
}

fn probe() -> impl Strategy<Value = u8> {
    1..=PROBES
}

pub fn probe_act(runs: u8) -> impl Strategy<Value = ProbeAct> {
    use ProbeAct as A;
    let beside = || prop_oneof![8 => Just(0i8), 1 => -2..=2i8];
    prop_oneof![
        3 => (probe(), 0..3u8, 0..4u8, 0..3u8).prop_map(|(p, s, t, m)| A::Put(p, s, t, m)),
        1 => probe().prop_map(A::Delete),
        1 => (probe(), any::<bool>()).prop_map(|(p, on)| A::Pause(p, on)),
        8 => (probe(), 1..=runs, beside()).prop_map(|(p, r, b)| A::Fire(p, r, b)),
        2 => (probe(), beside(), any::<bool>()).prop_map(|(p, b, m)| A::Skip(p, b, m)),
        8 => (probe(), prop::bool::weighted(0.9)).prop_map(|(p, open)| A::Evaluate(p, open)),
    ]
}

/// The next slot of a probe, or one that is none.
fn slot(world: &World, n: u8, beside: i8) -> Time {
    let next = world.state.probe(probe_id(n)).and_then(|probe| probe.next_slot());
    let next = next.unwrap_or(Time(world.now));
    Time(next.0.saturating_add_signed(i64::from(beside) * 60_000))
}

/// None, usual ones, and such that what is well breaches the one or the other limit.
fn limits(which: u8) -> Vec<Threshold> {
    let inverted = |warning, critical| Threshold {
        direction: Direction::LowerIsBetter,
        ..threshold("success_rate", warning, critical)
    };
    match which {
        0 => Vec::new(),
        1 => vec![
            threshold("success_rate", Some(99_000), Some(50_000)),
            threshold("mos", Some(1), None),
        ],
        2 => vec![inverted(Some(50_000), None)],
        _ => vec![inverted(None, Some(50_000))],
    }
}

pub fn probe_command(world: &World, act: &ProbeAct) -> Command {
    match act {
        ProbeAct::Put(n, schedule, limited, mode) => {
            let definition = reeve_state::record::ProbeDefinition {
                schedule: match schedule {
                    0 => every(Interval::Five),
                    1 => every(Interval::Sixty),
                    _ => cron("*/2 * * * *"),
                },
                thresholds: limits(*limited),
                ..probe_definition(*n)
            };
            let mode = [ProbeMode::Create, ProbeMode::CreateOrUpdate, ProbeMode::Update][usize::from(*mode)];
            put_probe(*n, definition, mode)
        }
        ProbeAct::Delete(n) => delete_probe(*n),
        ProbeAct::Pause(n, paused) => pause_probe(*n, *paused),
        ProbeAct::Fire(n, run, beside) => Command::FireProbe(FireProbe {
            probe: probe_id(*n),
            slot: slot(world, *n, *beside),
            run: run_id(*run),
            revision: world
                .state
                .probe(probe_id(*n))
                .map(|probe| probe.revision)
                .unwrap_or_default(),
        }),
        ProbeAct::Skip(n, beside, missed) => {
            let reason = if *missed {
                SkipReason::Missed
            } else {
                SkipReason::PreviousStillRunning
            };
            skip_slot(*n, slot(world, *n, *beside), reason, 1)
        }
        ProbeAct::Evaluate(n, open) => {
            let of_open = world.state.probe(probe_id(*n)).and_then(|probe| probe.open);
            let slot = of_open
                .filter(|_| *open)
                .map_or(Time(world.now), |open| open.slot);
            evaluate_probe(*n, slot)
        }
    }
}

/// Fires a probe whose slot has come, if there is one.
pub fn fire_due(world: &World, run: u8) -> Option<Command> {
    let (_, id) = world
        .state
        .due_probes()
        .next()
        .filter(|(due, _)| due.0 <= world.now)?;
    let probe = world.state.probe(id).filter(|probe| probe.open.is_none())?;
    Some(Command::FireProbe(FireProbe {
        probe: id,
        slot: probe.next_slot()?,
        run: run_id(run),
        revision: probe.revision,
    }))
}

/// Judges a run that is over, if it is a probe's.
pub fn evaluate_open(world: &World, run: u8) -> Option<Command> {
    let run = world
        .state
        .run(run_id(run))
        .filter(|run| run.life.status().is_terminal())?;
    let probe = world
        .state
        .open_probes()
        .find(|probe| probe.open.is_some_and(|open| open.run == run.id))?;
    Some(Command::EvaluateProbe(EvaluateProbe {
        probe: probe.id,
        slot: probe.open?.slot,
    }))
}

/// Runs that come and go, and mostly what is done about probes.
fn much() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..=RUNS).prop_map(Act::Help),
        2 => run_act(),
        8 => probe_act(RUNS).prop_map(Act::Probe),
        2 => prop::sample::select(vec![60_000, 600_000]).prop_map(|ms| Act::Pass(Millis(ms))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_invariant_holds_where_probes_run_much(acts in prop::collection::vec(much(), 1..150)) {
        let mut world = super::world();
        for act in &acts {
            let _ = perform(&mut world, act);
        }
    }
}

#[test]
fn random_acts_reach_every_health_and_every_end_of_a_slot() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut healths = BTreeSet::new();
    let (mut fired, mut skipped) = (false, false);
    for _ in 0..2_000 {
        if healths.len() == ProbeStatus::ALL.len() && fired && skipped {
            break;
        }
        let acts = prop::collection::vec(much(), 60..150);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        let mut world = super::world();
        for act in &acts {
            let _ = perform(&mut world, act);
            let probes = || world.state.probes();
            healths.extend(probes().map(|probe| probe.health.status()));
            let slots = || probes().flat_map(|probe| world.state.probe_slots(probe.id));
            fired |= slots().any(|slot| slot.end.is_some());
            skipped |= slots().any(|slot| slot.skipped.is_some());
        }
    }
    assert_eq!(healths.into_iter().collect::<Vec<_>>(), ProbeStatus::ALL);
    assert!(fired && skipped, "{fired} {skipped}");
}
