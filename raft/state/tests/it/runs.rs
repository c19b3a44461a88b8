//! Commands on runs.

use reeve_state::command::*;
use reeve_state::id::{ProjectName, Revision};
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{DrainActor, Link, WorkerStatus};

use crate::world::*;

// Covers: R117, R119, R125, R129, R131, R134, R135, R136, R139, R141, R146, R201
#[test]
fn the_happy_path() {
    let mut world = World::with_workers(2, 100);
    world.apply_test(1, definition("smoke", 100));
    world.start_run(1, 1);
    assert_eq!(world.status(1), RunStatus::Pending);
    world.queue_run(1);
    assert_eq!(world.status(1), RunStatus::Queued);
    world.ok(world.place(
        1,
        vec![],
        vec![World::placement(1, 0, 0, 60), World::placement(2, 0, 60, 40)],
    ));
    world.ready(1, 0);
    assert!(
        matches!(world.refused(world.begin(1)), Refusal::NotYet { .. }),
        "one worker is not ready"
    );
    world.ready(1, 1);
    world.ok(world.begin(1));
    assert_eq!(world.status(1), RunStatus::Running);
    let run = world.run(1);
    assert_eq!(
        run.start_at,
        Some(run.life.entered(RunStatus::Running).unwrap() + Millis(150))
    );
    world.close_all(1, 0, EndpointOutcome::Success);
    assert!(
        matches!(world.refused(world.complete(1)), Refusal::NotYet { .. }),
        "40 endpoints are open"
    );
    world.close_all(1, 1, EndpointOutcome::Success);
    world.ok(world.complete(1));
    assert_eq!(world.status(1), RunStatus::Completed);
    assert_eq!(world.reason(1), None);
    let statuses: Vec<_> = world
        .run(1)
        .life
        .timeline()
        .iter()
        .map(|entry| entry.status)
        .collect();
    assert_eq!(
        statuses,
        [
            RunStatus::Pending,
            RunStatus::Queued,
            RunStatus::Running,
            RunStatus::Completed
        ]
    );
}

// Covers: R150, R152, R162
#[test]
fn a_run_whose_endpoints_all_failed_is_completed() {
    let mut world = World::running(1, 10);
    world.close_all(1, 0, EndpointOutcome::RegistrationFailed);
    world.ok(world.complete(1));
    assert_eq!(world.status(1), RunStatus::Completed);
    assert_eq!(world.ended_in(1, EndpointOutcome::RegistrationFailed), 10);
}

// Covers: R126, R137, R185, R186, R203, R204
#[test]
fn a_run_that_cannot_be_placed_ends_without_endpoints() {
    let mut early = World::default();
    early.apply_test(1, definition("smoke", 10));
    early.start_run(1, 1);
    early.ok(early.reject(1, RunReasonCode::NoOnlineWorkers));
    assert_eq!(early.status(1), RunStatus::CannotRunForNow);

    let mut late = World::offered(2, 10);
    late.ready(1, 0);
    late.ok(late.reject(1, RunReasonCode::WorkersNotReady));
    assert_eq!(late.reason(1), Some(RunReasonCode::WorkersNotReady));
    assert_eq!(late.state.run_counts(run_id(1)).total(), 0);
    // The workers have not confirmed yet that they let go, so the capacity is not free.
    assert_eq!(late.assignment_status(1, 0), AssignmentStatus::Lost);
    assert_eq!(late.state.reserved(worker_id(1)), 10);
    late.ok(late.next_report(1, 0, ReportEvent::Closed));
    assert_eq!(late.state.reserved(worker_id(1)), 0);
}

// Covers: R147, R166, R168, R202
#[test]
fn all_workers_lost_fails_and_wins_over_all_endpoints_closed() {
    let mut world = World::running(2, 10);
    world.down(1);
    world.down(2);
    assert_eq!(world.closed(1), 20);
    assert!(matches!(world.refused(world.complete(1)), Refusal::NotYet { .. }));
    world.ok(world.fail(1, RunReasonCode::AllWorkersDisconnected, EndpointOutcome::Oserror));
    assert_eq!(world.status(1), RunStatus::Failed);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 20);
}

// Covers: R110
#[test]
fn the_run_goes_on_when_some_workers_are_lost() {
    let mut world = World::running(2, 10);
    world.down(1);
    world.close_all(1, 1, EndpointOutcome::Success);
    world.ok(world.complete(1));
    assert_eq!(world.ended_in(1, EndpointOutcome::Success), 10);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 10);
}

// Covers: R167, R169
#[test]
fn an_unrecoverable_platform_error_fails_the_run_for_good() {
    let mut world = World::running(1, 10);
    world.progress(1, 0, 0..4, EndpointPhase::Closed, Some(EndpointOutcome::Success));
    world.ok(world.fail(
        1,
        RunReasonCode::UnrecoverablePlatformError,
        EndpointOutcome::Oserror,
    ));
    assert_eq!(world.status(1), RunStatus::Failed);
    let reason = world.run(1).life.reason().map(|reason| reason.code);
    assert_eq!(reason, Some(RunReasonCode::UnrecoverablePlatformError));
    assert_eq!(
        world.ended_in(1, EndpointOutcome::Success),
        4,
        "what ended keeps its outcome"
    );
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 6);
}

// Covers: R170, R172
#[test]
fn a_time_out_closes_what_is_open_and_fences_it() {
    let mut world = World::running(1, 10);
    world.progress(1, 0, 0..4, EndpointPhase::Closed, Some(EndpointOutcome::Success));
    world.ok(world.fail(
        1,
        RunReasonCode::ExecutionTimeoutExceeded,
        EndpointOutcome::Timeout,
    ));
    assert_eq!(world.ended_in(1, EndpointOutcome::Success), 4);
    assert_eq!(world.ended_in(1, EndpointOutcome::Timeout), 6);
    let late = world.next_report(1, 0, ReportEvent::Progress(vec![]));
    assert!(matches!(
        world.refused(late),
        Refusal::EpochOver { confirm: true, .. }
    ));
}

// Covers: R116, R199, R205
#[test]
fn no_command_moves_a_run_outside_the_table() {
    // Each world has run 1 in one status; each command is tried in each.
    let mut pending = World::with_workers(1, 100);
    pending.apply_test(1, definition("smoke", 10));
    pending.start_run(1, 1);
    let queued = World::ready_to_begin(1, 10);
    let mut all_closed = World::running(1, 10);
    all_closed.close_all(1, 0, EndpointOutcome::Success);
    let mut completed = all_closed.clone();
    completed.ok(completed.complete(1));
    let mut failed = all_closed.clone();
    failed.ok(failed.fail(
        1,
        RunReasonCode::UnrecoverablePlatformError,
        EndpointOutcome::Oserror,
    ));
    let mut rejected = pending.clone();
    rejected.ok(rejected.reject(1, RunReasonCode::NoOnlineWorkers));

    for world in [pending, queued, all_closed, completed, failed, rejected] {
        let from = world.status(1);
        let run = run_id(1);
        let revision = world.run(1).revision;
        for command in [
            Command::QueueRun(QueueRun { run, revision }),
            world.begin(1),
            world.complete(1),
            world.fail(
                1,
                RunReasonCode::UnrecoverablePlatformError,
                EndpointOutcome::Oserror,
            ),
            world.reject(1, RunReasonCode::NoOnlineWorkers),
            World::stop(1),
        ] {
            let mut world = world.clone();
            let result = world.when(command.clone());
            let to = world.status(1);
            assert!(from == to || from.may_become(to), "{from} -> {to} by {command:?}");
            if from.is_terminal() {
                assert!(result.is_err(), "{command:?} of a run that is {from}");
            }
        }
    }
}

#[test]
fn a_stale_plan_is_refused() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    let stale = Command::QueueRun(QueueRun {
        run: run_id(1),
        revision: Revision(1),
    });
    assert!(matches!(world.refused(stale), Refusal::Stale { .. }));
}

#[test]
fn a_plan_of_another_term_is_refused() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    let command = Command::QueueRun(QueueRun {
        run: run_id(1),
        revision: world.run(1).revision,
    });
    let applied = world.apply(
        2,
        Envelope {
            request: None,
            fence_term: Some(1),
            principal: None,
            command: command.clone(),
        },
    );
    assert_eq!(
        applied.result,
        Err(Refusal::StaleTerm {
            fence_term: 1,
            term: 2
        })
    );
    let applied = world.apply(
        2,
        Envelope {
            request: None,
            fence_term: Some(2),
            principal: None,
            command,
        },
    );
    assert!(applied.result.is_ok());
}

// Covers: R10, R95, R96, R97, R123
#[test]
fn a_placement_that_does_not_hold_is_refused() {
    let mut world = World::with_workers(3, 100);
    let mut smoke = definition("smoke", 100);
    smoke.groups[0].selector.region = Some("eu-west".to_owned());
    smoke.groups.push(group("pinned", 10));
    smoke.groups[1].selector.worker = Some(worker_id(1));
    world.apply_test(1, smoke);
    world.start_run(1, 1);
    world.queue_run(1);
    world.ok(world.drain(3, DrainActor::Platform));
    assert_eq!(world.worker_status(3), WorkerStatus::Draining);
    let on = World::placement;
    let good = || vec![on(1, 0, 0, 50), on(2, 0, 50, 50), on(1, 1, 0, 10)];
    type Fault = fn(&PlacementFault) -> bool;
    let cases: [(&str, Vec<Placement>, Fault); 9] = [
        ("nothing", vec![], |f| {
            matches!(f, PlacementFault::NotCovered { group: 0 })
        }),
        (
            "a gap",
            vec![on(1, 0, 0, 40), on(2, 0, 50, 50), on(1, 1, 0, 10)],
            |f| matches!(f, PlacementFault::NotCovered { group: 0 }),
        ),
        (
            "an overlap",
            vec![on(1, 0, 0, 60), on(2, 0, 50, 50), on(1, 1, 0, 10)],
            |f| matches!(f, PlacementFault::NotCovered { group: 0 }),
        ),
        (
            "a group that is not there",
            [good(), vec![on(1, 2, 0, 1)]].concat(),
            |f| matches!(f, PlacementFault::SelectorMismatch { group: 2, .. }),
        ),
        ("an empty range", [good(), vec![on(2, 0, 100, 0)]].concat(), |f| {
            matches!(f, PlacementFault::NotCovered { group: 0 })
        }),
        ("too much", vec![on(1, 0, 0, 100), on(1, 1, 0, 10)], |f| {
            matches!(
                f,
                PlacementFault::CapacityExceeded {
                    free: 100,
                    asked: 110,
                    ..
                }
            )
        }),
        (
            "a worker that drains",
            vec![on(3, 0, 0, 100), on(1, 1, 0, 10)],
            |f| {
                matches!(
                    f,
                    PlacementFault::NotOnline {
                        status: WorkerStatus::Draining,
                        ..
                    }
                )
            },
        ),
        (
            "another worker than the one named",
            vec![on(1, 0, 0, 50), on(2, 0, 50, 50), on(2, 1, 0, 10)],
            |f| matches!(f, PlacementFault::SelectorMismatch { group: 1, .. }),
        ),
        (
            "an unknown worker",
            vec![on(9, 0, 0, 100), on(1, 1, 0, 10)],
            |f| matches!(f, PlacementFault::UnknownWorker(_)),
        ),
    ];
    for (name, placements, expected) in cases {
        match world.refused(world.place(1, vec![], placements)) {
            Refusal::Placement(fault) => assert!(expected(&fault), "{name}: {fault:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    world.ok(world.place(1, vec![], good()));
    assert_eq!(world.state.reserved(worker_id(1)), 60);
}

// Covers: R137
#[test]
fn assignments_that_are_not_ready_are_replaced() {
    let mut world = World::offered(2, 10);
    world.with_spare(3);
    world.ready(1, 0);
    world.down(2);
    assert_eq!(world.assignment_status(1, 1), AssignmentStatus::Lost);
    world.ok(world.place(1, vec![1], vec![World::placement(3, 0, 10, 10)]));
    assert_eq!(world.run(1).replacements, 1);
    world.ready(1, 2);
    world.ok(world.begin(1));
    assert_eq!(world.state.run_counts(run_id(1)).total(), 20);
    let started = world.refused(world.place(1, vec![0], vec![]));
    assert!(matches!(started, Refusal::WrongStatus { .. }), "{started:?}");
}

impl World {
    fn with_spare(&mut self, n: u8) {
        self.ok(Command::CreateWorker(create_worker(n, 1_000)));
        self.ok(Command::ConnectWorker(hello(n, n, vec![])));
    }
}

#[test]
fn a_stop_before_running_cancels() {
    for queued in [false, true] {
        let mut world = World::with_workers(1, 100);
        world.apply_test(1, definition("smoke", 10));
        world.start_run(1, 1);
        if queued {
            world.queue_run(1);
            world.ok(world.place(1, vec![], vec![World::placement(1, 0, 0, 10)]));
        }
        world.ok(World::stop(1));
        assert_eq!(world.status(1), RunStatus::CannotRunForNow);
        assert_eq!(world.reason(1), Some(RunReasonCode::Cancelled));
        let again = world.refused(World::stop(1));
        assert!(matches!(again, Refusal::WrongStatus { .. }), "{again:?}");
    }
}

#[test]
fn a_stop_while_running_hangs_up_and_completes() {
    let mut world = World::running(2, 10);
    world.ok(World::stop(1));
    assert_eq!(world.status(1), RunStatus::Running);
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Stopping);
    let deadline = world.run(1).stop_deadline;
    world.ok(World::stop(1));
    assert_eq!(world.run(1).stop_deadline, deadline, "twice changes nothing");
    world.close_all(1, 0, EndpointOutcome::Success);
    // The other worker does not confirm in time.
    world.ok(Command::AbandonAssignments(AbandonAssignments {
        run: run_id(1),
        revision: world.run(1).revision,
        ordinals: vec![1],
        detail: "stop_deadline".to_owned(),
    }));
    world.ok(world.complete(1));
    assert_eq!(world.reason(1), Some(RunReasonCode::StoppedByUser));
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 10);
}

// Covers: R216
#[test]
fn a_retry_is_a_run_of_its_own() {
    let mut world = World::running(1, 10);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    world.start_run(2, 1);
    assert_eq!(world.status(1), RunStatus::Completed);
    assert_eq!(world.status(2), RunStatus::Pending);
    let taken = world.refused(Command::StartRun(StartRun {
        run: run_id(2),
        test: test_id(1),
    }));
    assert!(matches!(
        taken,
        Refusal::AlreadyExists {
            kind: ObjectKind::Run,
            ..
        }
    ));
}

#[test]
fn unknown_ids_are_not_found() {
    let mut world = World::with_workers(1, 10);
    for command in [
        Command::StartRun(StartRun {
            run: run_id(1),
            test: test_id(9),
        }),
        Command::DeleteTest(DeleteTest { test: test_id(9) }),
        World::stop(9),
        Command::QueueRun(QueueRun {
            run: run_id(9),
            revision: Revision(1),
        }),
        Command::SetDrain(SetDrain {
            worker: worker_id(9),
            drain: None,
        }),
    ] {
        assert!(matches!(world.refused(command), Refusal::NotFound { .. }));
    }
}

#[test]
fn a_run_keeps_its_definition_when_the_test_changes() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    world.apply_test(2, definition("smoke", 20));
    assert_eq!(
        world
            .state
            .test_named(&ProjectName::default(), "smoke")
            .unwrap()
            .version,
        2
    );
    assert_eq!(world.run(1).definition.endpoints(), 10);
    world.start_run(2, 1);
    assert_eq!(world.run(2).definition.endpoints(), 20);
    let in_use = world.refused(Command::DeleteTest(DeleteTest { test: test_id(1) }));
    assert!(matches!(in_use, Refusal::TestInUse { runs: 2, .. }));
}

// Covers: R22, R73, R109
#[test]
fn a_worker_that_is_down_closes_its_endpoints_once() {
    let mut world = World::running(2, 2_000);
    world.progress(1, 0, 0..500, EndpointPhase::Incall, None);
    world.progress(
        1,
        0,
        500..600,
        EndpointPhase::Closed,
        Some(EndpointOutcome::CallFailed),
    );
    world.ok(world.link(1, Link::Suspect));
    assert_eq!(world.closed(1), 100, "suspect changes no endpoint");
    world.down(1);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 1_900);
    assert_eq!(world.ended_in(1, EndpointOutcome::CallFailed), 100);
    let again = world.refused(world.link(1, Link::Down));
    assert!(matches!(again, Refusal::SessionOver { .. }));
}
