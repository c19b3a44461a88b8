//! Runs that lose workers: the definition's policy, what was interrupted, and what is said too late.

use reeve_state::command::*;
use reeve_state::definition::{SETTLE, expected_execution, rank, start_offset, validate};
use reeve_state::loss;
use reeve_state::record::{OnWorkerLoss, TestDefinition};
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};

use crate::world::*;

/// Run 1 on `workers` workers of ten endpoints each, RUNNING, with this policy.
fn given(workers: u8, policy: OnWorkerLoss) -> World {
    let mut world = World::with_workers(workers, 100);
    world.apply_test(
        1,
        TestDefinition {
            on_worker_loss: policy,
            ..definition("smoke", 10 * u32::from(workers))
        },
    );
    world.start_run(1, 1);
    world.queue_run(1);
    let placements = (1..=workers).map(|n| World::placement(n, 0, u32::from(n - 1) * 10, 10));
    world.ok(world.place(1, Vec::new(), placements.collect()));
    for ordinal in 0..u32::from(workers) {
        world.ready(1, ordinal);
    }
    world.ok(world.begin(1));
    world
}

fn verdict(world: &World) -> Option<(RunReasonCode, String)> {
    let reason = loss::failure(&world.run(1), world.state.assignments(run_id(1)))?;
    Some((reason.code, reason.message))
}

const fn above(per_cent: u32) -> OnWorkerLoss {
    OnWorkerLoss::FailAbove {
        share_ppm: per_cent * 10_000,
    }
}

// Covers: R110, R147, R168, R174
#[test]
fn the_policy_decides_what_lost_workers_mean() {
    use OnWorkerLoss::{Continue, Fail};
    use RunReasonCode::{AllWorkersDisconnected, WorkerLost};
    let lost = |text: &str| Some((WorkerLost, text.to_owned()));
    let all = || Some((AllWorkersDisconnected, "All workers disconnected".to_owned()));
    let cases = [
        (Continue, 0, None),
        (Continue, 4, None),
        (Continue, 5, all()),
        (Fail, 0, None),
        (
            Fail,
            1,
            lost("1 of 5 workers lost: 20 % of endpoints, the run is to fail at the first"),
        ),
        (Fail, 5, all()),
        (above(20), 1, None),
        (
            above(20),
            2,
            lost("2 of 5 workers lost: 40 % of endpoints, the limit is 20 %"),
        ),
        (
            above(0),
            1,
            lost("1 of 5 workers lost: 20 % of endpoints, the limit is 0 %"),
        ),
        (above(99), 4, None),
        (above(99), 5, all()),
    ];
    for (policy, down, expected) in cases {
        let mut world = given(5, policy);
        (1..=down).for_each(|n| world.down(n));
        assert_eq!(verdict(&world), expected, "{policy:?}, {down} down");
        for ordinal in u32::from(down)..5 {
            world.close_all(1, ordinal, EndpointOutcome::Success);
        }
        // Apply agrees: what must fail cannot complete, and what may go on cannot fail for its workers.
        for code in [WorkerLost, AllWorkersDisconnected] {
            if expected.as_ref().map(|(code, _)| *code) != Some(code) {
                let command = world.fail(1, code, EndpointOutcome::Oserror);
                assert!(matches!(world.refused(command), Refusal::NotYet { .. }));
            }
        }
        match expected {
            None => {
                world.ok(world.complete(1));
                assert_eq!(world.status(1), RunStatus::Completed);
            }
            Some((code, _)) => {
                assert!(matches!(world.refused(world.complete(1)), Refusal::NotYet { .. }));
                world.ok(world.fail(1, code, EndpointOutcome::Oserror));
                assert_eq!(
                    (world.status(1), world.reason(1)),
                    (RunStatus::Failed, Some(code))
                );
            }
        }
    }
}

// Covers: R184
#[test]
fn a_lost_worker_loses_only_what_was_open() {
    let mut world = given(2, above(10));
    world.progress(1, 0, 0..7, EndpointPhase::Closed, Some(EndpointOutcome::Success));
    world.progress(1, 0, 7..10, EndpointPhase::Incall, None);
    world.down(1);
    let assignment = world.assignment(1, 0);
    assert_eq!((assignment.completed(), assignment.interrupted), (7, 3));
    assert_eq!(
        verdict(&world).map(|(_, message)| message).as_deref(),
        Some("1 of 2 workers lost: 15 % of endpoints, the limit is 10 %")
    );
    let whole = world.assignment(1, 1);
    assert_eq!((whole.completed(), whole.interrupted), (0, 0));
}

#[test]
fn a_worker_that_had_closed_everything_is_no_loss() {
    let mut world = given(2, OnWorkerLoss::Fail);
    world.close_all(1, 0, EndpointOutcome::CallFailed);
    world.down(1);
    assert_eq!(verdict(&world), None);
}

// Covers: R146
#[test]
fn a_users_stop_wins_over_the_policy() {
    let mut world = given(2, OnWorkerLoss::Fail);
    world.down(1);
    world.ok(World::stop(1));
    assert_eq!(verdict(&world), None);
    world.close_all(1, 1, EndpointOutcome::Success);
    world.ok(world.complete(1));
    assert_eq!(world.reason(1), Some(RunReasonCode::StoppedByUser));
}

fn late(world: &World, ordinal: u32, offsets: std::ops::Range<u32>) -> Command {
    let assignment = world.assignment(1, ordinal);
    let reports = offsets.map(|offset| EndpointReport {
        offset,
        phase: EndpointPhase::Closed,
        outcome: Some(EndpointOutcome::Success),
    });
    Command::KeepLateReports(KeepLateReports {
        worker: assignment.worker,
        run: run_id(1),
        epoch: assignment.epoch,
        reports: reports.collect(),
    })
}

// Covers: R22 (D14)
#[test]
fn late_reports_are_kept_as_evidence_and_change_no_count() {
    let mut world = given(2, OnWorkerLoss::Continue);
    world.down(1);
    let before = world.state.run_counts(run_id(1));
    world.ok(late(&world, 0, 3..5));
    world.ok(late(&world, 0, 3..5));
    let assignment = world.assignment(1, 0);
    assert_eq!(assignment.late.len(), 2, "the last word of each endpoint");
    assert_eq!(
        assignment.late_report(4).and_then(|late| late.outcome),
        Some(EndpointOutcome::Success)
    );
    assert_eq!(assignment.late_report(5), None);
    assert_eq!(world.state.run_counts(run_id(1)), before);
    assert_eq!(
        world
            .state
            .endpoint(&assignment, 4)
            .and_then(|endpoint| endpoint.outcome()),
        Some(EndpointOutcome::Oserror),
        "the outcome is what it was when the epoch ended"
    );
    let current = late(&world, 1, 0..1);
    assert!(
        matches!(world.refused(current), Refusal::ReportInvalid { .. }),
        "an epoch that is not over has no late reports"
    );
}

#[test]
fn late_reports_are_bounded_per_run() {
    let most = u32::try_from(MAX_LATE_ENDPOINTS).unwrap();
    let mut world = World::running(2, most);
    world.down(1);
    world.down(2);
    world.ok(late(&world, 0, 0..most - 1));
    world.ok(late(&world, 1, 0..3));
    assert_eq!(world.assignment(1, 1).late.len(), 1);
    assert_eq!(world.assignment(1, 1).late_left_out, 2);
}

// Covers: R134, R141
#[test]
fn how_late_a_worker_began_is_kept_once() {
    let mut early = World::ready_to_begin(1, 10);
    let by = |ms| ReportEvent::StartedLate { by: Millis(ms) };
    let command = early.next_report(1, 0, by(5));
    assert!(matches!(early.refused(command), Refusal::ReportInvalid { .. }));

    let mut world = World::running(1, 10);
    assert_eq!(world.assignment(1, 0).start_late, None);
    world.ok(world.next_report(1, 0, by(2_500)));
    world.ok(world.next_report(1, 0, by(9_000)));
    assert_eq!(world.assignment(1, 0).start_late, Some(Millis(2_500)));
}

/// Groups by name, each with the one that it calls.
fn calling(groups: &[(&str, &str)]) -> TestDefinition {
    let groups = groups.iter().map(|(name, callee)| {
        let mut group = group(name, 10);
        group.callee = (!callee.is_empty()).then(|| (*callee).to_owned());
        group
    });
    TestDefinition {
        groups: groups.collect(),
        ..definition("calls", 1)
    }
}

// Covers: R145, R148, R210
#[test]
fn callers_start_when_those_they_call_are_in_place() {
    let chain = calling(&[("a", "b"), ("b", "c"), ("c", ""), ("d", "")]);
    assert_eq!(validate(&chain), []);
    let step = chain.buildup + SETTLE;
    let offsets: Vec<Millis> = (0..4).map(|group| start_offset(&chain, group)).collect();
    assert_eq!(offsets, [step + step, step, Millis(0), Millis(0)]);
    assert_eq!(
        (0..4).map(|group| rank(&chain, group)).collect::<Vec<_>>(),
        [2, 1, 0, 0]
    );
    assert_eq!(
        expected_execution(&chain),
        step + step + expected_execution(&definition("calls", 1)),
        "the run takes as much longer"
    );
}

#[test]
fn a_callee_that_makes_no_sense_is_named() {
    let fields = |definition: &TestDefinition| -> Vec<String> {
        let violations = validate(definition).into_iter();
        violations.map(|violation| violation.field).collect()
    };
    for (groups, expected) in [
        (&[("a", "x")][..], &["groups[0].callee.group"][..]),
        (&[("a", "a")], &["groups[0].callee.group"]),
        (
            &[("a", "b"), ("b", "a")],
            &["groups[0].callee.group", "groups[1].callee.group"],
        ),
        // c calls into the circle, but is not part of it.
        (
            &[("a", "b"), ("b", "a"), ("c", "a")],
            &["groups[0].callee.group", "groups[1].callee.group"],
        ),
    ] {
        assert_eq!(fields(&calling(groups)), expected, "{groups:?}");
    }
    let mut share = definition("loss", 10);
    share.on_worker_loss = above(100);
    assert_eq!(fields(&share), ["on_worker_loss.fail_above"]);
}
