//! Reports of workers: numbered, fenced by epoch, applied exactly once.

use reeve_state::command::*;
use reeve_state::id::AssignmentEpoch;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::RunReasonCode;

use crate::world::*;

fn closing(offset: u32) -> ReportEvent {
    let outcome = Some(EndpointOutcome::Success);
    ReportEvent::Progress(vec![EndpointReport {
        offset,
        phase: EndpointPhase::Closed,
        outcome,
    }])
}

#[test]
fn a_report_applies_once_and_only_in_order() {
    let mut world = World::running(1, 10);
    assert_eq!(world.assignment(1, 0).acked_seq, 1, "Ready was the first");
    let ahead = world.report(1, 0, 3, closing(1));
    assert_eq!(
        world.refused(ahead),
        Refusal::ReportOutOfOrder { seq: 3, expected: 2 }
    );
    assert_eq!(
        world.ok(world.report(1, 0, 2, closing(0))),
        Reply::Reported { acked_seq: 2 }
    );
    let revision = world.state.meta().revision;
    // The same number again, even with other contents, changes nothing and is answered (D30).
    assert_eq!(
        world.ok(world.report(1, 0, 2, closing(5))),
        Reply::Reported { acked_seq: 2 }
    );
    assert_eq!(
        world.ok(world.report(1, 0, 1, ReportEvent::Ready)),
        Reply::Reported { acked_seq: 2 }
    );
    assert_eq!(world.state.meta().revision, revision);
    assert_eq!(world.closed(1), 1);
}

// Covers: R22 (D14; capacity is free when the worker has let go, not before)
#[test]
fn what_a_worker_reports_after_it_was_given_up_is_refused() {
    let mut world = World::running(2, 10);
    world.down(1);
    let counts = world.state.run_counts(run_id(1));
    for event in [
        ReportEvent::Ready,
        closing(0),
        ReportEvent::NotReady { reason: "no".into() },
    ] {
        let late = world.refused(world.next_report(1, 0, event));
        assert!(
            matches!(
                late,
                Refusal::EpochOver {
                    confirm: true,
                    acked_seq: 1,
                    ..
                }
            ),
            "{late:?}"
        );
    }
    assert_eq!(world.state.run_counts(run_id(1)), counts);
    assert_eq!(
        world.state.reserved(worker_id(1)),
        10,
        "it may still be executing"
    );
    world.ok(world.next_report(1, 0, ReportEvent::Closed));
    assert_eq!(world.state.reserved(worker_id(1)), 0);
    assert_eq!(
        world.ok(world.report(1, 0, 2, ReportEvent::Closed)),
        Reply::Reported { acked_seq: 2 }
    );
    let after = world.refused(world.next_report(1, 0, closing(0)));
    assert!(
        matches!(after, Refusal::EpochOver { confirm: false, .. }),
        "{after:?}"
    );
}

#[test]
fn an_unknown_epoch_is_over() {
    let mut world = World::running(1, 10);
    for epoch in [0, 2, u64::MAX] {
        let epoch = AssignmentEpoch(epoch);
        let event = ReportEvent::Closed;
        let report = Report {
            worker: worker_id(1),
            run: run_id(1),
            epoch,
            seq: 1,
            event,
        };
        let over = world.refused(Command::Report(report));
        assert!(
            matches!(over, Refusal::EpochOver { confirm: false, .. }),
            "{over:?}"
        );
    }
}

#[test]
fn a_report_that_no_correct_worker_sends_is_refused() {
    let mut offered = World::offered(1, 10);
    assert!(matches!(
        offered.refused(offered.next_report(1, 0, closing(0))),
        Refusal::ReportInvalid { .. }
    ));
    let mut world = World::running(2, 10);
    let too_many = vec![
        EndpointReport {
            offset: 0,
            phase: EndpointPhase::Incall,
            outcome: None
        };
        MAX_PROGRESS_ENDPOINTS + 1
    ];
    for event in [
        ReportEvent::Ready,
        ReportEvent::NotReady {
            reason: "too late".into(),
        },
        closing(10),
        ReportEvent::Progress(too_many),
    ] {
        let refusal = world.refused(world.next_report(1, 0, event));
        assert!(matches!(refusal, Refusal::ReportInvalid { .. }), "{refusal:?}");
    }
    let epoch = world.assignment(1, 0).epoch;
    let foreign = Report {
        worker: worker_id(2),
        run: run_id(1),
        epoch,
        seq: 2,
        event: ReportEvent::Closed,
    };
    assert!(matches!(
        world.refused(Command::Report(foreign)),
        Refusal::ReportInvalid { .. }
    ));
}

#[test]
fn a_worker_that_is_not_ready_holds_nothing() {
    let mut world = World::offered(1, 10);
    world.ok(world.next_report(
        1,
        0,
        ReportEvent::NotReady {
            reason: "draining".into(),
        },
    ));
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Closed);
    assert_eq!(
        world.assignment(1, 0).detail.as_deref(),
        Some("not ready: draining")
    );
    assert_eq!(world.state.reserved(worker_id(1)), 0);
}

#[test]
fn a_worker_that_lets_go_early_loses_its_endpoints() {
    let mut world = World::running(1, 10);
    world.ok(world.next_report(1, 0, closing(3)));
    world.ok(world.next_report(1, 0, ReportEvent::Closed));
    assert_eq!(world.ended_in(1, EndpointOutcome::Success), 1);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 9);
    world.ok(world.fail(1, RunReasonCode::AllWorkersDisconnected, EndpointOutcome::Oserror));
}

#[test]
fn closed_comes_after_completion_too() {
    let mut world = World::running(1, 10);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    assert_eq!(world.state.reserved(worker_id(1)), 10);
    world.ok(world.next_report(1, 0, ReportEvent::Closed));
    assert_eq!(world.state.reserved(worker_id(1)), 0);
    assert!(!world.assignment(1, 0).lost);
}

#[test]
fn endpoints_live_in_chunks_of_1024() {
    let mut world = World::running(1, 2_500);
    let assignment = world.assignment(1, 0);
    assert_eq!(assignment.chunks(), 3);
    assert_eq!(
        [0, 1, 2, 3].map(|chunk| assignment.chunk_len(chunk)),
        [1_024, 1_024, 452, 0]
    );
    world.progress(1, 0, 1_020..1_030, EndpointPhase::Calling, None);
    assert_eq!(world.last_changes.len(), 3, "two chunks and the assignment");
    let phase = |offset| {
        world
            .state
            .endpoint(&assignment, offset)
            .map(|endpoint| endpoint.phase())
    };
    assert_eq!(phase(1_019), Some(EndpointPhase::Initializing));
    assert_eq!(phase(1_020), Some(EndpointPhase::Calling));
    assert_eq!(phase(1_029), Some(EndpointPhase::Calling));
    assert_eq!(phase(2_499), Some(EndpointPhase::Initializing));
    assert_eq!(phase(2_500), None);
}
