//! Projects take turns, and no gang waits for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::plan_pass;
use reeve_state::id::RunId;
use reeve_state::record::{Selector, TestDefinition};
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::RunStatus;
use support::{World, definition, group};

/// A project, and how many endpoints it asks for in one run.
type Wish = (&'static str, u32);

fn wish(endpoints: u32) -> TestDefinition {
    TestDefinition {
        queue_timeout: Millis::from_secs(600),
        ..definition(vec![group("g", endpoints, Selector::default())])
    }
}

/// A run that waits in QUEUED, or would if there were room.
fn queued(world: &mut World, project: &str, endpoints: u32) -> RunId {
    let run = world.submit_in(project, wish(endpoints));
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Queued);
    run
}

/// One pass over everything, and what it decided.
fn pass(world: &mut World) {
    let plan = plan_pass(&world.state, [], world.now, world.leader_since, &world.config);
    for (_, plan) in &plan.runs {
        world.execute(&plan.commands);
    }
}

fn placed(world: &World, runs: &[RunId]) -> Vec<bool> {
    runs.iter().map(|run| !world.current(*run).is_empty()).collect()
}

// Covers: R137
#[test]
fn a_project_that_floods_the_queue_does_not_keep_others_out() {
    let mut world = World::new();
    world.worker("eu", 100);
    let flood: Vec<RunId> = (0..8).map(|_| queued(&mut world, "flood", 20)).collect();
    let calm: Vec<RunId> = (0..2).map(|_| queued(&mut world, "calm", 20)).collect();
    pass(&mut world);
    assert_eq!(placed(&world, &calm), [true, true], "turn by turn");
    assert_eq!(
        placed(&world, &flood),
        [true, true, true, false, false, false, false, false],
        "oldest first within a project"
    );
}

#[test]
fn the_project_that_has_least_is_served_first() {
    let table: [(&[Wish], &[Wish], &[bool]); 4] = [
        // What runs already counts.
        (&[("a", 60)], &[("a", 40), ("b", 40)], &[false, true]),
        (&[("a", 50), ("b", 10)], &[("a", 30), ("b", 30)], &[false, true]),
        (&[("a", 10), ("b", 50)], &[("a", 30), ("b", 30)], &[true, false]),
        // Among equals the oldest run is first.
        (&[], &[("b", 60), ("a", 60)], &[true, false]),
    ];
    for (running, waiting, expected) in table {
        let mut world = World::new();
        world.worker("eu", 100);
        for (project, endpoints) in running {
            queued(&mut world, project, *endpoints);
            pass(&mut world);
        }
        let runs: Vec<RunId> = waiting
            .iter()
            .map(|(project, endpoints)| queued(&mut world, project, *endpoints))
            .collect();
        pass(&mut world);
        assert_eq!(placed(&world, &runs), expected, "{running:?} {waiting:?}");
    }
}

#[test]
fn a_gang_that_waits_is_not_starved_by_small_runs_of_a_project_that_has_less() {
    let mut world = World::new();
    world.worker("eu", 100);
    let busy = queued(&mut world, "large", 60);
    pass(&mut world);
    world.confirm_all(busy);
    world.step(busy);
    let gang = queued(&mut world, "large", 90);
    pass(&mut world);
    world.pass(world.config.hold_after);
    // However many small runs come, and however little their project has: the gang has waited.
    let small: Vec<RunId> = (0..3).map(|_| queued(&mut world, "small", 10)).collect();
    pass(&mut world);
    assert_eq!(placed(&world, &small), [false, false, false]);
    let assignment = world.current(busy).remove(0);
    world.finish(&assignment, EndpointOutcome::Success);
    world.report(&assignment, reeve_state::command::ReportEvent::Closed);
    pass(&mut world);
    assert_eq!(placed(&world, &[gang]), [true]);
    assert_eq!(placed(&world, &small), [true, false, false], "with what is left");
}

#[test]
fn a_flood_gains_nothing_by_having_waited() {
    let mut world = World::new();
    world.worker("eu", 100);
    let busy = queued(&mut world, "busy", 100);
    pass(&mut world);
    let flood: Vec<RunId> = (0..8).map(|_| queued(&mut world, "flood", 20)).collect();
    world.pass(Millis::from_secs(60));
    let calm: Vec<RunId> = (0..2).map(|_| queued(&mut world, "calm", 20)).collect();
    world.confirm_all(busy);
    world.step(busy);
    let assignment = world.current(busy).remove(0);
    world.finish(&assignment, EndpointOutcome::Success);
    world.report(&assignment, reeve_state::command::ReportEvent::Closed);
    pass(&mut world);
    assert_eq!(placed(&world, &calm), [true, true]);
    assert_eq!(placed(&world, &flood)[..4], [true, true, true, false]);
}
