//! Drains: who asks, how they end, and when they are refused (D5a).

use reeve_state::command::*;
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

fn admin() -> DrainActor {
    DrainActor::Admin("ann".to_owned())
}

fn in_force(world: &World) -> Drain {
    world.worker(1).facts.drain.clone().expect("a drain")
}

// Covers: R24, R26, R29, R30, R31, R32, R34, R65, R66
#[test]
fn whoever_drains_a_worker_it_takes_nothing_new() {
    for actor in [admin(), DrainActor::Platform, DrainActor::Worker(process(1))] {
        for then in [AfterDrain::Disconnect, AfterDrain::Resume] {
            let mut world = World::with_workers(1, 100);
            assert_eq!(
                world.ok(drain_order(1, order(actor.clone(), then))),
                about(1, false)
            );
            assert_eq!(world.worker_status(1), WorkerStatus::Draining, "{actor:?}");
            assert!(!world.takes_new_work(1));
            let drain = in_force(&world);
            assert_eq!((&drain.actor, drain.then), (&actor, then));
            assert_eq!(drain.deadline, drain.since + Millis::from_secs(60));
        }
    }
}

// Covers: R20, R28, R67, R68, R69
#[test]
fn a_drain_is_complete_when_the_worker_left_with_nothing_to_do() {
    let mut world = World::running(1, 10);
    world.ok(drain_order(1, order(admin(), AfterDrain::Disconnect)));
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.next_report(1, 0, ReportEvent::Closed));
    assert_eq!(
        world.worker_status(1),
        WorkerStatus::Draining,
        "it is not gone yet"
    );
    world.ok(world.leave(1));
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
    assert_eq!(world.worker(1).facts.drain, None);
    assert_eq!(
        world.ended_in(1, EndpointOutcome::Success),
        10,
        "nothing was cut off"
    );
}

#[test]
fn an_administrators_drain_outlives_a_process_that_died_with_work_to_do() {
    let mut world = World::running(1, 10);
    world.ok(drain_order(1, order(admin(), AfterDrain::Resume)));
    world.down(1);
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
    world.ok(Command::ConnectWorker(hello(1, 2, Vec::new())));
    assert_eq!(world.worker_status(1), WorkerStatus::Draining, "still asked for");
    world.ok(undrain(1));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
}

#[test]
fn a_workers_own_drain_does_not_outlive_its_process() {
    let mut world = World::running(1, 10);
    let own = DrainActor::Worker(process(1));
    world.ok(drain_order(1, order(own, AfterDrain::Disconnect)));
    world.down(1);
    assert_eq!(world.worker(1).facts.drain, None);
    world.ok(Command::ConnectWorker(hello(1, 2, Vec::new())));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
}

#[test]
fn a_process_told_to_stop_hurries_an_administrators_drain_and_does_not_end_it() {
    let mut world = World::running(1, 10);
    let long = DrainOrder {
        timeout: HOUR,
        ..order(admin(), AfterDrain::Resume)
    };
    world.ok(drain_order(1, long));
    let before = in_force(&world);
    let own = DrainActor::Worker(process(1));
    world.ok(drain_order(1, order(own, AfterDrain::Disconnect)));
    let drain = in_force(&world);
    assert_eq!((drain.actor, drain.since), (admin(), before.since));
    assert!(drain.deadline < before.deadline);
    assert_eq!(
        drain.then,
        AfterDrain::Disconnect,
        "nothing new on a process that stops"
    );
    world.down(1);
    world.ok(Command::ConnectWorker(hello(1, 2, Vec::new())));
    assert_eq!(world.worker_status(1), WorkerStatus::Draining, "a new process");
}

#[test]
fn a_process_that_reconnects_while_it_stops_is_not_sent_new_work_when_the_drain_is_complete() {
    let mut world = World::with_workers(1, 100);
    world.ok(drain_order(1, order(admin(), AfterDrain::Resume)));
    world.ok(Command::ConnectWorker(ConnectWorker {
        draining: Some(Millis::from_secs(1)),
        ..hello(1, 1, Vec::new())
    }));
    let drain = in_force(&world);
    assert_eq!((drain.actor, drain.then), (admin(), AfterDrain::Disconnect));
    assert_eq!(drain.deadline.0, world.now + 1_000);
}

#[test]
fn an_administrator_who_drains_a_process_that_stops_does_not_get_it_back() {
    let mut world = World::with_workers(1, 100);
    let own = DrainActor::Worker(process(1));
    world.ok(drain_order(1, order(own, AfterDrain::Disconnect)));
    world.ok(drain_order(1, order(admin(), AfterDrain::Resume)));
    let drain = in_force(&world);
    assert_eq!((drain.actor, drain.then), (admin(), AfterDrain::Disconnect));
}

#[test]
fn a_second_order_replaces_the_first_and_keeps_since_when() {
    let mut world = World::with_workers(1, 100);
    world.ok(drain_order(1, order(admin(), AfterDrain::Disconnect)));
    let first = in_force(&world);
    world.pass(Millis::from_secs(5));
    let force = DrainOrder {
        timeout: Millis(0),
        ..order(DrainActor::Admin("bob".to_owned()), AfterDrain::Disconnect)
    };
    world.ok(drain_order(1, force));
    let second = in_force(&world);
    assert_eq!(second.since, first.since);
    assert_eq!(second.deadline.0, world.now, "forced: at once");
    assert_eq!(second.actor, DrainActor::Admin("bob".to_owned()));
}

#[test]
fn taking_back_what_is_not_there_changes_nothing() {
    let mut world = World::with_workers(1, 100);
    let revision = world.worker(1).revision;
    assert_eq!(world.ok(undrain(1)), about(1, false));
    assert_eq!(world.worker(1).revision, revision);
    assert_eq!(world.last_changes, []);
}

// Covers: R30
#[test]
fn a_worker_that_is_offline_or_deleted_is_not_drained_and_the_status_is_named() {
    let mut world = World::with_workers(2, 100);
    world.down(1);
    world.ok(delete(2));
    world.ok(Command::CreateWorker(create_worker(3, 100)));
    for (n, status) in [(1, "OFFLINE"), (2, "DELETED"), (3, "OFFLINE")] {
        let refusal = world.refused(drain_order(n, order(admin(), AfterDrain::Disconnect)));
        assert_eq!(refused_status(&refusal), status);
        let message = refusal.to_string();
        assert!(
            message.contains("ONLINE or DRAINING or ERROR or UNREACHABLE"),
            "{message}"
        );
    }
    assert_eq!(refused_status(&world.refused(undrain(2))), "DELETED");
    let unknown = world.refused(drain_order(9, order(admin(), AfterDrain::Disconnect)));
    assert!(matches!(
        unknown,
        Refusal::NotFound {
            kind: ObjectKind::Worker,
            ..
        }
    ));
}

#[test]
fn the_fields_of_a_drain_are_checked() {
    let mut world = World::with_workers(1, 100);
    let bad = [
        ("x".repeat(1_025), Millis(0), vec!["reason"]),
        ("two\nlines".to_owned(), Millis(0), vec!["reason"]),
        (String::new(), Millis(DAY.0 * 7 + 1), vec!["deadline_s"]),
        ("\u{7}".to_owned(), Millis(u64::MAX), vec!["reason", "deadline_s"]),
    ];
    for (reason, timeout, expected) in bad {
        let order = DrainOrder {
            reason,
            timeout,
            ..order(admin(), AfterDrain::Resume)
        };
        assert_eq!(fields(&world.refused(drain_order(1, order))), expected);
    }
    let longest = DrainOrder {
        reason: "x".repeat(1_024),
        timeout: Millis(DAY.0 * 7),
        ..order(admin(), AfterDrain::Resume)
    };
    world.ok(drain_order(1, longest));
}
