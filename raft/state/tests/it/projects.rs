//! Projects: whose a test and its runs are, and who may change them (D27a).

use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::id::ProjectName;
use reeve_state::record::Role;

use crate::world::registry::*;
use crate::world::*;

fn test_of(n: u8, project: &str, name: &str) -> Command {
    Command::ApplyTest(ApplyTest {
        id: test_id(n),
        definition: Arc::new(definition(name, 1)),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::from(project),
    })
}

fn start(run: u8, test: u8) -> Command {
    Command::StartRun(StartRun {
        run: run_id(run),
        test: test_id(test),
    })
}

fn delete_test(n: u8) -> Command {
    Command::DeleteTest(DeleteTest { test: test_id(n) })
}

/// Projects red and blue. Keys: 1 an operator's of red, 2 an operator's of blue, 3 an admin's of default.
fn two_projects() -> World {
    let mut world = World::with_workers(1, 100);
    for (n, role, project) in [
        (1, Role::Operator, "red"),
        (2, Role::Operator, "blue"),
        (3, Role::Admin, "default"),
    ] {
        world.ok(Command::CreateKey(CreateKey {
            project: project.to_owned(),
            ..new_key(n, role)
        }));
    }
    world
}

fn not_found(refusal: Result<Reply, Refusal>, kind: ObjectKind) {
    assert!(
        matches!(&refusal, Err(Refusal::NotFound { kind: found, .. }) if *found == kind),
        "{refusal:?}"
    );
}

/// Covers: D27a
#[test]
fn two_projects_may_use_the_same_name_and_one_may_not_use_it_twice() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke")).unwrap();
    world.as_caller(2, test_of(2, "blue", "smoke")).unwrap();
    let twice = world.as_caller(1, test_of(3, "red", "smoke"));
    assert!(matches!(twice, Err(Refusal::AlreadyExists { .. })), "{twice:?}");
    for (project, n) in [("red", 1), ("blue", 2)] {
        let found = world.state.test_named(&ProjectName::from(project), "smoke");
        assert_eq!(found.unwrap().id, test_id(n));
    }
    assert!(world.state.test_named(&ProjectName::default(), "smoke").is_none());
}

/// Covers: D27a
#[test]
fn a_run_is_of_its_tests_project() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke")).unwrap();
    world.as_caller(1, start(1, 1)).unwrap();
    assert_eq!(world.run(1).project, ProjectName::from("red"));
    world.apply_test(2, definition("smoke", 1));
    world.start_run(2, 2);
    assert!(world.run(2).project.is_default());
}

/// Covers: D27a
#[test]
fn a_key_changes_only_its_own_project_and_learns_of_no_other() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke")).unwrap();
    world.as_caller(1, start(1, 1)).unwrap();

    let named = world.as_caller(2, test_of(2, "red", "other"));
    assert_eq!(
        named,
        Err(Refusal::OtherProject {
            project: "red".to_owned(),
            of_key: "blue".to_owned(),
        })
    );
    not_found(world.as_caller(2, start(2, 1)), ObjectKind::Test);
    not_found(world.as_caller(2, delete_test(1)), ObjectKind::Test);
    not_found(world.as_caller(2, World::stop(1)), ObjectKind::Run);
}

/// Covers: D27a
#[test]
fn an_admin_reaches_every_project() {
    let mut world = two_projects();
    world.as_caller(3, test_of(1, "red", "smoke")).unwrap();
    world.as_caller(3, start(1, 1)).unwrap();
    world.as_caller(3, World::stop(1)).unwrap();
    world.as_caller(3, delete_test(1)).unwrap();
}
