//! Workers' tokens: regenerated, run out, refused (D5b).

use reeve_state::command::*;
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

fn hello_with(n: u8, hash: u8) -> ConnectWorker {
    ConnectWorker {
        token_hash: token(hash),
        ..hello(n, n, Vec::new())
    }
}

/// Worker 1, ONLINE, whose token is good for an hour.
fn with_an_hour() -> World {
    let mut world = World::default();
    world.ok(Command::CreateWorker(CreateWorker {
        token_ttl: Some(HOUR),
        ..create_worker(1, 100)
    }));
    world.ok(Command::ConnectWorker(hello(1, 1, Vec::new())));
    world
}

// Covers: R42, R91, R92
#[test]
fn a_new_token_ends_the_old_one_at_that_moment() {
    let mut world = World::with_workers(1, 100);
    assert_eq!(world.ok(regenerate(1, 50)), about(1, false));
    assert_eq!(world.worker_status(1), WorkerStatus::Error);
    let rejected = world.worker(1).facts.credential_rejected.clone().unwrap();
    assert!(rejected.reason.contains("regenerated"), "{rejected:?}");
    assert_eq!(
        world.refused(Command::ConnectWorker(hello_with(1, 1))),
        Refusal::TokenRejected,
        "the very next command with the old one"
    );
    world.ok(Command::ConnectWorker(hello_with(1, 50)));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    assert_eq!(world.worker(1).facts.credential_rejected, None);
}

// Covers: R46, R92
#[test]
fn endpoints_are_kept_when_the_worker_returns_with_the_new_token_before_it_is_down() {
    let mut world = World::running(1, 10);
    let epoch = world.assignment(1, 0).epoch;
    world.ok(regenerate(1, 50));
    assert_eq!(world.assignment_status(1, 0), AssignmentStatus::Started);
    world.ok(world.link(1, Link::Suspect));
    let reply = world.ok(Command::ConnectWorker(ConnectWorker {
        held: vec![(run_id(1), epoch)],
        ..hello_with(1, 50)
    }));
    let Reply::Session(grant) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(grant.resumed.len(), 1);
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    world.close_all(1, 0, EndpointOutcome::Success);
    assert_eq!(world.ended_in(1, EndpointOutcome::Success), 10);
}

// Covers: R48, R92
#[test]
fn endpoints_are_lost_when_it_does_not_return_in_time() {
    let mut world = World::running(1, 10);
    world.ok(regenerate(1, 50));
    world.down(1);
    assert_eq!(world.ended_in(1, EndpointOutcome::Oserror), 10);
    world.ok(Command::ConnectWorker(hello_with(1, 50)));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
}

#[test]
fn without_a_session_a_new_token_leaves_nothing_to_complain_about() {
    let mut world = World::with_workers(1, 100);
    world.down(1);
    world.ok(regenerate(1, 50));
    assert_eq!(world.worker(1).facts.credential_rejected, None);
    assert_eq!(world.worker_status(1), WorkerStatus::Offline);
}

// Covers: R42
#[test]
fn a_token_that_runs_out_is_an_error_on_a_live_connection_and_refused_on_a_new_one() {
    let mut world = with_an_hour();
    assert!(
        matches!(world.refused(expire(1)), Refusal::WrongStatus { .. }),
        "it is good still"
    );
    let due: Vec<_> = world.state.expiring_tokens().map(|(_, id)| id).collect();
    assert_eq!(due, [worker_id(1)]);
    world.pass(HOUR);
    world.ok(expire(1));
    assert_eq!(world.worker_status(1), WorkerStatus::Error);
    let rejected = world.worker(1).facts.credential_rejected.clone().unwrap();
    assert!(rejected.reason.contains("expired"), "{rejected:?}");
    assert_eq!(world.state.expiring_tokens().count(), 0, "it is told once");
    let revision = world.worker(1).revision;
    world.ok(expire(1));
    assert_eq!(
        world.worker(1).revision,
        revision,
        "told twice, it changes nothing"
    );
    assert_eq!(
        world.refused(Command::ConnectWorker(hello(1, 1, Vec::new()))),
        Refusal::TokenExpired { worker: worker_id(1) }
    );
    world.ok(regenerate(1, 50));
    world.ok(Command::ConnectWorker(hello_with(1, 50)));
    assert_eq!(world.worker_status(1), WorkerStatus::Online);
    assert_eq!(world.worker(1).token_expires_at, None);
}

#[test]
fn a_token_is_refused_from_its_date_on_although_nobody_said_so_yet() {
    let mut world = with_an_hour();
    let until = world.worker(1).token_expires_at.unwrap();
    // The next command is stamped one step later.
    world.now = until.0 - 11;
    world.ok(Command::ConnectWorker(hello(1, 1, Vec::new())));
    assert_eq!(
        world.refused(Command::ConnectWorker(hello(1, 1, Vec::new()))),
        Refusal::TokenExpired { worker: worker_id(1) }
    );
    assert_eq!(
        world.worker_status(1),
        WorkerStatus::Online,
        "the session goes on until it is told"
    );
}

#[test]
fn what_a_new_token_may_not_be() {
    let mut world = World::with_workers(2, 100);
    for ttl in [Millis(0), DAY.0.checked_mul(3_651).map(Millis).unwrap()] {
        let command = RegenerateToken {
            worker: worker_id(1),
            token_hash: token(50),
            token_ttl: Some(ttl),
        };
        assert_eq!(
            fields(&world.refused(Command::RegenerateToken(command))),
            ["token_ttl_s"]
        );
        let create = CreateWorker {
            token_ttl: Some(ttl),
            ..create_worker(3, 5)
        };
        assert_eq!(
            fields(&world.refused(Command::CreateWorker(create))),
            ["token_ttl_s"]
        );
    }
    assert!(
        matches!(world.refused(regenerate(1, 2)), Refusal::AlreadyExists { .. }),
        "another's"
    );
    assert!(matches!(
        world.refused(regenerate(9, 50)),
        Refusal::NotFound { .. }
    ));
    world.ok(register(3));
    assert_eq!(
        world.refused(regenerate(3, 50)),
        Refusal::WrongProfile {
            worker: worker_id(3),
            is: LivenessProfile::Ping,
            wanted: LivenessProfile::Session
        }
    );
}

// Covers: R90
#[test]
fn no_hash_of_a_secret_is_printed() {
    let mut world = World::with_workers(1, 100);
    world.ok(Command::CreateKey(new_key(1, reeve_state::record::Role::Admin)));
    let rows: Vec<_> = world.state.rows().collect();
    let shown = format!(
        "{rows:?} {:?} {:?}",
        regenerate(1, 0xab),
        new_key(0xab, reeve_state::record::Role::Viewer).hash
    );
    assert!(shown.contains("TokenHash(…)") && shown.contains("KeyHash(…)"));
    assert!(!shown.contains("171, 171"), "the bytes of a hash");
}
