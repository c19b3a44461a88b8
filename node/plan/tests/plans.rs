//! Projects' plans as the planner sees them: the typed reason, and the smallest change that helps (R124, R190, R191, R195, D10).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::plan_pass;
use reeve_state::command::{
    AdjustCredits, ApplyMode, ApplyTest, Command, CreditChange, PlanChange, PutMode, PutProject, StartRun,
    StopRun,
};
use reeve_state::definition::credits_needed;
use reeve_state::id::{ProjectName, RunId, TestId};
use reeve_state::record::{Selector, TestDefinition};
use reeve_state::time::Millis;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use support::{World, bytes, definition, group};

fn red() -> ProjectName {
    ProjectName::from("red")
}

fn test_id() -> TestId {
    TestId::from_bytes(bytes(9_000))
}

fn asks_for(endpoints: u32) -> TestDefinition {
    definition(vec![group("g", endpoints, Selector::default())])
}

fn put(mode: PutMode, plan: PlanChange) -> Command {
    Command::PutProject(PutProject {
        project: red(),
        mode,
        plan,
    })
}

/// Project red with a test of 100 endpoints, and workers for many runs of it.
fn with_project(plan: PlanChange, credits: Option<u64>) -> World {
    let mut world = World::new();
    world.worker("eu", 10_000);
    world.apply(put(PutMode::Create { credits }, plan)).unwrap();
    let apply = ApplyTest {
        id: test_id(),
        definition: asks_for(100).into(),
        mode: ApplyMode::CreateOnly,
        project: red(),
    };
    world.apply(Command::ApplyTest(apply)).unwrap();
    world
}

fn start(world: &mut World, number: u64) -> RunId {
    let run = RunId::from_bytes(bytes(10_000 + number));
    let test = test_id();
    world.apply(Command::StartRun(StartRun { run, test })).unwrap();
    run
}

/// Starts a run and does what the planner says of it.
fn judged(world: &mut World, number: u64) -> RunId {
    let run = start(world, number);
    world.step(run);
    run
}

fn add(credits: i64) -> Command {
    Command::AdjustCredits(AdjustCredits {
        project: red(),
        change: CreditChange::Add(credits),
        reason: "top up".to_owned(),
    })
}

/// The run was refused with this; one less than what was suggested does not help, what was suggested does.
fn helped(
    mut world: World,
    refused: RunId,
    expected: (RunReasonCode, &str, &str),
    less: Command,
    change: Command,
) {
    let (code, message, suggestion) = expected;
    assert_eq!(world.status(refused), RunStatus::CannotRunForNow);
    assert_eq!(world.reason(refused), (code, message.to_owned()));
    assert_eq!(world.suggestion(refused), suggestion);
    world.apply(less).unwrap();
    let still = judged(&mut world, 90);
    assert_eq!(world.reason(still).0, code, "one less is not enough");
    world.apply(change).unwrap();
    let run = judged(&mut world, 91);
    assert_eq!(world.status(run), RunStatus::Queued, "R198");
}

// Covers: R124, R190, R195, R196, R198
#[test]
fn too_many_endpoints_at_once() {
    let limit = |limit| PlanChange {
        max_concurrent_endpoints: Some(limit),
        ..PlanChange::default()
    };
    let mut world = with_project(limit(150), None);
    let first = judged(&mut world, 1);
    assert_eq!(world.status(first), RunStatus::Queued);
    let second = judged(&mut world, 2);
    helped(
        world,
        second,
        (
            RunReasonCode::PlanLimitExceeded,
            "the plan of project red allows 150 endpoints at once, 100 are in use by 1 runs, this run asks for 100",
            "a plan of project red with 200 endpoints at once, or 50 fewer endpoints",
        ),
        put(PutMode::Update, limit(199)),
        put(PutMode::Update, limit(200)),
    );
}

// Covers: R190, R198
#[test]
fn too_many_endpoints_in_one_run() {
    let limit = |limit| PlanChange {
        max_run_endpoints: Some(limit),
        ..PlanChange::default()
    };
    let mut world = with_project(limit(60), None);
    let run = judged(&mut world, 1);
    helped(
        world,
        run,
        (
            RunReasonCode::PlanLimitExceeded,
            "the plan of project red allows 60 endpoints in one run, this run asks for 100",
            "a plan of project red with 100 endpoints in one run, or 40 fewer endpoints",
        ),
        put(PutMode::Update, limit(99)),
        put(PutMode::Update, limit(100)),
    );
}

// Covers: R195, R196, R198
#[test]
fn too_many_runs_at_once() {
    let limit = |limit| PlanChange {
        max_concurrent_runs: Some(limit),
        ..PlanChange::default()
    };
    let mut world = with_project(limit(2), None);
    judged(&mut world, 1);
    judged(&mut world, 2);
    let third = judged(&mut world, 3);
    helped(
        world,
        third,
        (
            RunReasonCode::PlanLimitExceeded,
            "the plan of project red allows 2 runs at once, 2 are queued or running",
            "a plan of project red with 3 runs at once, or another run to end",
        ),
        put(PutMode::Update, limit(2)),
        put(PutMode::Update, limit(3)),
    );
}

// Covers: R124, R191, R196, R198
#[test]
fn too_few_credits() {
    let needed = credits_needed(&asks_for(100));
    let world_with = |credits| with_project(PlanChange::default(), Some(credits));
    let mut world = world_with(needed + 7);
    let first = judged(&mut world, 1);
    assert_eq!(world.run(first).credits_reserved, Some(needed));
    let second = judged(&mut world, 2);
    let message = format!(
        "project red has 7 endpoint-minutes left ({needed} more are reserved by its other runs), this run needs {needed}"
    );
    let suggestion = format!("{} more endpoint-minutes for project red", needed - 7);
    helped(
        world,
        second,
        (RunReasonCode::CreditsExhausted, &message, &suggestion),
        add(i64::try_from(needed).unwrap() - 8),
        add(1),
    );
}

// Covers: R191, R195, R196, R198
#[test]
fn no_subscription() {
    let active = |active| PlanChange {
        subscription_active: Some(active),
        ..PlanChange::default()
    };
    let mut world = with_project(active(false), None);
    let run = judged(&mut world, 1);
    helped(
        world,
        run,
        (
            RunReasonCode::SubscriptionInactive,
            "the subscription of project red is not active",
            "an active subscription of project red",
        ),
        put(PutMode::Update, active(false)),
        put(PutMode::Update, active(true)),
    );
}

// Covers: R124, R127, R195
#[test]
fn two_runs_of_one_pass_do_not_pass_a_limit_together_and_the_second_is_judged_by_what_is_committed() {
    let limit = PlanChange {
        max_concurrent_endpoints: Some(150),
        ..PlanChange::default()
    };
    let mut world = with_project(limit, None);
    let (one, two) = (start(&mut world, 1), start(&mut world, 2));
    let pass = |world: &World, runs: &[RunId]| {
        plan_pass(
            &world.state,
            runs.to_vec(),
            world.now,
            world.leader_since,
            &world.config,
        )
    };
    let first = pass(&world, &[one, two]);
    let (queued, held) = (&first.runs[0].1, &first.runs[1].1);
    assert!(matches!(queued.commands[0].command, Command::QueueRun(_)));
    assert_eq!((held.commands.len(), held.next_wake), (0, Some(world.now)));
    // Nothing in PENDING is waited for.
    assert!(queued.next_wake.unwrap().since(world.now) < Millis::from_secs(2));

    // The first is cancelled before its command comes through: then the second has room.
    let mut cancelled = world.clone();
    let stop = StopRun {
        run: one,
        grace: Millis(0),
    };
    cancelled.apply(Command::StopRun(stop)).unwrap();
    let plan = pass(&cancelled, &[two]);
    assert!(matches!(plan.runs[0].1.commands[0].command, Command::QueueRun(_)));

    world.execute(&queued.commands.clone());
    let plan = pass(&world, &[two])
        .runs
        .into_iter()
        .find(|(run, _)| *run == two)
        .unwrap();
    world.execute(&plan.1.commands);
    assert_eq!(world.reason(two).0, RunReasonCode::PlanLimitExceeded);
}

#[test]
fn one_projects_limit_is_no_other_projects() {
    let limit = PlanChange {
        max_concurrent_runs: Some(1),
        ..PlanChange::default()
    };
    let mut world = with_project(limit, None);
    judged(&mut world, 1);
    let free = world.submit(asks_for(100));
    world.step(free);
    assert_eq!(world.status(free), RunStatus::Queued);
}
