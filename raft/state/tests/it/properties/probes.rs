//! What happens to probes, at random.

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::record::SkipReason;
use reeve_state::schedule::Interval;
use reeve_state::time::Time;

use crate::world::probes::*;
use crate::world::{World, run_id};

pub const PROBES: u8 = 2;

#[derive(Clone, Debug)]
pub enum ProbeAct {
    /// Creates or updates it: which schedule, and whether with a threshold.
    Put(u8, u8, bool, u8),
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
        3 => (probe(), 0..3u8, any::<bool>(), 0..3u8).prop_map(|(p, s, t, m)| A::Put(p, s, t, m)),
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

pub fn probe_command(world: &World, act: &ProbeAct) -> Command {
    match act {
        ProbeAct::Put(n, schedule, limited, mode) => {
            let definition = reeve_state::record::ProbeDefinition {
                schedule: match schedule {
                    0 => every(Interval::Five),
                    1 => every(Interval::Sixty),
                    _ => cron("*/2 * * * *"),
                },
                thresholds: if *limited {
                    vec![threshold("success_rate", Some(99_000), Some(50_000))]
                } else {
                    Vec::new()
                },
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
