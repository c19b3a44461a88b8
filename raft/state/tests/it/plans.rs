//! What a project's plan allows, checked when a run is queued, and its credits (R124, R190, R191, R195, D10).

use reeve_state::command::*;
use reeve_state::id::ProjectName;
use reeve_state::record::Usage;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::{RunReasonCode, RunStatus};

use crate::world::project::*;
use crate::world::registry::fields;
use crate::world::*;

fn red() -> ProjectName {
    ProjectName::from("red")
}

fn fault(result: Result<Reply, Refusal>) -> PlanFault {
    match result {
        Err(Refusal::OverPlan(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

fn at_once(endpoints: u32) -> PlanChange {
    PlanChange {
        max_concurrent_endpoints: Some(endpoints),
        ..PlanChange::default()
    }
}

/// Covers: R124, R190, R195
#[test]
fn endpoints_at_once_are_bounded() {
    for (limit, allowed) in [(199, false), (200, true), (201, true)] {
        let mut world = World::with_project(at_once(limit), None, 100);
        world.start_and_queue(1, 1).unwrap();
        let second = world.start_and_queue(2, 1);
        if allowed {
            second.unwrap();
            assert_eq!(
                world.usage("red"),
                Usage {
                    live: 2,
                    runs: 2,
                    endpoints: 200,
                    reserved: 0
                }
            );
            continue;
        }
        let fault = fault(second);
        assert_eq!(
            fault.to_string(),
            "the plan of project red allows 199 endpoints at once, 100 are in use by 1 runs, this run asks for 100"
        );
        assert_eq!(fault.code(), RunReasonCode::PlanLimitExceeded);
        assert_eq!(
            fault.suggestion(),
            "a plan of project red with 200 endpoints at once, or 1 fewer endpoints"
        );
    }
}

/// Covers: R124, R195
#[test]
fn runs_at_once_are_bounded() {
    let plan = PlanChange {
        max_concurrent_runs: Some(2),
        ..PlanChange::default()
    };
    let mut world = World::with_project(plan, None, 1);
    world.start_and_queue(1, 1).unwrap();
    world.start_and_queue(2, 1).unwrap();
    let third = fault(world.start_and_queue(3, 1));
    assert_eq!(
        third,
        PlanFault::ConcurrentRuns {
            project: red(),
            limit: 2,
            in_use: 2
        }
    );
    assert_eq!(third.code(), RunReasonCode::PlanLimitExceeded);
    world.ok(World::stop(1));
    world.ok(world.queue(3));
}

/// Covers: R190
#[test]
fn endpoints_of_one_run_are_bounded() {
    for (limit, allowed) in [(99, false), (100, true), (101, true)] {
        let plan = PlanChange {
            max_run_endpoints: Some(limit),
            ..PlanChange::default()
        };
        let mut world = World::with_project(plan, None, 100);
        let queued = world.start_and_queue(1, 1);
        if allowed {
            queued.unwrap();
        } else {
            let fault = fault(queued);
            assert_eq!(fault.code(), RunReasonCode::PlanLimitExceeded);
            assert!(
                fault.suggestion().ends_with("or 1 fewer endpoints"),
                "{}",
                fault.suggestion()
            );
        }
    }
}

/// Covers: R191, R195
#[test]
fn without_a_subscription_nothing_is_queued_and_what_runs_goes_on() {
    let mut world = World::with_project(PlanChange::default(), None, 1);
    world.start_and_queue(1, 1).unwrap();
    let inactive = PlanChange {
        subscription_active: Some(false),
        ..PlanChange::default()
    };
    world.ok(update_project("red", inactive));
    let second = fault(world.start_and_queue(2, 1));
    assert_eq!(second.code(), RunReasonCode::SubscriptionInactive);
    world.run_on_worker_1(1);
    assert_eq!(world.status(1), RunStatus::Running);
}

/// The definition of these tests: 100 endpoints for 5 s + 0.8 s + 20 s + 10 s, so 3,580 endpoint-seconds.
const NEEDED: u64 = 60;

/// Covers: R124, R191
#[test]
fn credits_are_reserved_in_whole_endpoint_minutes() {
    for (credits, allowed) in [(NEEDED - 1, false), (NEEDED, true), (NEEDED + 1, true)] {
        let mut world = World::with_project(PlanChange::default(), Some(credits), 100);
        let queued = world.start_and_queue(1, 1);
        if allowed {
            queued.unwrap();
            assert_eq!(world.credits("red"), credits - NEEDED);
            assert_eq!(world.run(1).credits_reserved, Some(NEEDED));
            assert_eq!(world.usage("red").reserved, NEEDED);
            continue;
        }
        let fault = fault(queued);
        assert_eq!(fault.code(), RunReasonCode::CreditsExhausted);
        assert_eq!(fault.suggestion(), "1 more endpoint-minutes for project red");
        world.ok(adjust("red", CreditChange::Add(1)));
        world.ok(world.queue(1));
        assert_eq!(world.credits("red"), 0);
    }
}

/// Covers: R124, R190, R191, R195
#[test]
fn two_runs_that_race_do_not_pass_one_limit_together() {
    // Both are planned on the same state, and stand in the log one after the other.
    for (plan, credits) in [
        (at_once(150), None),
        (
            PlanChange {
                max_concurrent_runs: Some(1),
                ..PlanChange::default()
            },
            None,
        ),
        (PlanChange::default(), Some(NEEDED * 2 - 1)),
    ] {
        let mut world = World::with_project(plan, credits, 100);
        world.start_run(1, 1);
        world.start_run(2, 1);
        let (one, two) = (world.queue(1), world.queue(2));
        world.ok(one);
        let refused = world.when(two);
        assert!(matches!(refused, Err(Refusal::OverPlan(_))), "{refused:?}");
        assert_eq!(world.status(2), RunStatus::Pending);
    }
}

/// Covers: R191
#[test]
fn a_run_that_ends_pays_for_what_it_used_and_gets_the_rest_back() {
    // Milliseconds from the common start, endpoint-minutes of 100 endpoints.
    for (after, used) in [
        (1, 1),
        (600, 1),
        (601, 2),
        (30_000, 50),
        (35_999, NEEDED),
        (36_000, NEEDED),
        (3_600_000, NEEDED),
    ] {
        let mut world = World::with_project(PlanChange::default(), Some(1_000), 100);
        world.start_and_queue(1, 1).unwrap();
        let start = world.run_on_worker_1(1);
        world.close_all(1, 0, EndpointOutcome::Success);
        // The clock of these tests goes on by 10 with each command.
        world.now = start + after - 10;
        world.ok(world.complete(1));
        assert_eq!(world.run(1).credits_used, Some(used), "after {after} ms");
        assert_eq!(world.credits("red"), 1_000 - used);
        assert_eq!(world.project("red").credits_spent, used);
        assert_eq!(world.usage("red"), Usage::default());
    }
}

/// Covers: R191
#[test]
fn a_run_that_never_ran_pays_nothing() {
    let begin = || {
        let mut world = World::with_project(PlanChange::default(), Some(100), 100);
        world.start_and_queue(1, 1).unwrap();
        assert_eq!(world.credits("red"), 100 - NEEDED);
        world
    };
    let mut rejected = begin();
    rejected.ok(rejected.reject(1, RunReasonCode::WorkersBusy));
    let mut cancelled = begin();
    cancelled.ok(World::stop(1));
    for world in [rejected, cancelled] {
        assert_eq!(world.credits("red"), 100);
        assert_eq!(world.run(1).credits_used, Some(0));
        assert_eq!(world.usage("red"), Usage::default());
    }
}

/// Covers: R191
#[test]
fn a_run_that_failed_pays_for_the_time_that_it_ran() {
    let mut world = World::with_project(PlanChange::default(), Some(100), 100);
    world.start_and_queue(1, 1).unwrap();
    let start = world.run_on_worker_1(1);
    world.now = start + 6_000 - 10;
    world.ok(world.fail(
        1,
        RunReasonCode::ExecutionTimeoutExceeded,
        EndpointOutcome::Timeout,
    ));
    assert_eq!(world.run(1).credits_used, Some(10));
    assert_eq!(world.credits("red"), 90);
}

#[test]
fn the_default_project_has_no_limits_and_its_runs_reserve_nothing() {
    let mut world = World::with_workers(1, 1_000_000);
    world.apply_test(1, definition("smoke", 1_000_000));
    for run in 1..=10 {
        world.start_and_queue(run, 1).unwrap();
    }
    assert_eq!(world.run(1).credits_reserved, None);
    assert_eq!(world.usage("default").endpoints, 10_000_000);
}

#[test]
fn credits_are_added_set_and_no_longer_counted() {
    let mut world = World::with_project(PlanChange::default(), None, 100);
    assert_eq!(
        fields(&world.refused(adjust("red", CreditChange::Add(5)))),
        ["add"]
    );
    world.ok(adjust("red", CreditChange::Set(100)));
    world.ok(adjust("red", CreditChange::Add(20)));
    world.ok(adjust("red", CreditChange::Add(-30)));
    assert_eq!(world.credits("red"), 90);
    let last = world.project("red").last_adjustment.clone().unwrap();
    assert_eq!((last.reason.as_str(), last.left), ("monthly", Some(90)));

    for (change, field) in [
        (CreditChange::Add(-91), "add"),
        (CreditChange::Add(i64::MIN), "add"),
        (CreditChange::Add(i64::MAX), "add"),
        (CreditChange::Add(0), "add"),
        (CreditChange::Set(u64::MAX), "set"),
    ] {
        assert_eq!(
            fields(&world.refused(adjust("red", change))),
            [field],
            "{change:?}"
        );
    }
    for reason in ["", "a\u{7}", &"x".repeat(1_025)] {
        let command = Command::AdjustCredits(AdjustCredits {
            project: red(),
            change: CreditChange::Set(1),
            reason: reason.to_owned(),
        });
        assert_eq!(fields(&world.refused(command)), ["reason"], "{reason:?}");
    }

    world.start_and_queue(1, 1).unwrap();
    world.ok(adjust("red", CreditChange::Unlimited));
    world.start_and_queue(2, 1).unwrap();
    assert_eq!(world.run(2).credits_reserved, None);
    world.ok(adjust("red", CreditChange::Set(0)));
    world.ok(World::stop(2));
    assert_eq!(world.credits("red"), 0, "it gives back only what it took");
    world.ok(World::stop(1));
    assert_eq!(world.credits("red"), NEEDED);
}

#[test]
fn lower_limits_stop_nothing_that_is_queued() {
    let mut world = World::with_project(PlanChange::default(), None, 100);
    world.start_and_queue(1, 1).unwrap();
    world.ok(update_project("red", at_once(50)));
    assert_eq!(world.status(1), RunStatus::Queued);
    let second = fault(world.start_and_queue(2, 1));
    assert_eq!(
        second.suggestion(),
        "a plan of project red with 200 endpoints at once, or other runs to end"
    );
}

/// Covers: R198
#[test]
fn a_limit_that_was_raised_lets_the_same_run_through() {
    let mut world = World::with_project(at_once(99), None, 100);
    assert!(matches!(
        fault(world.start_and_queue(1, 1)),
        PlanFault::ConcurrentEndpoints { .. }
    ));
    world.ok(update_project("red", at_once(100)));
    world.ok(world.queue(1));
}
