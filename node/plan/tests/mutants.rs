//! Known bugs of planners bite. With the feature `mutants` only, and each test in a process of its own (cargo nextest).
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod support;

use reeve_plan::plan_pass;
use reeve_state::command::{Command, DrainOrder};
use reeve_state::id::WorkerId;
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::Selector;
use reeve_state::time::Millis;
use reeve_state::transition::worker::{AfterDrain, DrainActor};

use support::{World, definition, group};

/// What one pass over all runs places on each worker.
fn placed(world: &World) -> Vec<(WorkerId, u32)> {
    let pass = plan_pass(&world.state, [], world.now, world.leader_since, &world.config);
    let commands = pass.runs.into_iter().flat_map(|(_, plan)| plan.commands);
    let places = commands.filter_map(|planned| match planned.command {
        Command::PlaceRun(place) => Some(place.placements),
        _ => None,
    });
    places
        .flatten()
        .map(|placement| (placement.worker, placement.count))
        .collect()
}

fn queued(world: &mut World, endpoints: u32) {
    let run = world.submit(definition(vec![group("callers", endpoints, Selector::default())]));
    world.step(run);
}

#[test]
fn capacity_at_propose_gives_the_same_room_to_every_run_of_a_pass() {
    let mut world = World::new();
    let worker = world.worker("eu", 100);
    for _ in 0..3 {
        queued(&mut world, 80);
    }
    assert_eq!(placed(&world), [(worker, 80)]);
    mutant::choose(Mutant::CapacityAtPropose).unwrap();
    assert_eq!(placed(&world), [(worker, 80); 3]);
}

#[test]
fn no_drain_check_plans_on_a_worker_that_drains() {
    let mut world = World::new();
    let worker = world.worker("eu", 100);
    queued(&mut world, 80);
    let order = DrainOrder {
        actor: DrainActor::Platform,
        reason: "maintenance".to_owned(),
        timeout: Millis::from_secs(60),
        then: AfterDrain::Disconnect,
    };
    world.drain(worker, order);
    assert_eq!(placed(&world), []);
    mutant::choose(Mutant::NoDrainCheck).unwrap();
    assert_eq!(placed(&world), [(worker, 80)]);
}
