//! The planner of retention, with apply doing what was planned.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use reeve_plan::retention::{RetentionConfig, plan};
use reeve_state::command::{ApplyMode, ApplyTest, Command, StartRun, StopRun};
use reeve_state::id::{ProjectName, RunId, TestId};
use reeve_state::record::Selector;
use reeve_state::time::Millis;
use support::{World, bytes, definition, group};

const DAY: Millis = Millis::from_secs(24 * 3_600);

/// A run that was cancelled at once.
fn ended(world: &mut World, number: u64) -> RunId {
    let (test, run) = (TestId::from_bytes(bytes(1)), RunId::from_bytes(bytes(number)));
    let definition = Arc::new(definition(vec![group("g", 1, Selector::default())]));
    let mode = ApplyMode::CreateOrUpdate;
    let apply = ApplyTest {
        id: test,
        definition,
        mode,
        project: ProjectName::default(),
    };
    world.apply(Command::ApplyTest(apply)).unwrap();
    world.apply(Command::StartRun(StartRun { run, test })).unwrap();
    let grace = Millis(0);
    world.apply(Command::StopRun(StopRun { run, grace })).unwrap();
    run
}

#[test]
fn runs_are_purged_longest_ago_first_a_few_at_a_time_and_the_next_one_is_waited_for() {
    let mut world = World::new();
    let config = RetentionConfig {
        retention: DAY,
        most_per_pass: 2,
    };
    assert_eq!(plan(&world.state, world.now, &config).next_wake, None);
    let first_end = world.now;
    let old: Vec<RunId> = [13, 12, 11].map(|n| ended(&mut world, n)).into();
    world.pass(Millis(1_000));
    let young = ended(&mut world, 10);
    let waiting = plan(&world.state, world.now, &config);
    assert_eq!(
        (waiting.commands.len(), waiting.next_wake),
        (0, Some(first_end + DAY))
    );
    world.now = first_end + DAY;
    for expected in [2, 1] {
        let due = plan(&world.state, world.now, &config);
        assert_eq!(due.commands.len(), expected);
        for planned in due.commands {
            world.apply(planned.command).unwrap();
        }
    }
    assert!(old.iter().all(|run| world.state.run(*run).is_none()));
    assert!(world.state.run(young).is_some());
    let rest = plan(&world.state, world.now, &config);
    assert_eq!(rest.next_wake, Some(first_end + Millis(1_000) + DAY));
}
