//! The registry: ping workers come, go and come back; deletion, purge, and names that are free again (D4a, D7).

use std::collections::BTreeSet;

use reeve_state::command::*;
use reeve_state::id::SessionEpoch;
use reeve_state::record::{ObjectRef, RequestKey, Role};
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

fn requested(id: &str, command: Command) -> Envelope {
    Envelope {
        request: Some(RequestTag {
            key: RequestKey {
                caller: "ann".into(),
                request_id: id.into(),
            },
            hash: [1; 32],
        }),
        ..Envelope::internal(command)
    }
}

fn is_gone(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotFound {
            kind: ObjectKind::Worker,
            ..
        }
    )
}

// Covers: R325, R343, R344
#[test]
fn a_ping_worker_registers_and_is_online_with_its_first_ping() {
    let mut world = World::default();
    assert_eq!(world.ok(register(1)), about(1, true));
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
    assert_eq!(world.worker(1).function_blocks, registration(1).function_blocks);
    assert_eq!(world.worker(1).token_hash, None);
    assert_eq!(world.ok(ping(1)), about(1, false));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    assert_eq!(world.worker(1).session.unwrap().epoch, SessionEpoch(1));
}

// Covers: R346
#[test]
fn a_ping_that_changes_nothing_is_no_change() {
    let mut world = World::with_ping_workers(1);
    let revision = world.state.meta().revision;
    for _ in 0..3 {
        world.ok(ping(1));
        assert_eq!(world.last_changes, []);
    }
    assert_eq!(world.state.meta().revision, revision);
}

#[test]
fn a_ping_begins_a_new_session_only_after_the_last_one_was_over() {
    let mut world = World::with_ping_workers(1);
    let epoch = world.worker(1).last_epoch;
    let late = world.link(1, Link::Down);
    world.ok(world.link(1, Link::Suspect));
    world.ok(ping(1));
    assert_eq!(world.worker(1).last_epoch, epoch, "heard again in time");
    world.down(1);
    world.ok(ping(1));
    assert_eq!(world.worker(1).last_epoch, SessionEpoch(epoch.0 + 1));
    assert!(
        matches!(world.refused(late), Refusal::SessionOver { .. }),
        "what was decided of the old session is refused"
    );
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
}

// Covers: R351, R352
#[test]
fn unregister_is_offline_at_once_and_keeps_the_function_blocks() {
    let mut world = World::with_ping_workers(1);
    assert_eq!(world.ok(unregister(1)), about(1, false));
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
    assert_eq!(world.worker(1).function_blocks, registration(1).function_blocks);
    let revision = world.worker(1).revision;
    world.ok(unregister(1));
    assert_eq!(world.worker(1).revision, revision, "twice changes nothing");
}

// Covers: R353
#[test]
fn a_worker_that_is_not_online_registers_again_under_its_name_and_keeps_its_id() {
    let again = |n: u8| {
        Command::RegisterWorker(RegisterWorker {
            id: worker_id(50),
            version: "2.0.0".to_owned(),
            function_blocks: BTreeSet::from(["acme/answer:1.1.0".to_owned()]),
            ..registration(n)
        })
    };
    let ways: [&[Command]; 3] = [
        &[unregister(1)],
        &[ping_with(1, cpu(99))],
        &[drain_order(1, order(DrainActor::Platform, AfterDrain::Resume))],
    ];
    for way in ways {
        let mut world = World::with_ping_workers(1);
        for command in way {
            world.ok(command.clone());
        }
        assert_eq!(world.ok(again(1)), about(1, false), "{way:?}");
        let worker = world.worker(1);
        assert_eq!(
            worker.version, "2.0.0",
            "what it says now replaces what it said before"
        );
        assert_eq!(
            worker.function_blocks,
            BTreeSet::from(["acme/answer:1.1.0".to_owned()])
        );
        assert!(world.state.worker(worker_id(50)).is_none());
    }
}

#[test]
fn the_name_of_an_online_worker_or_of_one_with_a_session_is_taken() {
    let mut world = World::with_ping_workers(1);
    assert!(matches!(
        world.refused(register(1)),
        Refusal::AlreadyExists { .. }
    ));
    world.ok(Command::CreateWorker(create_worker(2, 100)));
    let other = RegisterWorker {
        name: "w2".to_owned(),
        ..registration(3)
    };
    assert_eq!(world.worker_status(2), WorkerStatus::Offline);
    let refusal = world.refused(Command::RegisterWorker(other));
    assert_eq!(
        refusal,
        Refusal::AlreadyExists {
            kind: ObjectKind::Worker,
            name: "w2".to_owned()
        },
        "a session worker's, whatever its status"
    );
    let session = CreateWorker {
        name: "p1".to_owned(),
        ..create_worker(4, 100)
    };
    assert!(matches!(
        world.refused(Command::CreateWorker(session)),
        Refusal::AlreadyExists { .. }
    ));
}

#[test]
fn calls_for_ping_workers_are_refused_for_those_with_a_session() {
    let mut world = World::with_workers(1, 100);
    for command in [ping(1), unregister(1)] {
        assert_eq!(
            world.refused(command),
            Refusal::WrongProfile {
                worker: worker_id(1),
                is: LivenessProfile::Session,
                wanted: LivenessProfile::Ping
            }
        );
    }
    let cloud = CreateWorker {
        profile: LivenessProfile::Ping,
        ..create_worker(2, 100)
    };
    world.ok(Command::CreateWorker(cloud));
    assert_eq!(
        world.refused(Command::ConnectWorker(hello(2, 1, Vec::new()))),
        Refusal::TokenRejected,
        "a ping worker has no token to connect with"
    );
}

#[test]
fn every_field_of_a_registration_is_checked_and_named() {
    type Bad = (fn(&mut RegisterWorker), &'static str);
    let bad: [Bad; 16] = [
        (|r| r.name = String::new(), "name"),
        (|r| r.name = "x".repeat(129), "name"),
        (|r| r.region = " eu".to_owned(), "region"),
        (|r| r.region = "x".repeat(129), "region"),
        (|r| r.version = "1\n".to_owned(), "version"),
        (|r| r.ip_address = "localhost".to_owned(), "ip_address"),
        (|r| r.ip_address = "10.0.0.256".to_owned(), "ip_address"),
        (|r| r.ip_address = "10.0.0.1:80".to_owned(), "ip_address"),
        (|r| r.capacity = Some(0), "capacity"),
        (|r| r.capacity = Some(10_000_001), "capacity"),
        (
            |r| r.labels = [(String::new(), "v".to_owned())].into(),
            "labels[\"\"]",
        ),
        (
            |r| r.function_blocks = ["dial".to_owned()].into(),
            "function_blocks",
        ),
        (
            |r| r.function_blocks = ["acme/dial:1.2".to_owned()].into(),
            "function_blocks",
        ),
        (
            |r| r.function_blocks = ["acme/dial:1.2.x".to_owned()].into(),
            "function_blocks",
        ),
        (
            |r| r.function_blocks = ["acme/di al:1.2.3".to_owned()].into(),
            "function_blocks",
        ),
        (
            |r| r.function_blocks = (0..257).map(|n| format!("acme/b{n}:1.0.0")).collect(),
            "function_blocks",
        ),
    ];
    let mut world = World::default();
    for (spoil, field) in bad {
        let mut registration = registration(1);
        spoil(&mut registration);
        let refusal = world.refused(Command::RegisterWorker(registration));
        assert_eq!(fields(&refusal), [field], "{refusal}");
    }
    let mut all = registration(1);
    all.name = String::new();
    all.ip_address = "x".to_owned();
    all.function_blocks = ["x".repeat(100_000)].into();
    let refusal = world.refused(Command::RegisterWorker(all));
    assert_eq!(
        fields(&refusal),
        ["name", "ip_address", "function_blocks"],
        "all at once"
    );
    assert!(refusal.to_string().len() < 1_000, "and not echoed at length");
    for address in ["", "10.0.0.1", "2001:db8::1"] {
        let good = RegisterWorker {
            ip_address: address.to_owned(),
            function_blocks: BTreeSet::new(),
            ..registration(1)
        };
        world.ok(Command::RegisterWorker(good));
    }
}

// Covers: R331, R348, R368
#[test]
fn a_deleted_worker_leaves_a_tombstone_and_its_name_is_free() {
    let mut world = World::with_ping_workers(1);
    world.ok(unregister(1));
    assert_eq!(world.ok(delete(1)), about(1, false));
    assert_eq!(world.worker_status(1), WorkerStatus::Deleted);
    assert!(world.state.worker_named("p1").is_none());
    assert_eq!(
        world.state.workers_after(None).count(),
        0,
        "hidden from lists by name"
    );
    assert!(is_gone(&world.refused(ping(1))), "404: it registers again");
    assert!(is_gone(&world.refused(delete(1))));
    let again = RegisterWorker {
        name: "p1".to_owned(),
        ..registration(2)
    };
    assert_eq!(
        world.ok(Command::RegisterWorker(again)),
        about(2, true),
        "a new id"
    );
    assert_eq!(world.worker_status(1), WorkerStatus::Deleted);
    assert_eq!(world.state.worker_named("p1").unwrap().id, worker_id(2));
}

// Covers: R368
#[test]
fn a_deleted_session_worker_is_gone_with_its_token() {
    let mut world = World::with_workers(1, 100);
    world.ok(delete(1));
    assert!(world.worker(1).session.is_none());
    assert_eq!(
        world.refused(Command::ConnectWorker(hello(1, 1, Vec::new()))),
        Refusal::TokenRejected
    );
    // The same name and even the same token may be used again.
    world.ok(Command::CreateWorker(CreateWorker {
        id: worker_id(2),
        ..create_worker(1, 100)
    }));
}

#[test]
fn a_worker_that_holds_endpoints_is_deleted_only_by_force() {
    let mut world = World::running(2, 10);
    assert_eq!(
        world.refused(delete(1)),
        Refusal::WorkerBusy {
            worker: worker_id(1),
            assignments: 1
        }
    );
    world.ok(delete_if(1, None, true));
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 10);
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Closed);
    assert_eq!(
        world.state.reserved(worker_id(1)),
        0,
        "nothing waits for a Hello that cannot come"
    );
    assert_eq!(
        world.status(1),
        RunStatus::Running,
        "the run goes on with the other worker"
    );
    let late = world.report(1, 0, 9, ReportEvent::Closed);
    assert!(matches!(
        world.refused(late),
        Refusal::EpochOver { confirm: false, .. }
    ));
}

#[test]
fn what_an_offline_worker_lost_does_not_keep_it() {
    let mut world = World::running(1, 10);
    world.down(1);
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Lost);
    world.ok(delete(1));
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Closed);
}

// Covers: R330, R337, R369, R370
#[test]
fn deletion_can_wait_for_a_time_in_offline_and_is_refused_before() {
    let mut world = World::with_ping_workers(1);
    let refusal = world.refused(delete_if(1, Some(Millis(0)), true));
    assert_eq!(
        refused_status(&refusal),
        "ONLINE",
        "force does not make it OFFLINE"
    );
    world.pass(DAY);
    world.ok(unregister(1));
    let offline_since = world.worker(1).facts.link.since;
    let refusal = world.refused(delete_if(1, Some(DAY), false));
    assert_eq!(
        refusal.to_string(),
        format!(
            "worker {} is OFFLINE; this needs OFFLINE for 86400s",
            worker_id(1)
        ),
        "a day in OFFLINE, not since the last ping"
    );
    // The next command is stamped one step later.
    world.now = (offline_since + DAY).0 - 11;
    world.refused(delete_if(1, Some(DAY), false));
    world.now = (offline_since + DAY).0 - 10;
    world.ok(delete_if(1, Some(DAY), false));
    assert_eq!(world.worker_status(1), WorkerStatus::Deleted);
}

#[test]
fn coming_back_begins_the_day_anew() {
    let mut world = World::with_ping_workers(1);
    world.ok(unregister(1));
    world.pass(Millis::from_secs(23 * 3_600));
    world.ok(ping(1));
    world.ok(unregister(1));
    world.pass(Millis::from_secs(2 * 3_600));
    assert_eq!(
        refused_status(&world.refused(delete_if(1, Some(DAY), false))),
        "OFFLINE"
    );
}

#[test]
fn a_tombstone_is_forgotten_after_its_retention_with_its_history() {
    let mut world = World::with_ping_workers(2);
    assert_eq!(refused_status(&world.refused(purge(1, Millis(0)))), "ONLINE");
    world.ok(delete(1));
    assert_eq!(refused_status(&world.refused(purge(1, DAY))), "DELETED");
    world.pass(DAY);
    world.ok(purge(1, DAY));
    assert!(world.state.worker(worker_id(1)).is_none());
    assert_eq!(world.events(1), []);
    assert!(!world.events(2).is_empty(), "others keep theirs");
    assert!(is_gone(&world.refused(purge(1, DAY))));
}

#[test]
fn a_purged_workers_runs_go_on_naming_it() {
    let mut world = World::running(1, 10);
    world.ok(delete_if(1, None, true));
    world.ok(purge(1, Millis(0)));
    assert_eq!(world.assignment(1, 0).worker, worker_id(1));
    let fail = world.fail(
        1,
        reeve_state::transition::run::RunReasonCode::AllWorkersDisconnected,
        EndpointOutcome::Oserror,
    );
    world.ok(fail);
    assert_eq!(world.status(1), RunStatus::Failed);
}

#[test]
fn the_request_that_created_a_worker_is_forgotten_when_it_is_deleted() {
    let mut world = World::default();
    let create = |n: u8| {
        requested(
            "r1",
            Command::RegisterWorker(RegisterWorker {
                id: worker_id(n),
                ..registration(1)
            }),
        )
    };
    let replayed = |n: u8| Reply::Object {
        object: ObjectRef::Worker(worker_id(n)),
        created: true,
        replayed: true,
    };
    assert_eq!(world.apply(TERM, create(1)).result, Ok(about(1, true)));
    assert_eq!(world.apply(TERM, create(2)).result, Ok(replayed(1)));
    world.ok(delete(1));
    assert_eq!(
        world.apply(TERM, create(2)).result,
        Ok(about(2, true)),
        "not the tombstone"
    );
    world.ok(purge(1, Millis(0)));
    assert_eq!(
        world.apply(TERM, create(3)).result,
        Ok(replayed(2)),
        "the purge took only its own"
    );
}

#[test]
fn a_key_of_the_role_worker_speaks_only_for_the_workers_that_it_registered() {
    let mut world = World::default();
    for (n, role) in [(1, Role::Worker), (2, Role::Worker), (3, Role::Admin)] {
        world.ok(Command::CreateKey(new_key(n, role)));
    }
    assert_eq!(world.as_caller(1, register(1)), Ok(about(1, true)));
    assert_eq!(world.as_caller(1, ping(1)), Ok(about(1, false)));
    let others = Err(Refusal::WorkerOfAnotherKey { worker: worker_id(1) });
    assert_eq!(world.as_caller(2, ping(1)), others);
    assert_eq!(world.as_caller(2, unregister(1)), others);
    assert_eq!(
        world.as_caller(3, unregister(1)),
        Ok(about(1, false)),
        "an admin may"
    );
    assert_eq!(world.as_caller(2, register(1)), others, "OFFLINE or not");
    assert_eq!(world.as_caller(3, revoke(1)).map(|_| ()), Ok(()));
    assert_eq!(
        world.as_caller(2, register(1)),
        Ok(about(1, false)),
        "a key that is over leaves its workers to the next"
    );
    assert_eq!(world.as_caller(2, ping(1)), Ok(about(1, false)));
}
