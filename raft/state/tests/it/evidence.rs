//! Evidence of runs: chunks that are recorded, the summary, and the end of everything (R143, R150, R172, D14).

use reeve_state::command::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::{RunReasonCode, RunStatus};

use crate::world::evidence::{chunk, purge_run, summary};
use crate::world::registry::HOUR;
use crate::world::*;

use EvidenceKind::{Events, Metrics};

fn completed() -> World {
    let mut world = World::running(1, 10);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    world
}

// Covers: R153, D14
#[test]
fn a_chunk_is_recorded_once_and_another_one_under_its_name_is_refused() {
    let mut world = World::running(1, 10);
    let first = world.chunk(1, 0, Metrics, 0);
    assert_eq!(world.ok(Command::RecordChunk(first.clone())), Reply::Done);
    let revision = world.state.meta().revision;
    assert_eq!(world.ok(Command::RecordChunk(first.clone())), Reply::Done);
    assert_eq!(
        world.state.meta().revision,
        revision,
        "the same again changes nothing"
    );
    let other = RecordChunk {
        sha256: [9; 32],
        ..first.clone()
    };
    let refusal = world.refused(Command::RecordChunk(other));
    assert!(
        matches!(&refusal, Refusal::AlreadyExists { kind: ObjectKind::Evidence, name } if *name == first.path),
        "{refusal}"
    );
    world.ok(Command::RecordChunk(world.chunk(1, 0, Events, 0)));
    world.ok(Command::RecordChunk(world.chunk(1, 0, Metrics, 1)));
    let kinds: Vec<_> = world
        .state
        .manifests(run_id(1))
        .map(|row| (row.key.kind, row.key.seq))
        .collect();
    assert_eq!(kinds, [(Metrics, 0), (Metrics, 1), (Events, 0)]);
    assert!(!world.manifest(1, 0, Metrics, 0).unwrap().late);
}

#[test]
fn a_chunk_of_nothing_that_started_on_that_worker_is_refused() {
    let mut world = World::ready_to_begin(2, 10);
    let chunk_of = |n: u8, ordinal: u32| chunk(1, ordinal, worker_id(n), Metrics, 0);
    let refusal = world.refused(Command::RecordChunk(chunk_of(1, 0)));
    assert!(matches!(refusal, Refusal::NotYet { .. }), "{refusal}");
    world.ok(world.begin(1));
    let not_found = [
        chunk_of(1, 1),
        chunk_of(1, 7),
        chunk(2, 0, worker_id(1), Metrics, 0),
    ];
    for wrong in not_found {
        let refusal = world.refused(Command::RecordChunk(wrong));
        assert!(matches!(refusal, Refusal::NotFound { .. }), "{refusal}");
    }
    let bad = RecordChunk {
        seq: 10_000,
        bytes: 3 << 20,
        path: String::new(),
        first_at: Time(9),
        ..chunk_of(1, 0)
    };
    let refusal = world.refused(Command::RecordChunk(bad));
    assert_eq!(
        crate::world::registry::fields(&refusal),
        ["seq", "data", "path", "first_at"]
    );
}

// Covers: R172, R174, D14
#[test]
fn what_comes_after_the_epoch_was_over_is_kept_and_marked_late() {
    let mut world = World::running(2, 10);
    world.ok(Command::RecordChunk(world.chunk(1, 0, Metrics, 0)));
    world.down(1);
    world.ok(Command::RecordChunk(world.chunk(1, 0, Metrics, 1)));
    let late = |seq| world.manifest(1, 0, Metrics, seq).unwrap().late;
    assert_eq!((late(0), late(1)), (false, true));
    assert_eq!(world.closed(1), 10, "it changes no endpoint");
}

// Covers: R150, R172, R178
#[test]
fn a_run_that_executed_and_ended_gets_one_summary() {
    let mut world = World::running(1, 10);
    let refusal = world.refused(summary(1, true));
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal}");
    assert_eq!(world.unsummarised(), []);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    assert_eq!(world.unsummarised(), [run_id(1)]);
    world.ok(summary(1, true));
    assert_eq!(world.unsummarised(), []);
    let refusal = world.refused(summary(1, false));
    assert!(
        matches!(
            refusal,
            Refusal::AlreadyExists {
                kind: ObjectKind::Summary,
                ..
            }
        ),
        "{refusal}"
    );
    assert!(world.state.summary(run_id(1)).unwrap().complete);

    let mut failed = World::running(1, 10);
    failed.down(1);
    failed.ok(failed.fail(1, RunReasonCode::AllWorkersDisconnected, EndpointOutcome::Oserror));
    failed.ok(summary(1, false));
    assert!(!failed.state.summary(run_id(1)).unwrap().complete);
}

#[test]
fn a_run_that_could_not_run_has_no_summary() {
    let mut world = World::with_workers(1, 10);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    world.ok(world.reject(1, RunReasonCode::WorkersBusy));
    assert_eq!(world.status(1), RunStatus::CannotRunForNow);
    assert_eq!(world.unsummarised(), []);
    let refusal = world.refused(summary(1, true));
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal}");
}

#[test]
fn a_run_is_purged_with_everything_that_belongs_to_it_once_its_time_has_passed() {
    let mut world = completed();
    world.ok(Command::RecordChunk(world.chunk(1, 0, Metrics, 0)));
    world.ok(summary(1, true));
    assert_eq!(
        world.state.ended_runs().map(|(_, id)| id).collect::<Vec<_>>(),
        [run_id(1)]
    );
    let refusal = world.refused(purge_run(1, HOUR));
    assert!(matches!(refusal, Refusal::NotYet { .. }), "{refusal}");
    world.pass(HOUR);
    world.ok(purge_run(1, HOUR));
    assert!(world.state.run(run_id(1)).is_none());
    assert_eq!(world.state.ended_runs().count(), 0);
    let left = world.state.rows().filter(|row| {
        use reeve_state::change::Row;
        matches!(
            row,
            Row::Run(_) | Row::Assignment(_) | Row::Chunk(..) | Row::Manifest(_) | Row::Summary(_)
        )
    });
    assert_eq!(left.count(), 0);
    let refusal = world.refused(purge_run(1, HOUR));
    assert!(matches!(refusal, Refusal::NotFound { .. }), "{refusal}");
}

#[test]
fn a_run_that_is_not_over_is_never_purged() {
    let mut world = World::running(1, 10);
    world.pass(HOUR);
    let refusal = world.refused(purge_run(1, Millis(0)));
    assert!(matches!(refusal, Refusal::NotYet { .. }), "{refusal}");
}
