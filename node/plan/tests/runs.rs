//! The planner of runs, rule by rule, with apply doing what was planned.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::plan_pass;
use reeve_state::command::{Command, DrainOrder, ReportEvent, SetDrain, StopRun};
use reeve_state::record::Selector;
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{AfterDrain, DrainActor, Link};
use support::{World, definition, group, region};

fn any() -> Selector {
    Selector::default()
}

// Covers: R94, R125, R129, R131, R134, R136, R146, R201
#[test]
fn the_happy_path() {
    let mut world = World::new();
    world.worker("eu", 500);
    let run = world.submit(definition(vec![group("g", 100, any())]));
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Queued);
    world.step(run);
    assert_eq!(world.current(run).len(), 1);
    assert!(
        world.plan(run).commands.is_empty(),
        "it waits for the confirmation"
    );
    world.confirm_all(run);
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Running);
    assert!(world.plan(run).commands.is_empty(), "it waits for the endpoints");
    let assignment = world.current(run).remove(0);
    world.finish(&assignment, EndpointOutcome::Success);
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Completed);
    assert_eq!(
        world.plan(run),
        Default::default(),
        "a terminal run needs nothing"
    );
}

// Covers: R126, R185, R188, R203
#[test]
fn without_an_online_worker_in_the_region_a_run_is_rejected_at_once() {
    let mut world = World::new();
    world.worker("us", 500);
    let down = world.worker("eu", 500);
    world.link(down, Link::Down);
    let run = world.submit(definition(vec![group("g", 100, region("eu"))]));
    world.step(run);
    assert_eq!(
        world.reason(run),
        (
            RunReasonCode::NoOnlineWorkers,
            "no ONLINE worker in region eu".to_owned()
        )
    );
    assert_eq!(
        world.suggestion(run),
        "an ONLINE worker in region eu with capacity for 100 endpoints"
    );
    let explanation = world.run(run).explanation.clone().unwrap();
    let removed: Vec<u32> = explanation.groups[0]
        .removed
        .iter()
        .map(|count| count.workers)
        .collect();
    assert_eq!(removed, [0, 1, 0, 1, 0], "one in another region, one not ONLINE");
}

// Covers: R97, R192, R203
#[test]
fn more_endpoints_than_all_capacity_are_rejected_at_once() {
    let mut world = World::new();
    world.worker("eu-west", 60);
    let run = world.submit(definition(vec![group("g", 100, region("eu-west"))]));
    world.step(run);
    assert_eq!(world.reason(run).0, RunReasonCode::InsufficientCapacity);
    assert_eq!(
        world.suggestion(run),
        "40 more endpoints of capacity in region eu-west"
    );
}

// Covers: R137, R138, R189, R194, R204
#[test]
fn busy_workers_are_waited_for_until_the_queue_deadline() {
    let mut world = World::new();
    world.worker("eu", 100);
    let busy = world.running(definition(vec![group("g", 70, any())]));
    let run = world.submit(definition(vec![group("g", 40, any())]));
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Queued);
    let plan = world.plan(run);
    assert!(plan.commands.is_empty());
    assert_eq!(plan.next_wake, world.run(run).queue_deadline);
    world.pass(Millis::from_secs(5));
    world.step(run);
    assert_eq!(world.status(run), RunStatus::CannotRunForNow);
    assert_eq!(world.reason(run).0, RunReasonCode::WorkersBusy);
    assert_eq!(
        world.suggestion(run),
        "10 more endpoints of capacity in any region"
    );
    assert_eq!(world.status(busy), RunStatus::Running);
}

// Covers: R198
#[test]
fn the_same_test_runs_once_the_constraint_is_gone() {
    let mut world = World::new();
    world.worker("us", 100);
    let wish = definition(vec![group("g", 10, region("eu"))]);
    let run = world.submit(wish.clone());
    world.step(run);
    assert_eq!(world.status(run), RunStatus::CannotRunForNow);
    world.worker("eu", 100);
    world.running(wish);
}

// Covers: R137, R204
#[test]
fn workers_that_left_after_queueing_reject_the_run_at_its_deadline() {
    let mut world = World::new();
    let worker = world.worker("eu", 100);
    let run = world.submit(definition(vec![group("g", 100, any())]));
    world.step(run);
    world.link(worker, Link::Down);
    assert!(world.plan(run).commands.is_empty(), "it may come back");
    world.pass(Millis::from_secs(5));
    world.step(run);
    assert_eq!(world.reason(run).0, RunReasonCode::NoOnlineWorkers);
}

// Covers: R135, R137
#[test]
fn a_worker_that_is_not_ready_is_replaced_once_and_never_by_itself() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.worker("eu", 100);
    let run = world.offered(definition(vec![group("g", 40, any())]));
    let first = world.current(run).remove(0);
    world.report(
        &first,
        ReportEvent::NotReady {
            reason: "port taken".to_owned(),
        },
    );
    world.step(run);
    let second = world.current(run).remove(0);
    assert_ne!(second.worker, first.worker);
    assert_eq!((second.first, second.count), (0, 40));
    world.report(
        &second,
        ReportEvent::NotReady {
            reason: "port taken too".to_owned(),
        },
    );
    world.step(run);
    let (code, message) = world.reason(run);
    assert_eq!(code, RunReasonCode::WorkersNotReady);
    assert!(
        message.contains("port taken;") && message.contains("port taken too"),
        "{message}"
    );
}

// Covers: R137
#[test]
fn a_drain_or_an_error_before_ready_counts_as_not_ready_but_not_after() {
    let drain = |world: &mut World, worker| {
        let order = DrainOrder {
            actor: DrainActor::Admin("a".to_owned()),
            reason: "test".to_owned(),
            timeout: Millis::from_secs(60),
            then: AfterDrain::Resume,
        };
        world.drain(worker, order);
    };
    for overload in [false, true] {
        let mut world = World::new();
        world.worker("eu", 100);
        world.worker("eu", 100);
        let run = world.offered(definition(vec![group("g", 40, any())]));
        let first = world.current(run).remove(0);
        if overload {
            world.overload(first.worker)
        } else {
            drain(&mut world, first.worker)
        }
        world.step(run);
        let second = world.current(run).remove(0);
        assert_ne!(second.worker, first.worker);
        assert_eq!(
            world.state.assignment(first.key).unwrap().life.status(),
            AssignmentStatus::Lost
        );
        world.confirm_all(run);
        drain(&mut world, second.worker);
        world.step(run);
        assert_eq!(world.status(run), RunStatus::Running);
    }
}

// Covers: R137
#[test]
fn silence_is_judged_at_the_ready_deadline_and_only_by_a_leader_that_settled() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.worker("eu", 100);
    let run = world.offered(definition(vec![group("g", 80, any())]));
    let first = world.current(run).remove(0);
    world.pass(Millis(9_999));
    assert!(world.plan(run).commands.is_empty());
    world.pass(Millis(1));
    world.leader_since = world.now;
    let plan = world.plan(run);
    assert_eq!(
        (plan.commands.len(), plan.next_wake),
        (0, Some(world.now + Millis::from_secs(10)))
    );
    world.pass(Millis::from_secs(10));
    world.step(run);
    assert_ne!(world.current(run)[0].worker, first.worker);
}

#[test]
fn a_replacement_keeps_what_is_ready_and_fills_exactly_the_gap() {
    let mut world = World::new();
    for _ in 0..4 {
        world.worker("eu", 60);
    }
    let run = world.offered(definition(vec![group("a", 60, any()), group("b", 60, any())]));
    let current = world.current(run);
    world.report(&current[0], ReportEvent::Ready);
    world.link(current[1].worker, Link::Down);
    world.step(run);
    world.confirm_all(run);
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Running);
    assert!(world.current(run).iter().any(|kept| kept.key == current[0].key));
}

#[test]
fn without_room_for_a_replacement_the_run_waits_until_its_ready_deadline() {
    let mut world = World::new();
    world.worker("eu", 100);
    let run = world.offered(definition(vec![group("g", 80, any())]));
    let first = world.current(run).remove(0);
    world.report(
        &first,
        ReportEvent::NotReady {
            reason: "no".to_owned(),
        },
    );
    assert_eq!(world.plan(run).commands.len(), 0);
    world.pass(Millis::from_secs(10));
    world.step(run);
    assert_eq!(world.reason(run).0, RunReasonCode::WorkersNotReady);
}

// Covers: R147, R166, R168, R202
#[test]
fn all_workers_lost_fails_the_run_some_lost_does_not() {
    let mut world = World::new();
    world.worker("eu", 60);
    world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 120, any())]));
    let current = world.current(run);
    world.link(current[0].worker, Link::Down);
    assert!(
        world.plan(run).commands.is_empty(),
        "the run goes on on the other worker"
    );
    world.link(current[1].worker, Link::Down);
    let closed = world.state.run_counts(run).phase(EndpointPhase::Closed);
    assert_eq!(closed, 120, "every endpoint is closed, and still it is FAILED");
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Failed);
    assert_eq!(
        world.reason(run),
        (
            RunReasonCode::AllWorkersDisconnected,
            "All workers disconnected".to_owned()
        )
    );
}

// Covers: R110, R146, R152
#[test]
fn endpoints_that_failed_or_were_lost_count_as_closed() {
    let mut world = World::new();
    world.worker("eu", 60);
    world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 120, any())]));
    let current = world.current(run);
    world.link(current[0].worker, Link::Down);
    world.finish(&current[1], EndpointOutcome::RegistrationFailed);
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Completed);
}

// Covers: R167, R170
#[test]
fn the_safety_limit_fails_the_run_once_the_leader_settled() {
    let mut world = World::new();
    world.worker("eu", 100);
    let run = world.running(definition(vec![group("g", 10, any())]));
    let deadline = world.run(run).execution_deadline.unwrap();
    assert_eq!(world.plan(run).next_wake, Some(deadline));
    world.now = deadline;
    world.leader_since = deadline;
    assert!(world.plan(run).commands.is_empty());
    world.pass(Millis::from_secs(10));
    world.step(run);
    let reason = (
        RunReasonCode::ExecutionTimeoutExceeded,
        "Execution timeout exceeded".to_owned(),
    );
    assert_eq!(world.reason(run), reason);
    assert_eq!(world.state.run_counts(run).outcome(EndpointOutcome::Timeout), 10);
}

#[test]
fn a_stop_gives_up_what_does_not_hang_up_in_time() {
    let mut world = World::new();
    world.worker("eu", 60);
    world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 120, any())]));
    let current = world.current(run);
    world
        .apply(Command::StopRun(StopRun {
            run,
            grace: Millis::from_secs(5),
        }))
        .unwrap();
    world.finish(&current[0], EndpointOutcome::Success);
    assert_eq!(world.plan(run).next_wake, world.run(run).stop_deadline);
    world.pass(Millis::from_secs(5));
    world.step(run);
    assert_eq!(
        world.state.assignment(current[1].key).unwrap().detail.as_deref(),
        Some("stop_deadline")
    );
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Completed);
    assert_eq!(world.reason(run).0, RunReasonCode::StoppedByUser);
}

#[test]
fn two_runs_of_one_pass_never_take_the_same_capacity() {
    let mut world = World::new();
    world.worker("eu", 100);
    let runs = [(); 3].map(|()| world.submit(definition(vec![group("g", 50, any())])));
    let pass = plan_pass(&world.state, runs, world.now, world.leader_since, &world.config);
    pass.runs
        .iter()
        .for_each(|(_, plan)| world.execute(&plan.commands));
    let pass = plan_pass(&world.state, runs, world.now, world.leader_since, &world.config);
    // `execute` unwraps: a refused placement would fail here.
    pass.runs
        .iter()
        .for_each(|(_, plan)| world.execute(&plan.commands));
    assert_eq!(
        runs.map(|run| world.current(run).len()),
        [1, 1, 0],
        "oldest first"
    );
    assert_eq!(pass.next_wake(), Some(world.now + world.config.retry));
}

#[test]
fn a_large_run_that_waits_is_not_starved_by_younger_small_ones() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.worker("us", 100);
    let busy = world.running(definition(vec![group("g", 60, region("eu"))]));
    let long = |groups| reeve_state::record::TestDefinition {
        queue_timeout: Millis::from_secs(60),
        ..definition(groups)
    };
    let large = world.submit(long(vec![group("g", 90, region("eu"))]));
    world.step(large);
    world.pass(world.config.hold_after);
    let small = world.submit(long(vec![group("g", 10, region("eu"))]));
    let elsewhere = world.submit(long(vec![group("g", 10, region("us"))]));
    for run in [small, elsewhere] {
        world.step(run);
        world.step(run);
    }
    assert_eq!(
        world.current(small).len(),
        0,
        "what the large run could use is held back"
    );
    assert_eq!(world.current(elsewhere).len(), 1, "what it could not use is not");
    let assignment = world.current(busy).remove(0);
    world.finish(&assignment, EndpointOutcome::Success);
    world.report(&assignment, ReportEvent::Closed);
    world.step(large);
    world.step(small);
    assert_eq!((world.current(large).len(), world.current(small).len()), (1, 1));
}

#[test]
fn nothing_is_held_for_a_run_that_even_idle_workers_could_not_take() {
    let mut world = World::new();
    world.worker("eu", 100);
    let second = world.worker("eu", 100);
    let large = world.submit(definition(vec![group("g", 150, any())]));
    world.step(large);
    world.link(second, Link::Down);
    world.pass(Millis::from_secs(2));
    let small = world.submit(definition(vec![group("g", 10, any())]));
    world.step(small);
    world.step(small);
    assert_eq!(world.current(small).len(), 1);
}

#[test]
fn drains_end_when_complete_and_are_enforced_at_their_deadline() {
    let mut world = World::new();
    let worker = world.worker("eu", 60);
    world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 120, any())]));
    let order = DrainOrder {
        actor: DrainActor::Admin("a".to_owned()),
        reason: "test".to_owned(),
        timeout: Millis::from_secs(30),
        then: AfterDrain::Resume,
    };
    world.drain(worker, order);
    let plan = reeve_plan::drain::plan(&world.state, world.now, world.leader_since, &world.config);
    assert_eq!(
        (plan.commands.len(), plan.next_wake),
        (0, Some(world.now + Millis::from_secs(30)))
    );
    world.pass(Millis::from_secs(30));
    let plan = reeve_plan::drain::plan(&world.state, world.now, world.leader_since, &world.config);
    world.execute(&plan.commands);
    let lost = world
        .assignments(run)
        .into_iter()
        .find(|assignment| assignment.worker == worker)
        .unwrap();
    assert_eq!(
        (lost.lost, lost.detail.as_deref()),
        (true, Some("drain_deadline"))
    );
    let plan = reeve_plan::drain::plan(&world.state, world.now, world.leader_since, &world.config);
    assert!(plan.commands.is_empty(), "the worker has not let go yet");
    world.report(&lost, ReportEvent::Closed);
    let plan = reeve_plan::drain::plan(&world.state, world.now, world.leader_since, &world.config);
    assert_eq!(
        plan.commands[0].command,
        Command::SetDrain(SetDrain { worker, drain: None })
    );
}

// Covers: R110, R147, R174
#[test]
fn a_run_fails_for_as_many_workers_as_its_definition_says() {
    let mut world = World::new();
    for _ in 0..5 {
        world.worker("eu", 60);
    }
    let wish = reeve_state::record::TestDefinition {
        on_worker_loss: reeve_state::record::OnWorkerLoss::FailAbove { share_ppm: 200_000 },
        ..definition(vec![group("g", 300, any())])
    };
    let run = world.running(wish);
    let current = world.current(run);
    assert_eq!(current.len(), 5);
    world.link(current[0].worker, Link::Down);
    assert!(world.plan(run).commands.is_empty(), "20 % is not above 20 %");
    world.link(current[1].worker, Link::Down);
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Failed);
    assert_eq!(
        world.reason(run),
        (
            RunReasonCode::WorkerLost,
            "2 of 5 workers lost: 40 % of endpoints, the limit is 20 %".to_owned()
        )
    );
    let closed = world.state.run_counts(run).phase(EndpointPhase::Closed);
    assert_eq!(closed, 300, "the workers that are left are told to stop");
}

// Covers: R169, R181
#[test]
fn a_run_that_lost_its_own_records_fails_as_a_fault_of_the_platform() {
    let mut world = World::new();
    world.worker("eu", 60);
    let run = world.running(definition(vec![group("g", 30, any())]));
    let rows = [reeve_state::change::Row::Run(world.run(run))];
    let damaged = reeve_state::State::from_rows(*world.state.meta(), rows);
    let row = damaged.run(run).unwrap();
    let plan = reeve_plan::runs::plan(&damaged, row, world.now, world.leader_since, &world.config);
    let Some(Command::FailRun(fail)) = plan.commands.first().map(|planned| &planned.command) else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (fail.reason.code, fail.reason.message.as_str()),
        (
            RunReasonCode::UnrecoverablePlatformError,
            "Unrecoverable platform error"
        )
    );
}
