//! Repeated requests (D15).

use reeve_state::id::ProjectName;
use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::record::{ObjectRef, RequestKey};

use crate::world::*;

fn tagged(caller: &str, id: &str, hash: u8, command: Command) -> Envelope {
    let key = RequestKey {
        caller: caller.into(),
        request_id: id.into(),
    };
    Envelope {
        request: Some(RequestTag {
            key,
            hash: [hash; 32],
        }),
        fence_term: None,
        principal: None,
        command,
    }
}

fn start(run: u8) -> Command {
    Command::StartRun(StartRun {
        run: run_id(run),
        test: test_id(1),
    })
}

#[test]
fn the_same_request_gives_the_same_run() {
    let mut world = World::default();
    world.apply_test(1, definition("smoke", 10));
    let first = world.apply(TERM, tagged("ann", "r1", 1, start(1)));
    let again = world.apply(TERM, tagged("ann", "r1", 1, start(2)));
    let object = ObjectRef::Run(run_id(1));
    assert_eq!(
        again.result,
        Ok(Reply::Object {
            object,
            created: true,
            replayed: true
        })
    );
    assert_eq!(again.revision, first.revision);
    assert_eq!(world.state.runs().count(), 1);
}

#[test]
fn a_different_request_under_the_same_id_is_refused() {
    let mut world = World::default();
    world.apply_test(1, definition("smoke", 10));
    world.apply(TERM, tagged("ann", "r1", 1, start(1)));
    let other = world.apply(TERM, tagged("ann", "r1", 2, start(2)));
    assert_eq!(
        other.result,
        Err(Refusal::RequestIdReused {
            request_id: "r1".into()
        })
    );
    let bob = world.apply(TERM, tagged("bob", "r1", 2, start(2)));
    assert!(bob.result.is_ok(), "request ids belong to their callers");
}

#[test]
fn a_refusal_is_not_kept() {
    let mut world = World::default();
    let refused = world.apply(TERM, tagged("ann", "r1", 1, start(1)));
    assert!(matches!(refused.result, Err(Refusal::NotFound { .. })));
    world.apply_test(1, definition("smoke", 10));
    assert!(world.apply(TERM, tagged("ann", "r1", 1, start(1))).result.is_ok());
}

#[test]
fn creations_are_remembered_as_long_as_their_object_and_others_an_hour() {
    let mut world = World::default();
    let apply = |endpoints| {
        let definition = Arc::new(definition("smoke", endpoints));
        Command::ApplyTest(ApplyTest {
            id: test_id(1),
            definition,
            mode: ApplyMode::CreateOrUpdate,
            project: ProjectName::default(),
        })
    };
    world.apply(TERM, tagged("ann", "create", 1, apply(10)));
    world.apply(TERM, tagged("ann", "update", 2, apply(20)));
    world.now += 3_700_000;
    // After an hour the update is forgotten, so it is a new request; the creation is still known.
    world
        .apply(TERM, tagged("ann", "update", 3, apply(30)))
        .result
        .unwrap();
    assert_eq!(
        world
            .state
            .test_named(&ProjectName::default(), "smoke")
            .unwrap()
            .version,
        3
    );
    let reused = world.apply(TERM, tagged("ann", "create", 9, apply(40)));
    assert!(matches!(reused.result, Err(Refusal::RequestIdReused { .. })));
    world.ok(Command::DeleteTest(DeleteTest { test: test_id(1) }));
    world
        .apply(TERM, tagged("ann", "create", 9, apply(40)))
        .result
        .unwrap();
    assert_eq!(
        world
            .state
            .test_named(&ProjectName::default(), "smoke")
            .unwrap()
            .version,
        1
    );
}

#[test]
fn a_repeated_deletion_is_answered() {
    let mut world = World::default();
    world.apply_test(1, definition("smoke", 10));
    let delete = || {
        tagged(
            "ann",
            "gone",
            1,
            Command::DeleteTest(DeleteTest { test: test_id(1) }),
        )
    };
    world.apply(TERM, delete()).result.unwrap();
    assert!(world.apply(TERM, delete()).result.is_ok());
}

#[test]
fn names_are_unique_unless_an_update_is_meant() {
    let mut world = World::default();
    world.apply_test(1, definition("smoke", 10));
    let definition = Arc::new(definition("smoke", 20));
    let create = ApplyTest {
        id: test_id(2),
        definition,
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    };
    let refusal = world.refused(Command::ApplyTest(create));
    assert!(matches!(
        refusal,
        Refusal::AlreadyExists {
            kind: ObjectKind::Test,
            ..
        }
    ));
}
