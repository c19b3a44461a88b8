//! Why runs are where they are, code by code, and that what is suggested helps, and nothing less.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::runs::{Explained, Verdict, explain_definition, explain_run};
use reeve_state::command::{Command, DeleteWorker, PlanChange, PutMode, PutProject, ReportEvent, StopRun};
use reeve_state::definition::credits_needed;
use reeve_state::id::{ProjectName, RunId};
use reeve_state::record::{ChangeKind, PlacementFilter, Selector, SuggestedChange, TestDefinition};
use reeve_state::time::Millis;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{Link, WorkerStatus};
use support::{World, definition, group, region};

fn any() -> Selector {
    Selector::default()
}

impl World {
    fn explained(&self, run: RunId) -> Explained {
        explain_run(&self.state, &self.run(run), self.now, &self.config)
    }

    fn dry(&self, definition: &TestDefinition) -> Explained {
        explain_definition(
            &self.state,
            definition,
            &ProjectName::default(),
            self.now,
            &self.config,
        )
    }

    /// Submits it and plans it twice, so that it is placed if it can be.
    fn tried(&mut self, definition: TestDefinition) -> RunId {
        let run = self.submit(definition);
        self.step(run);
        if self.status(run) == RunStatus::Queued {
            self.step(run);
        }
        run
    }

    fn starts(&mut self, definition: TestDefinition) -> bool {
        let run = self.tried(definition);
        !self.current(run).is_empty()
    }
}

fn code(explained: &Explained) -> Option<RunReasonCode> {
    explained.reason.as_ref().map(|reason| reason.code)
}

/// Kind, endpoints and text of every step, by option.
fn steps(explained: &Explained) -> Vec<(u32, ChangeKind, u64, &str)> {
    let step = |change: &'static SuggestedChange| {
        (change.option, change.kind, change.endpoints, change.text.as_str())
    };
    // The test's own data outlives the test.
    let changes: &'static [SuggestedChange] = Vec::leak(explained.explanation.changes.clone());
    changes.iter().map(step).collect()
}

/// Does what a step says, with `less` endpoints less.
fn apply_step(world: &mut World, wish: &mut TestDefinition, step: &SuggestedChange, less: u64) {
    let count = u32::try_from(step.endpoints - less).unwrap();
    let named = |name: &String| step.groups.contains(name);
    match step.kind {
        ChangeKind::AddCapacity | ChangeKind::AddWorker => {
            let region = step
                .place
                .region
                .clone()
                .unwrap_or_else(|| "elsewhere".to_owned());
            let labels: Vec<(&str, &str)> = step
                .place
                .labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            if count > 0 {
                world.labelled(&region, count, &labels);
            }
        }
        ChangeKind::ReduceEndpoints => {
            for group in wish.groups.iter_mut().filter(|group| named(&group.name)) {
                group.endpoints -= count;
            }
        }
        ChangeKind::RemoveGroup if less == 0 => wish.groups.retain(|group| !named(&group.name)),
        ChangeKind::RemoveGroup => {
            let less = u32::try_from(less).unwrap();
            for group in wish.groups.iter_mut().filter(|group| named(&group.name)) {
                group.endpoints = less;
            }
        }
        ChangeKind::Wait | ChangeKind::RaiseLimit | ChangeKind::ChangeDefinition | ChangeKind::StartAgain => {
            panic!("{step:?} is not for this")
        }
    }
}

/// Every option that can be tried out lets the run start, and with one endpoint less in any of its steps it does not.
fn every_option_helps_and_is_smallest(given: impl Fn() -> World, wish: &TestDefinition) {
    let changes = given().dry(wish).explanation.changes;
    assert!(!changes.is_empty());
    let mut options: Vec<u32> = changes.iter().map(|change| change.option).collect();
    options.dedup();
    for option in options {
        let steps: Vec<&SuggestedChange> = changes.iter().filter(|step| step.option == option).collect();
        if steps.iter().any(|step| step.kind == ChangeKind::Wait) {
            continue;
        }
        let with_less_in = |short: Option<usize>| {
            let (mut world, mut wish) = (given(), wish.clone());
            for (at, step) in steps.iter().enumerate() {
                apply_step(&mut world, &mut wish, step, u64::from(short == Some(at)));
            }
            world.starts(wish)
        };
        assert!(with_less_in(None), "option {option}: {steps:?}");
        for at in 0..steps.len() {
            assert!(
                !with_less_in(Some(at)),
                "option {option} without one of step {at}: {steps:?}"
            );
        }
    }
}

// Covers: R188, R193 (D10)
#[test]
fn no_online_workers() {
    let given = || {
        let mut world = World::new();
        world.worker("us", 500);
        let down = world.worker("eu", 500);
        world.link(down, Link::Down);
        world
    };
    let wish = definition(vec![group("g", 100, region("eu"))]);
    let mut world = given();
    let run = world.tried(wish.clone());
    let explained = world.explained(run);
    assert_eq!(explained.verdict, Verdict::CannotStart);
    assert_eq!(code(&explained), Some(RunReasonCode::NoOnlineWorkers));
    assert_eq!(
        steps(&explained),
        [(
            1,
            ChangeKind::AddWorker,
            100,
            "an ONLINE worker in region eu with capacity for 100 endpoints"
        )]
    );
    let workers: Vec<_> = explained.explanation.groups[0]
        .workers
        .iter()
        .map(|verdict| (verdict.region.as_str(), verdict.status, verdict.filter))
        .collect();
    assert_eq!(
        workers,
        [
            ("eu", WorkerStatus::Offline, Some(PlacementFilter::NotOnline)),
            ("us", WorkerStatus::Online, Some(PlacementFilter::OtherRegion)),
        ],
        "the one that came furthest first"
    );
    // A dry run says the same, and writes nothing.
    assert_eq!(code(&given().dry(&wish)), Some(RunReasonCode::NoOnlineWorkers));
    every_option_helps_and_is_smallest(given, &wish);
}

// Covers: R97, R192, R197 (D10)
#[test]
fn insufficient_capacity() {
    let given = || {
        let mut world = World::new();
        world.worker("eu", 60);
        world
    };
    let wish = definition(vec![group("g", 100, region("eu"))]);
    let explained = given().dry(&wish);
    assert_eq!(explained.verdict, Verdict::CannotStart);
    assert_eq!(code(&explained), Some(RunReasonCode::InsufficientCapacity));
    assert_eq!(
        steps(&explained),
        [
            (
                1,
                ChangeKind::AddCapacity,
                40,
                "40 more endpoints of capacity in region eu"
            ),
            (
                2,
                ChangeKind::ReduceEndpoints,
                40,
                "40 endpoints fewer in group g"
            ),
        ]
    );
    every_option_helps_and_is_smallest(given, &wish);
}

// Covers: R137, R189, R194 (D10, D11)
#[test]
fn workers_busy() {
    let given = || {
        let mut world = World::new();
        world.worker("eu", 100);
        world.running(definition(vec![group("g", 70, any())]));
        world
    };
    let wish = definition(vec![group("g", 40, any())]);
    let mut world = given();
    let run = world.tried(wish.clone());
    assert_eq!(world.status(run), RunStatus::Queued);
    let explained = world.explained(run);
    assert_eq!(explained.verdict, Verdict::Waits);
    assert_eq!(code(&explained), Some(RunReasonCode::WorkersBusy));
    assert_eq!(explained.until, world.run(run).queue_deadline);
    assert_eq!(
        steps(&explained),
        [
            (
                1,
                ChangeKind::AddCapacity,
                10,
                "10 more endpoints of capacity in any region"
            ),
            (
                2,
                ChangeKind::ReduceEndpoints,
                10,
                "10 endpoints fewer in group g"
            ),
            (
                3,
                ChangeKind::Wait,
                10,
                "wait until other runs give back 10 endpoints"
            ),
        ]
    );
    let holders: Vec<u64> = explained.holders.iter().map(|holder| holder.endpoints).collect();
    assert_eq!(holders, [70]);
    assert!(explained.holders[0].expected_end.is_some());
    let verdict = &explained.explanation.groups[0].workers[0];
    assert_eq!((verdict.filter, verdict.capacity, verdict.free), (None, 100, 30));
    every_option_helps_and_is_smallest(given, &wish);
    // Waiting helps too.
    let busy = explained.holders[0].run;
    let assignment = world.current(busy).remove(0);
    world.finish(
        &assignment,
        reeve_state::transition::endpoint::EndpointOutcome::Success,
    );
    assert_eq!(
        world.explained(run).verdict,
        Verdict::Waits,
        "the worker has not let go yet"
    );
    world.report(&assignment, ReportEvent::Closed);
    assert_eq!(world.explained(run).verdict, Verdict::CanStart);
    world.step(run);
    assert_eq!(world.explained(run).verdict, Verdict::Placed);
}

// Covers: R137 (D10)
#[test]
fn workers_not_ready() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.worker("eu", 100);
    world.worker("eu", 100);
    let run = world.offered(definition(vec![group("g", 40, any())]));
    for _ in 0..2 {
        let assignment = world.current(run).remove(0);
        let event = ReportEvent::NotReady {
            reason: "port taken".to_owned(),
        };
        world.report(&assignment, event);
        world.step(run);
    }
    let explained = world.explained(run);
    assert_eq!(code(&explained), Some(RunReasonCode::WorkersNotReady));
    assert!(explained.message.contains("port taken"), "{}", explained.message);
    assert_eq!(steps(&explained)[0].1, ChangeKind::StartAgain);
    assert!(world.starts(definition(vec![group("g", 40, any())])));
}

// Covers: R126 (D9, D10)
#[test]
fn invalid_configuration() {
    let mut world = World::new();
    let worker = world.worker("eu", 100);
    world.worker("eu", 100);
    let named = Selector {
        worker: Some(worker),
        ..any()
    };
    let mut wish = definition(vec![group("g", 40, named)]);
    let run = world.submit(wish.clone());
    world.link(worker, Link::Down);
    let delete = DeleteWorker {
        worker,
        offline_for: None,
        force: true,
    };
    world.apply(Command::DeleteWorker(delete)).unwrap();
    let before = world.explained(run);
    world.step(run);
    let explained = world.explained(run);
    assert_eq!(code(&explained), Some(RunReasonCode::InvalidConfiguration));
    assert_eq!(before.explanation, explained.explanation, "live and kept agree");
    assert_eq!(
        steps(&explained),
        [(
            1,
            ChangeKind::ChangeDefinition,
            40,
            "name another worker in group g, or leave its worker out"
        )]
    );
    wish.groups[0].selector.worker = None;
    assert!(world.starts(wish));
}

// Covers: R137 (D9)
#[test]
fn a_definition_that_becomes_wrong_while_its_run_waits_ends_it_at_once() {
    let mut world = World::new();
    let worker = world.worker("eu", 100);
    let named = Selector {
        worker: Some(worker),
        ..any()
    };
    world.running(definition(vec![group("g", 70, any())]));
    let run = world.tried(definition(vec![group("g", 40, named)]));
    assert_eq!(world.status(run), RunStatus::Queued);
    world.link(worker, Link::Down);
    let delete = DeleteWorker {
        worker,
        offline_for: None,
        force: true,
    };
    world.apply(Command::DeleteWorker(delete)).unwrap();
    world.step(run);
    assert_eq!(world.reason(run).0, RunReasonCode::InvalidConfiguration);
}

// Covers: R198 (D8, D10)
#[test]
fn cancelled() {
    let mut world = World::new();
    world.worker("eu", 100);
    let wish = definition(vec![group("g", 40, any())]);
    let run = world.submit(wish.clone());
    let stop = StopRun {
        run,
        grace: Millis::from_secs(5),
    };
    world.apply(Command::StopRun(stop)).unwrap();
    let explained = world.explained(run);
    assert_eq!(code(&explained), Some(RunReasonCode::Cancelled));
    assert_eq!(steps(&explained)[0].1, ChangeKind::StartAgain);
    assert!(world.starts(wish));
}

// Covers: R98, R132, R133
#[test]
fn what_can_start_is_shown_where_it_would_be() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.worker("us", 200);
    world.running(definition(vec![group("g", 40, region("us"))]));
    let wish = definition(vec![group("a", 50, region("eu")), group("b", 60, region("us"))]);
    let explained = world.dry(&wish);
    assert_eq!((explained.verdict, code(&explained)), (Verdict::CanStart, None));
    assert_eq!(explained.explanation.changes, []);
    let parts: Vec<_> = explained
        .parts
        .iter()
        .map(|part| {
            (
                part.region.as_str(),
                part.placement.group,
                part.placement.count,
                part.reserved,
            )
        })
        .collect();
    assert_eq!(parts, [("eu", 0, 50, 50), ("us", 1, 60, 100)]);
    // And there it is placed.
    let run = world.tried(wish);
    let placed: Vec<_> = world
        .current(run)
        .iter()
        .map(|assignment| (assignment.worker, assignment.group, assignment.count))
        .collect();
    let planned: Vec<_> = explained
        .parts
        .iter()
        .map(|part| (part.placement.worker, part.placement.group, part.placement.count))
        .collect();
    assert_eq!(placed, planned);
}

// Covers: R134, R135
#[test]
fn a_placed_run_says_whom_it_waits_for_and_then_where_it_is() {
    let mut world = World::new();
    world.worker("eu", 100);
    let run = world.offered(definition(vec![group("g", 80, any())]));
    let explained = world.explained(run);
    assert_eq!(explained.verdict, Verdict::Placed);
    assert_eq!(
        explained.message,
        "placed on 1 worker; 1 of 1 assignments are not confirmed yet"
    );
    assert_eq!(explained.until, world.run(run).ready_deadline);
    let verdict = &explained.explanation.groups[0].workers[0];
    assert_eq!(
        (verdict.filter, verdict.free),
        (None, 100),
        "what it holds itself is given back"
    );
    world.confirm_all(run);
    world.step(run);
    assert_eq!(world.explained(run).message, "it runs on 1 worker");
    let assignment = world.current(run).remove(0);
    world.finish(
        &assignment,
        reeve_state::transition::endpoint::EndpointOutcome::Success,
    );
    world.step(run);
    let explained = world.explained(run);
    assert_eq!(explained.message, "it ran on 1 worker");
    assert_eq!(explained.parts[0].placement.count, 80);
}

// Covers: R137
#[test]
fn older_runs_that_wait_are_named() {
    let mut world = World::new();
    world.worker("eu", 100);
    world.running(definition(vec![group("g", 60, any())]));
    let large = world.tried(definition(vec![group("g", 90, any())]));
    world.pass(world.config.hold_after);
    let small = world.tried(definition(vec![group("g", 10, any())]));
    let explained = world.explained(small);
    assert_eq!(
        (explained.verdict, explained.ahead),
        (Verdict::Waits, vec![large])
    );
    let verdict = &explained.explanation.groups[0].workers[0];
    assert_eq!(
        (verdict.filter, verdict.free, verdict.held),
        (Some(PlacementFilter::NoFreeCapacity), 0, 40)
    );
}

#[test]
fn a_thousand_workers_are_named_and_the_rest_are_counted() {
    let mut world = World::new();
    for _ in 0..1_010 {
        world.worker("us", 1);
    }
    world.worker("eu", 5);
    let explained = world.dry(&definition(vec![group("g", 100, region("eu"))]));
    let group = &explained.explanation.groups[0];
    assert_eq!((group.workers.len(), group.workers_left_out), (1_000, 11));
    assert_eq!(group.workers[0].filter, None, "the candidate is among them");
    assert_eq!(group.workers_considered, 1_011);
}

// Covers: R197
#[test]
fn what_several_places_lack_is_told_apart() {
    let given = || {
        let mut world = World::new();
        world.worker("eu", 10);
        world.worker("us", 10);
        world
    };
    // Twenty are short, but not in one place: ten in each.
    let wish = definition(vec![
        group("a", 20, region("eu")),
        group("b", 20, region("us")),
        group("c", 1, any()),
    ]);
    every_option_helps_and_is_smallest(given, &wish);
    // One that may go anywhere can make room, wherever it is added.
    let wish = definition(vec![group("a", 10, region("eu")), group("c", 15, any())]);
    let explained = given().dry(&wish);
    assert_eq!(
        explained.explanation.suggestion,
        "5 more endpoints of capacity in region eu or in any region"
    );
    every_option_helps_and_is_smallest(given, &wish);
    // A group that has nowhere to go, beside one that is short.
    let wish = definition(vec![group("a", 15, region("eu")), group("b", 7, region("ap"))]);
    let explained = given().dry(&wish);
    assert_eq!(code(&explained), Some(RunReasonCode::NoOnlineWorkers));
    assert_eq!(
        explained.explanation.suggestion,
        "5 more endpoints of capacity in region eu; an ONLINE worker in region ap with capacity for 7 endpoints"
    );
    every_option_helps_and_is_smallest(given, &wish);
}

/// A plan, endpoint-minutes, whether a run is queued already, the code, and what is suggested.
type Row = (
    PlanChange,
    Option<u64>,
    bool,
    RunReasonCode,
    &'static [(ChangeKind, u64)],
);

/// Project red with this plan and these endpoint-minutes.
fn with_plan(plan: PlanChange, credits: Option<u64>) -> World {
    let mut world = World::new();
    world.worker("eu", 10_000);
    let put = PutProject {
        project: ProjectName::from("red"),
        mode: PutMode::Create { credits },
        plan,
    };
    world.apply(Command::PutProject(put)).unwrap();
    world
}

// Covers: R124, R190, R191, R195 (D10)
#[test]
fn what_the_projects_plan_does_not_allow() {
    let wish = || definition(vec![group("g", 100, any()), group("h", 20, any())]);
    let needed = credits_needed(&wish());
    let plan = PlanChange::default;
    let endpoints = PlanChange {
        max_run_endpoints: Some(90),
        ..plan()
    };
    let at_once = PlanChange {
        max_concurrent_endpoints: Some(200),
        ..plan()
    };
    let runs = PlanChange {
        max_concurrent_runs: Some(1),
        ..plan()
    };
    let inactive = PlanChange {
        subscription_active: Some(false),
        ..plan()
    };
    use ChangeKind::{RaiseLimit, ReduceEndpoints, Wait};
    use RunReasonCode::{CreditsExhausted, PlanLimitExceeded, SubscriptionInactive};
    let too_small = PlanChange {
        max_concurrent_endpoints: Some(90),
        ..plan()
    };
    let table: [Row; 6] = [
        // Nobody else has anything of it, so that waiting would not help.
        (
            too_small,
            None,
            false,
            PlanLimitExceeded,
            &[(RaiseLimit, 30), (ReduceEndpoints, 30)],
        ),
        (
            endpoints,
            None,
            false,
            PlanLimitExceeded,
            &[(RaiseLimit, 30), (ReduceEndpoints, 30)],
        ),
        (
            at_once,
            None,
            true,
            PlanLimitExceeded,
            &[(RaiseLimit, 40), (ReduceEndpoints, 40), (Wait, 40)],
        ),
        (runs, None, true, PlanLimitExceeded, &[(RaiseLimit, 0), (Wait, 0)]),
        (
            plan(),
            Some(needed - 1),
            false,
            CreditsExhausted,
            &[(RaiseLimit, 0), (ReduceEndpoints, 1)],
        ),
        (inactive, None, false, SubscriptionInactive, &[(RaiseLimit, 0)]),
    ];
    for (plan, credits, busy, expected, changes) in table {
        let mut world = with_plan(plan, credits);
        if busy {
            let first = world.submit_in("red", wish());
            world.step(first);
            assert_eq!(world.status(first), RunStatus::Queued);
        }
        let red = ProjectName::from("red");
        let dry = explain_definition(&world.state, &wish(), &red, world.now, &world.config);
        assert_eq!((dry.verdict, code(&dry)), (Verdict::CannotStart, Some(expected)));
        let told: Vec<_> = dry
            .explanation
            .changes
            .iter()
            .map(|change| (change.kind, change.endpoints))
            .collect();
        assert_eq!(told, changes, "{expected:?}");
        let run = world.submit_in("red", wish());
        assert_eq!(
            world.explained(run).explanation,
            dry.explanation,
            "before it is judged"
        );
        world.step(run);
        let kept = world.explained(run);
        assert_eq!(
            (code(&kept), &kept.explanation),
            (Some(expected), &dry.explanation)
        );
        // What is suggested of the definition helps, and one endpoint less does not.
        for less in [0, 1] {
            let Some(step) = dry
                .explanation
                .changes
                .iter()
                .find(|step| step.kind == ReduceEndpoints)
            else {
                continue;
            };
            let mut smaller = wish();
            apply_step(&mut world, &mut smaller, step, less);
            let again = world.submit_in("red", smaller);
            world.step(again);
            let queued = world.status(again) == RunStatus::Queued;
            assert_eq!(queued, less == 0, "{expected:?} with {less} less");
            if queued {
                let stop = StopRun {
                    run: again,
                    grace: Millis(1),
                };
                world.apply(Command::StopRun(stop)).unwrap();
            }
        }
    }
}
