//! Callers' keys: created, revoked, and checked in apply (D27a).

use reeve_state::id::ProjectName;
use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::record::{Access, ObjectRef, RequestKey, Role};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

fn key(key: u8, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Key(key_id(key)),
        created,
        replayed: false,
    }
}

fn first_key(n: u8) -> CreateKey {
    CreateKey {
        bootstrap: true,
        ..new_key(n, Role::Admin)
    }
}

/// A cluster with a key of each role: 1 viewer, 2 operator, 3 admin, 4 worker.
fn with_keys() -> World {
    let mut world = World::with_workers(1, 100);
    for (n, role) in (1..).zip(Role::ALL) {
        world.ok(Command::CreateKey(new_key(n, role)));
    }
    world
}

fn rejected(reason: KeyFault) -> Refusal {
    Refusal::KeyRejected { reason }
}

#[test]
fn the_first_key_needs_none_and_there_is_only_one_first() {
    let mut world = World::default();
    assert_eq!(world.ok(Command::CreateKey(first_key(1))), key(1, true));
    assert_eq!(
        world.refused(Command::CreateKey(first_key(2))),
        Refusal::KeysExist
    );
    assert_eq!(
        world.as_caller(1, Command::CreateKey(new_key(2, Role::Admin))),
        Ok(key(2, true))
    );
    assert_eq!(world.as_caller(2, revoke(1)), Ok(key(1, false)));
    assert_eq!(
        world.refused(Command::CreateKey(first_key(3))),
        Refusal::KeysExist,
        "revoked keys count: nobody becomes admin by revoking"
    );
}

#[test]
fn the_first_key_is_an_admins_and_for_ever() {
    let mut world = World::default();
    let weak = CreateKey {
        role: Role::Operator,
        ttl: Some(HOUR),
        ..first_key(1)
    };
    assert_eq!(
        fields(&world.refused(Command::CreateKey(weak))),
        ["role", "ttl_s"]
    );
}

#[test]
fn the_fields_of_a_key_are_checked_and_its_name_and_secret_are_its_own() {
    let mut world = with_keys();
    let bad = CreateKey {
        name: String::new(),
        project: "x".repeat(129),
        ttl: Some(Millis(0)),
        ..new_key(9, Role::Viewer)
    };
    assert_eq!(
        fields(&world.refused(Command::CreateKey(bad))),
        ["name", "project", "ttl_s"]
    );
    let same_name = CreateKey {
        name: "k1".to_owned(),
        ..new_key(9, Role::Viewer)
    };
    let same_id = CreateKey {
        id: key_id(1),
        ..new_key(9, Role::Viewer)
    };
    let same_secret = CreateKey {
        hash: new_key(1, Role::Viewer).hash,
        ..new_key(9, Role::Viewer)
    };
    for twice in [same_name, same_id, same_secret] {
        let refusal = world.refused(Command::CreateKey(twice));
        assert!(
            matches!(
                refusal,
                Refusal::AlreadyExists {
                    kind: ObjectKind::Key,
                    ..
                }
            ),
            "{refusal}"
        );
    }
    world.ok(revoke(1));
    let name_is_free = CreateKey {
        name: "k1".to_owned(),
        ..new_key(9, Role::Viewer)
    };
    world.ok(Command::CreateKey(name_is_free));
    assert_eq!(world.state.key_named("k1").unwrap().id, key_id(9));
    assert!(
        world.state.key(key_id(1)).is_some(),
        "the revoked one is still listed"
    );
}

#[test]
fn a_revoked_key_is_refused_from_the_next_command_on() {
    let mut world = with_keys();
    let stop = || drain_order(1, order(DrainActor::Platform, AfterDrain::Resume));
    assert!(world.as_caller(2, stop()).is_ok());
    assert_eq!(world.as_caller(3, revoke(2)), Ok(key(2, false)));
    assert_eq!(world.as_caller(2, stop()), Err(rejected(KeyFault::Revoked)));
    let revision = world.state.meta().revision;
    assert_eq!(
        world.as_caller(3, revoke(2)),
        Ok(key(2, false)),
        "twice changes nothing"
    );
    assert_eq!(world.state.meta().revision, revision);
    assert_eq!(world.as_caller(77, stop()), Err(rejected(KeyFault::Unknown)));
    let unknown = world.as_caller(3, revoke(77));
    assert!(matches!(
        unknown,
        Err(Refusal::NotFound {
            kind: ObjectKind::Key,
            ..
        })
    ));
}

#[test]
fn a_revoked_key_is_refused_even_for_a_request_that_was_answered() {
    let mut world = with_keys();
    let request = || Envelope {
        request: Some(RequestTag {
            key: RequestKey {
                caller: "k2".into(),
                request_id: "r1".into(),
            },
            hash: [1; 32],
        }),
        principal: Some(key_id(2)),
        ..Envelope::internal(Command::CreateWorker(create_worker(9, 5)))
    };
    assert!(world.apply(TERM, request()).result.is_ok());
    let again = world.apply(TERM, request()).result;
    assert!(matches!(again, Ok(Reply::Object { replayed: true, .. })));
    world.ok(revoke(2));
    assert_eq!(
        world.apply(TERM, request()).result,
        Err(rejected(KeyFault::Revoked))
    );
}

#[test]
fn a_key_is_refused_from_its_date_on() {
    let mut world = with_keys();
    let short = CreateKey {
        ttl: Some(HOUR),
        ..new_key(9, Role::Operator)
    };
    world.ok(Command::CreateKey(short));
    let until = world.state.key(key_id(9)).unwrap().expires_at.unwrap();
    let before = Time(until.0 - 1);
    assert!(world.state.key_in_force(key_id(9), before).is_ok());
    assert_eq!(
        world.state.key_in_force(key_id(9), until).err(),
        Some(rejected(KeyFault::Expired))
    );
    // Apply judges by the stamp of the entry; the next command is stamped one step later.
    world.now = until.0 - 11;
    assert!(world.as_caller(9, undrain(1)).is_ok());
    assert_eq!(world.as_caller(9, undrain(1)), Err(rejected(KeyFault::Expired)));
}

#[test]
fn the_last_admin_key_in_force_stays() {
    let mut world = World::default();
    world.ok(Command::CreateKey(first_key(1)));
    let last = Refusal::LastAdminKey {
        id: key_id(1).to_string(),
    };
    assert_eq!(world.refused(revoke(1)), last);
    world.ok(Command::CreateKey(new_key(2, Role::Operator)));
    assert_eq!(world.refused(revoke(1)), last, "an operator does not count");
    let short = CreateKey {
        ttl: Some(HOUR),
        ..new_key(3, Role::Admin)
    };
    world.ok(Command::CreateKey(short));
    world.pass(HOUR);
    assert_eq!(world.refused(revoke(1)), last, "nor does one that ran out");
    world.ok(revoke(3));
    world.ok(Command::CreateKey(new_key(4, Role::Admin)));
    world.ok(revoke(1));
    assert!(matches!(world.refused(revoke(4)), Refusal::LastAdminKey { .. }));
}

#[test]
fn an_admin_key_that_ran_out_may_go_although_there_is_no_other() {
    let mut world = World::default();
    let short = CreateKey {
        ttl: Some(HOUR),
        ..new_key(1, Role::Admin)
    };
    world.ok(Command::CreateKey(short));
    world.pass(HOUR);
    world.ok(revoke(1));
    assert!(world.state.key_named("k1").is_none(), "its name is free");
}

#[test]
fn each_role_may_do_what_it_is_for() {
    // Rows: roles. Columns: Read, Operate, Administer, Ping.
    let table = [
        (Role::Viewer, "x..."),
        (Role::Operator, "xx.x"),
        (Role::Admin, "xxxx"),
        (Role::Worker, "...x"),
    ];
    assert_eq!(table.map(|(role, _)| role), Role::ALL);
    let world = with_keys();
    for (n, (role, row)) in (1..).zip(table) {
        for (access, cell) in Access::ALL.into_iter().zip(row.chars()) {
            let allowed = cell == 'x';
            assert_eq!(role.allows(access), allowed, "{role} {access:?}");
            let answer = world.state.authorize(key_id(n), access, Time(world.now));
            let refusal = Refusal::RoleTooLow { role, needs: access };
            assert_eq!(answer.err(), (!allowed).then_some(refusal.clone()));
            // The message names every role that would do, and no other.
            let message = refusal.to_string();
            let needs = message.split("it needs ").nth(1).unwrap_or_default();
            let named = needs
                .split(|c: char| !c.is_alphabetic())
                .any(|word| word == role.name());
            assert_eq!(named, allowed, "{message}");
        }
    }
}

/// One of every command, with what a caller needs for it.
fn commands() -> Vec<(Command, Option<Access>)> {
    let mut world = World::offered(1, 1);
    let place = world.place(1, Vec::new(), Vec::new());
    let queue = QueueRun {
        run: run_id(1),
        revision: world.run(1).revision,
    };
    let abandon = AbandonAssignments {
        run: run_id(1),
        revision: world.run(1).revision,
        ordinals: vec![0],
        detail: String::new(),
    };
    let test = ApplyTest {
        id: test_id(9),
        definition: Arc::new(definition("other", 1)),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    };
    let start = StartRun {
        run: run_id(9),
        test: test_id(1),
    };
    let code = reeve_state::transition::run::RunReasonCode::Cancelled;
    let outcome = reeve_state::transition::endpoint::EndpointOutcome::Oserror;
    let operate = Some(Access::Operate);
    let ping_access = Some(Access::Ping);
    let all = vec![
        (
            Command::RaiseClusterVersion(RaiseClusterVersion { version: 1 }),
            None,
        ),
        (Command::ApplyTest(test), operate),
        (Command::DeleteTest(DeleteTest { test: test_id(1) }), operate),
        (Command::StartRun(start), operate),
        (World::stop(1), operate),
        (Command::QueueRun(queue), None),
        (place, None),
        (world.begin(1), None),
        (world.complete(1), None),
        (world.fail(1, code, outcome), None),
        (world.reject(1, code), None),
        (Command::AbandonAssignments(abandon), None),
        (Command::CreateWorker(create_worker(9, 1)), operate),
        (Command::ConnectWorker(hello(1, 1, Vec::new())), None),
        (world.leave(1), None),
        (world.link(1, Link::Suspect), None),
        (world.health(1, cpu(99)), None),
        (undrain(1), operate),
        (register(9), ping_access),
        (ping(9), ping_access),
        (unregister(9), ping_access),
        (regenerate(1, 99), operate),
        (world.next_report(1, 0, ReportEvent::Ready), None),
        (expire(1), None),
        (delete(1), operate),
        (purge(1, DAY), None),
        (
            Command::CreateKey(new_key(9, Role::Viewer)),
            Some(Access::Administer),
        ),
        (revoke(1), Some(Access::Administer)),
    ];
    world.now = 0;
    all
}

#[test]
fn every_command_is_refused_for_a_caller_whose_role_does_not_allow_it() {
    let commands = commands();
    let numbers: std::collections::BTreeSet<u32> =
        commands.iter().map(|(command, _)| command.number()).collect();
    assert_eq!(numbers.len(), 28, "one of every command");
    for (command, access) in commands {
        assert_eq!(command.access(), access, "{}", command.name());
        for (n, role) in (1..).zip(Role::ALL) {
            let answer = with_keys().as_caller(n, command.clone());
            let forbidden = matches!(
                answer,
                Err(Refusal::RoleTooLow { .. } | Refusal::KeyRejected { .. })
            );
            let allowed = access.is_some_and(|access| role.allows(access));
            assert_eq!(!forbidden, allowed, "{} by {role}: {answer:?}", command.name());
        }
    }
}
