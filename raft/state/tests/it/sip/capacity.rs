//! What a worker's machine carries of SIP endpoints is a limit of its own, below that of all endpoints (R93, R97).

use reeve_state::command::*;
use reeve_state::transition::run::RunStatus;

use crate::world::*;

/// Worker 1 carries 100,000 endpoints, so many of them of SIP.
fn measured(world: &mut World, sip: u32) {
    world.ok(Command::ConnectWorker(ConnectWorker {
        sip_capacity: Some(sip),
        ..hello(1, 1, vec![])
    }));
}

fn too_many(refusal: Refusal) -> (u32, u32) {
    match refusal {
        Refusal::Placement(PlacementFault::CapacityExceeded { free, asked, .. }) => (free, asked),
        other => panic!("{other:?}"),
    }
}

fn two_groups(world: &World, run: u8, each: u32) -> Command {
    let on = World::placement;
    world.place(run, vec![], vec![on(1, 1, 0, each), on(1, 0, 0, each)])
}

/// Covers: R93, R97
#[test]
fn no_more_sip_endpoints_are_placed_than_the_machine_carries_while_others_still_fit() {
    let mut world = World::with_accounts(20, 2);
    measured(&mut world, 5);
    world.start_run(1, 1);
    world.queue_run(1);
    world.ok(two_groups(&world, 1, 2));
    assert_eq!(world.state.sip_reserved(worker_id(1)), 4);
    world.start_run(2, 1);
    world.queue_run(2);
    let refusal = world.refused(two_groups(&world, 2, 2));
    assert_eq!(too_many(refusal), (1, 4));

    world.apply_test(2, definition("scripted", 50_000));
    world.start_run(3, 2);
    world.queue_run(3);
    world.ok(world.place(3, vec![], vec![World::placement(1, 0, 0, 50_000)]));
    assert_eq!(
        world.state.sip_reserved(worker_id(1)),
        4,
        "they are no SIP endpoints"
    );
    assert_eq!(world.state.reserved(worker_id(1)), 50_004);

    world.ok(World::stop(1));
    assert_eq!(world.status(1), RunStatus::CannotRunForNow);
    assert_eq!(
        world.state.sip_reserved(worker_id(1)),
        4,
        "until the worker says that they are closed"
    );
    measured(&mut world, 5);
    assert_eq!(world.state.sip_reserved(worker_id(1)), 0, "it has nothing");
    world.ok(two_groups(&world, 2, 2));
}

/// Covers: R93
#[test]
fn a_worker_that_did_not_measure_may_have_sip_endpoints_up_to_its_capacity() {
    let mut world = World::with_accounts(20, 2);
    assert_eq!(world.worker(1).sip_capacity(), 100_000);
    measured(&mut world, 200_000);
    assert_eq!(world.worker(1).sip_capacity(), 100_000, "they are endpoints too");
    measured(&mut world, 0);
    world.start_run(1, 1);
    world.queue_run(1);
    let refusal = world.refused(two_groups(&world, 1, 2));
    assert_eq!(too_many(refusal), (0, 4));
}
