//! Known bugs bite: what apply and the laws of `invariant` make of each. With the feature `mutants` only, and each test in a process of its
//! own (cargo nextest): a process is one mutant for life.

use reeve_state::command::*;
use reeve_state::id::{RunId, TestId};
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::{ObjectRef, RequestKey};
use reeve_state::time::Time;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::RunStatus as R;
use reeve_state::transition::worker::DrainActor;
use reeve_state::{State, apply, invariant};

use crate::world::*;

/// Applies without minding which laws it breaks, and says which.
fn break_with(world: &mut World, term: u64, envelope: Envelope) -> (Result<Reply, Refusal>, Vec<String>) {
    let before: State = world.state.clone();
    let entry = EntryMeta {
        term,
        index: world.log.len() as u64 + 1,
        stamp: Time(world.now),
    };
    let step = apply(&mut world.state, &entry, &envelope);
    let mut broken = invariant::check(&world.state);
    broken.extend(invariant::check_step(&before, &world.state));
    let broken = broken.iter().map(|law| format!("{law:?}")).collect();
    (step.applied.result, broken)
}

fn now(command: Command) -> Envelope {
    Envelope::internal(command)
}

/// What must be refused as long as the process is no mutant, and is not any more once it is.
fn bites(mutant: Mutant, mut world: World, term: u64, envelope: Envelope) -> (World, Vec<String>) {
    let (refused, broken) = break_with(&mut world.clone(), term, envelope.clone());
    assert!(refused.is_err(), "{envelope:?} is good without the bug");
    assert_eq!(broken, Vec::<String>::new());
    mutant::choose(mutant).unwrap();
    let (done, broken) = break_with(&mut world, term, envelope);
    assert!(done.is_ok(), "{done:?}");
    (world, broken)
}

#[test]
fn no_fence_lets_a_leader_of_another_term_act() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    let revision = world.run(1).revision;
    let queue = QueueRun {
        run: run_id(1),
        revision,
    };
    let late = Envelope::planned(Command::QueueRun(queue), TERM);
    let (world, _) = bites(Mutant::NoFence, world, TERM + 1, late);
    assert_eq!(world.status(1), R::Queued);
}

#[test]
fn capacity_at_propose_places_more_than_a_worker_can_take() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("large", 80));
    for run in [1, 2] {
        world.start_run(run, 1);
        world.queue_run(run);
    }
    world.ok(world.place(1, vec![], vec![World::placement(1, 0, 0, 80)]));
    let second = now(world.place(2, vec![], vec![World::placement(1, 0, 0, 80)]));
    let (world, broken) = bites(Mutant::CapacityAtPropose, world, TERM, second);
    assert_eq!(world.state.reserved(worker_id(1)), 160);
    assert!(!broken.is_empty(), "the law of capacity is broken");
}

#[test]
fn no_drain_check_places_on_a_worker_that_drains() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    world.queue_run(1);
    world.ok(world.drain(1, DrainActor::Platform));
    let place = now(world.place(1, vec![], vec![World::placement(1, 0, 0, 10)]));
    let (world, _) = bites(Mutant::NoDrainCheck, world, TERM, place);
    assert_eq!(world.state.reserved(worker_id(1)), 10);
}

#[test]
fn no_drain_check_still_minds_that_a_worker_is_gone() {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    world.queue_run(1);
    world.down(1);
    mutant::choose(Mutant::NoDrainCheck).unwrap();
    let place = world.place(1, vec![], vec![World::placement(1, 0, 0, 10)]);
    world.refused(place);
}

#[test]
fn status_without_dag_lets_a_late_stop_cancel_what_has_ended() {
    let mut world = World::running(1, 10);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    let (world, broken) = bites(Mutant::StatusWithoutDag, world, TERM, now(World::stop(1)));
    let timeline: Vec<R> = world
        .run(1)
        .life
        .timeline()
        .iter()
        .map(|entry| entry.status)
        .collect();
    assert_eq!(
        timeline,
        [
            R::Pending,
            R::Queued,
            R::Running,
            R::Completed,
            R::CannotRunForNow
        ]
    );
    assert!(!broken.is_empty(), "a law of statuses is broken");
}

#[test]
fn no_idempotency_does_a_repeated_request_again() {
    let start = |run: u8| Envelope {
        request: Some(RequestTag {
            key: RequestKey {
                caller: "someone".into(),
                request_id: "once".into(),
            },
            hash: [7; 32],
        }),
        ..now(Command::StartRun(StartRun {
            run: RunId::from_bytes([run; 16]),
            test: TestId::from_bytes([1; 16]),
        }))
    };
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.apply(TERM, start(1)).result.unwrap();
    let replayed = world.clone().apply(TERM, start(2)).result.unwrap();
    assert!(
        matches!(replayed, Reply::Object { object: ObjectRef::Run(id), replayed: true, .. } if id == run_id(1))
    );
    mutant::choose(Mutant::NoIdempotency).unwrap();
    let (again, _) = break_with(&mut world, TERM, start(2));
    assert!(
        matches!(again.unwrap(), Reply::Object { object: ObjectRef::Run(id), replayed: false, .. } if id == run_id(2))
    );
    assert_eq!(world.state.live_runs().count(), 2);
}
