//! The planner of drains, rule by rule.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::drain::{DrainPlan, plan};
use reeve_state::command::{Command, DrainOrder, ReportEvent, SetDrain};
use reeve_state::id::{RunId, WorkerId};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::worker::{AfterDrain, DrainActor, WorkerStatus};
use support::{World, definition, group, region};

const SETTLE: Millis = Millis::from_secs(10);

fn look(world: &World) -> DrainPlan {
    plan(&world.state, world.now, world.leader_since, &world.config)
}

fn order(timeout: Millis, then: AfterDrain) -> DrainOrder {
    DrainOrder {
        actor: DrainActor::Admin("ann".to_owned()),
        reason: "test".to_owned(),
        timeout,
        then,
    }
}

/// A worker that executes 60 endpoints.
fn executing() -> (World, WorkerId, RunId) {
    let mut world = World::new();
    let worker = world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 60, region("eu"))]));
    (world, worker, run)
}

fn abandons(plan: &DrainPlan) -> bool {
    !plan.commands.is_empty()
        && plan
            .commands
            .iter()
            .all(|planned| matches!(planned.command, Command::AbandonAssignments(_)))
}

fn oserrors(world: &World, run: RunId) -> u32 {
    world.state.run_counts(run).outcome(EndpointOutcome::Oserror)
}

// Covers: R36, R67
#[test]
fn until_its_deadline_a_drain_cuts_nothing_off() {
    let (mut world, worker, run) = executing();
    world.drain(worker, order(Millis::from_secs(60), AfterDrain::Disconnect));
    let deadline = world.now + Millis::from_secs(60);
    world.now = Time(deadline.0 - 1);
    let early = look(&world);
    assert_eq!((early.commands.len(), early.next_wake), (0, Some(deadline)));
    world.now = deadline;
    let due = look(&world);
    assert!(abandons(&due), "{due:?}");
    world.execute(&due.commands);
    assert_eq!(oserrors(&world, run), 60);
}

#[test]
fn a_forced_drain_is_enforced_at_once() {
    let (mut world, worker, run) = executing();
    world.drain(worker, order(Millis(0), AfterDrain::Disconnect));
    let due = look(&world);
    assert!(abandons(&due), "{due:?}");
    world.execute(&due.commands);
    assert_eq!(oserrors(&world, run), 60);
    assert_eq!(world.current(run).len(), 0);
}

// Covers: R36
#[test]
fn a_new_leader_hears_what_waits_before_it_cuts_anything_off_by_force_or_not() {
    for timeout in [Millis(0), Millis::from_secs(5)] {
        let (mut world, worker, run) = executing();
        world.drain(worker, order(timeout, AfterDrain::Disconnect));
        world.pass(Millis::from_secs(5));
        world.leader_since = world.now;
        let new = look(&world);
        assert_eq!(
            (new.commands.len(), new.next_wake),
            (0, Some(world.now + SETTLE)),
            "{timeout}"
        );
        // The endpoints had ended during the outage: the report comes, and they are not counted as failures.
        let assignment = world.current(run).remove(0);
        world.finish(&assignment, EndpointOutcome::Success);
        world.pass(SETTLE);
        let settled = look(&world);
        assert_eq!(settled.commands, [], "{timeout}");
        assert_eq!(oserrors(&world, run), 0, "{timeout}");
    }
}

#[test]
fn a_forced_drain_of_a_new_leaders_own_waits_for_the_same_reports() {
    let (mut world, worker, _) = executing();
    world.leader_since = world.now;
    world.pass(Millis::from_secs(4));
    world.drain(worker, order(Millis(0), AfterDrain::Disconnect));
    let early = look(&world);
    assert_eq!(
        (early.commands.len(), early.next_wake),
        (0, Some(world.leader_since + SETTLE))
    );
    world.now = world.leader_since + SETTLE;
    assert!(abandons(&look(&world)));
}

// Covers: R13
#[test]
fn a_drain_that_ends_in_a_resume_is_taken_back_when_nothing_is_left() {
    let (mut world, worker, run) = executing();
    world.drain(worker, order(Millis::from_secs(60), AfterDrain::Resume));
    let assignment = world.current(run).remove(0);
    world.finish(&assignment, EndpointOutcome::Success);
    assert_eq!(
        look(&world).commands,
        [],
        "all ended, but the worker has not let go yet"
    );
    world.report(&assignment, ReportEvent::Closed);
    let done = look(&world);
    assert_eq!(done.commands.len(), 1);
    assert_eq!(
        done.commands[0].command,
        Command::SetDrain(SetDrain { worker, drain: None })
    );
    world.execute(&done.commands);
    assert_eq!(world.state.worker(worker).unwrap().status(), WorkerStatus::Online);
}

// Covers: R20
#[test]
fn a_drain_that_ends_in_a_disconnect_is_ended_by_the_workers_leaving() {
    let mut world = World::new();
    let workers = [world.worker("eu", 10), world.ping_worker("eu", 10)];
    for worker in workers {
        world.drain(worker, order(Millis::from_secs(60), AfterDrain::Disconnect));
        world.pass(Millis::from_secs(3_600));
        assert_eq!(look(&world), DrainPlan::default());
        assert_eq!(
            world.state.worker(worker).unwrap().status(),
            WorkerStatus::Draining
        );
    }
}
