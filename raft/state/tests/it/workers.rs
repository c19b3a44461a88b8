//! Commands on workers.

use reeve_state::command::*;
use reeve_state::id::SessionEpoch;
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::worker::*;

use crate::world::registry::cpu;
use crate::world::*;

// Covers: R11, R14, R17, R20, R21, R40, R44, R45, R52, R54, R71, R72
#[test]
fn the_statuses_over_a_workers_life() {
    let mut world = World::default();
    world.ok(Command::CreateWorker(create_worker(1, 100)));
    assert_eq!(
        world.worker_status(1),
        WorkerStatus::Offline,
        "registered, never started"
    );
    world.ok(Command::ConnectWorker(hello(1, 1, vec![])));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    world.ok(world.link(1, Link::Suspect));
    assert_eq!(world.worker_status(1), WorkerStatus::Error);
    world.ok(world.link(1, Link::Up));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    world.ok(world.link(1, Link::Suspect));
    world.down(1);
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
    world.ok(Command::ConnectWorker(hello(1, 2, vec![])));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    let epoch = world.worker(1).last_epoch;
    world.ok(Command::DisconnectWorker(DisconnectWorker {
        worker: worker_id(1),
        epoch,
        reason: "drained".into(),
    }));
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
}

// Covers: R41, R44
#[test]
fn resources_above_their_thresholds_are_an_error_until_they_recover() {
    let mut world = World::with_workers(1, 100);
    world.ok(world.health(1, cpu(95)));
    assert_eq!(world.worker_status(1), WorkerStatus::Error);
    let since = world.worker(1).facts.health.since;
    world.ok(world.health(1, cpu(97)));
    assert_eq!(
        world.worker(1).facts.health.since,
        since,
        "the same resource is no news"
    );
    world.ok(world.health(1, vec![]));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    let mut ill = hello(1, 2, vec![]);
    ill.health = cpu(99);
    world.ok(Command::ConnectWorker(ill));
    assert_eq!(
        world.worker_status(1),
        WorkerStatus::Error,
        "the first health check counts"
    );
}

// Covers: R51, R52, R102
#[test]
fn a_token_that_no_worker_has_is_rejected() {
    let mut world = World::with_workers(1, 100);
    assert_eq!(
        world.refused(Command::ConnectWorker(hello(9, 1, vec![]))),
        Refusal::TokenRejected
    );
}

// Covers: R2, R87
#[test]
fn the_newest_session_wins_and_older_ones_are_fenced() {
    let mut world = World::with_workers(1, 100);
    let old = world.worker(1).session.unwrap();
    world.ok(Command::ConnectWorker(hello(1, 2, vec![])));
    let new = world.worker(1).session.unwrap();
    assert_eq!(new.epoch, SessionEpoch(old.epoch.0 + 1));
    for command in [
        Command::SetLink(SetLink {
            worker: worker_id(1),
            epoch: old.epoch,
            link: Link::Down,
            reason: "late".into(),
        }),
        Command::SetHealth(SetHealth {
            worker: worker_id(1),
            epoch: old.epoch,
            issues: cpu(99),
        }),
        Command::DisconnectWorker(DisconnectWorker {
            worker: worker_id(1),
            epoch: old.epoch,
            reason: "late".into(),
        }),
    ] {
        assert!(matches!(world.refused(command), Refusal::SessionOver { .. }));
    }
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
}

#[test]
fn a_worker_that_reconnects_keeps_what_it_holds() {
    let mut world = World::running(2, 10);
    let epoch = world.assignment(1, 0).epoch;
    let reply = world.ok(Command::ConnectWorker(hello(1, 1, vec![(run_id(1), epoch)])));
    let Reply::Session(grant) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        grant.resumed,
        [Resumed {
            run: run_id(1),
            epoch,
            acked_seq: 1
        }]
    );
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Started);
    assert_eq!(world.closed(1), 0);
}

// Covers: R22, R111
#[test]
fn a_process_that_restarted_lost_what_it_held() {
    let mut world = World::running(2, 10);
    let reply = world.ok(Command::ConnectWorker(hello(1, 9, vec![])));
    let Reply::Session(grant) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(grant.resumed, []);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 10);
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Closed);
    assert!(world.assignment(1, 0).lost);
    assert_eq!(world.state.reserved(worker_id(1)), 0);
}

/// Chaos, S22 seed 4000: a node that was cut off held a Hello back for seconds. Meanwhile the worker had a session elsewhere, and had
/// begun a run; the old Hello came last, did not name the run, and ended it.
#[test]
fn a_hello_that_is_late_neither_takes_the_session_over_nor_ends_what_it_does_not_name() {
    let attempt = |number, held| {
        Command::ConnectWorker(ConnectWorker {
            attempt: number,
            ..hello(1, 1, held)
        })
    };
    let mut world = World::running(1, 10);
    let epoch = world.assignment(1, 0).epoch;
    let session = |world: &World| world.state.worker(worker_id(1)).and_then(|worker| worker.session);
    world.ok(attempt(2, vec![(run_id(1), epoch)]));
    let in_force = session(&world);
    for late in [1, 2] {
        let refusal = world.refused(attempt(late, vec![]));
        assert!(matches!(refusal, Refusal::SessionOver { .. }), "{refusal:?}");
        assert_eq!(session(&world), in_force);
        assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Started);
    }
    world.ok(attempt(3, vec![(run_id(1), epoch)]));
    assert_eq!(world.closed(1), 0);
    // It is as late when no session is in force.
    world.down(1);
    assert!(matches!(
        world.refused(attempt(3, vec![])),
        Refusal::SessionOver { .. }
    ));
    // Another process counts anew, and one that does not count is taken as it comes.
    world.ok(Command::ConnectWorker(ConnectWorker {
        attempt: 1,
        ..hello(1, 9, vec![])
    }));
    world.ok(Command::ConnectWorker(hello(1, 9, vec![])));
}

#[test]
fn an_offer_that_did_not_arrive_is_offered_again() {
    let mut world = World::offered(1, 10);
    world.ok(Command::ConnectWorker(hello(1, 9, vec![])));
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Offered);
    world.ready(1, 0);
    world.ok(Command::ConnectWorker(hello(1, 10, vec![])));
    assert_eq!(
        world.assignment_status(1, 0),
        AssignmentStatus::Closed,
        "confirmed, then gone"
    );
}

#[test]
fn a_lost_epoch_holds_capacity_until_the_next_hello_disowns_it() {
    let mut world = World::running(1, 10);
    let epoch = world.assignment(1, 0).epoch;
    world.down(1);
    assert_eq!(world.state.reserved(worker_id(1)), 10);
    let mut back = world.clone();
    back.ok(Command::ConnectWorker(hello(1, 1, vec![(run_id(1), epoch)])));
    assert_eq!(
        back.assignment_status(1, 0),
        AssignmentStatus::Lost,
        "it still has to let go"
    );
    assert_eq!(back.ended_in(1, EndpointOutcome::Oserror), 10);
    world.ok(Command::ConnectWorker(hello(1, 2, vec![])));
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Closed);
    assert_eq!(world.state.reserved(worker_id(1)), 0);
}

// Covers: R24, R27, R28, R31, R34, R36, R66
#[test]
fn a_drain_lets_endpoints_finish_and_takes_nothing_new() {
    let mut world = World::running(1, 10);
    world.ok(world.drain(1, DrainActor::Worker(process(1))));
    assert_eq!(world.worker_status(1), WorkerStatus::Draining);
    world.close_all(1, 0, EndpointOutcome::Success);
    assert_eq!(world.ended_in(1, EndpointOutcome::Success), 10);
    let other = world.refused(world.drain(1, DrainActor::Worker(process(7))));
    assert!(
        matches!(other, Refusal::SessionOver { .. }),
        "another process cannot drain this one"
    );
}

#[test]
fn a_workers_own_drain_ends_with_its_process() {
    let mut world = World::with_workers(1, 100);
    world.ok(world.drain(1, DrainActor::Worker(process(1))));
    world.ok(Command::ConnectWorker(hello(1, 1, vec![])));
    assert_eq!(world.worker_status(1), WorkerStatus::Draining, "the same process");
    world.ok(Command::ConnectWorker(hello(1, 2, vec![])));
    assert_eq!(world.worker_status(1), WorkerStatus::Online, "a new process");
    let mut draining = hello(1, 3, vec![]);
    draining.draining = Some(Millis::from_secs(60));
    world.ok(Command::ConnectWorker(draining));
    assert_eq!(
        world.worker_status(1),
        WorkerStatus::Draining,
        "it says so itself"
    );
    world.ok(Command::SetDrain(SetDrain {
        worker: worker_id(1),
        drain: None,
    }));
    assert_eq!(world.worker_status(1), WorkerStatus::Online, "taken back");
}

#[test]
fn an_offline_worker_cannot_be_drained() {
    let mut world = World::with_workers(1, 100);
    world.down(1);
    let refusal = world.refused(world.drain(1, DrainActor::Admin("ann".into())));
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal:?}");
}

// Covers: R77
#[test]
fn regions_are_free_labels() {
    let mut world = World::default();
    for (n, region) in [(1, "US East"), (2, "EU West"), (3, "")] {
        let create = CreateWorker {
            region: region.to_owned(),
            ..create_worker(n, 100)
        };
        world.ok(Command::CreateWorker(create));
        assert_eq!(world.worker(n).region, region);
    }
    let mut definition = definition("smoke", 1);
    definition.groups[0].selector.region = Some("US East".to_owned());
    let selector = &definition.groups[0].selector;
    let matching = [1, 2, 3].map(|n| selector.matches(&world.worker(n)));
    assert_eq!(matching, [true, false, false]);
}

// Covers: R93
#[test]
fn capacity_is_the_smaller_of_configured_and_reported() {
    let mut world = World::with_workers(1, 100);
    assert_eq!(world.worker(1).capacity(), 100);
    let mut small = hello(1, 2, vec![]);
    small.capacity = 40;
    world.ok(Command::ConnectWorker(small));
    assert_eq!(world.worker(1).capacity(), 40);
}

#[test]
fn a_workers_name_is_taken_once_and_its_fields_are_checked() {
    let mut world = World::with_workers(1, 100);
    let twice = CreateWorker {
        id: worker_id(2),
        token_hash: token(2),
        ..create_worker(1, 5)
    };
    assert!(matches!(
        world.refused(Command::CreateWorker(twice)),
        Refusal::AlreadyExists { .. }
    ));
    let bad = CreateWorker {
        name: String::new(),
        region: " eu".into(),
        ..create_worker(3, 0)
    };
    let Refusal::Invalid { violations } = world.refused(Command::CreateWorker(bad)) else {
        panic!()
    };
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["name", "region", "capacity"]);
}
