//! Projects: whose a test and its runs are, and who may change them (D27a).

use reeve_state::command::*;
use reeve_state::id::ProjectName;
use reeve_state::record::Role;

use crate::world::project::*;
use crate::world::registry::*;
use crate::world::*;

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
    for name in ["red", "blue"] {
        world.ok(Command::PutProject(create_project(name)));
    }
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

#[test]
fn two_projects_may_use_the_same_name_and_one_may_not_use_it_twice() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke", 1)).unwrap();
    world.as_caller(2, test_of(2, "blue", "smoke", 1)).unwrap();
    let twice = world.as_caller(1, test_of(3, "red", "smoke", 1));
    assert!(matches!(twice, Err(Refusal::AlreadyExists { .. })), "{twice:?}");
    for (project, n) in [("red", 1), ("blue", 2)] {
        let found = world.state.test_named(&ProjectName::from(project), "smoke");
        assert_eq!(found.unwrap().id, test_id(n));
    }
    assert!(world.state.test_named(&ProjectName::default(), "smoke").is_none());
}

#[test]
fn a_run_is_of_its_tests_project() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke", 1)).unwrap();
    world.as_caller(1, start(1, 1)).unwrap();
    assert_eq!(world.run(1).project, ProjectName::from("red"));
    world.apply_test(2, definition("smoke", 1));
    world.start_run(2, 2);
    assert!(world.run(2).project.is_default());
}

#[test]
fn a_key_changes_only_its_own_project_and_learns_of_no_other() {
    let mut world = two_projects();
    world.as_caller(1, test_of(1, "red", "smoke", 1)).unwrap();
    world.as_caller(1, start(1, 1)).unwrap();

    let named = world.as_caller(2, test_of(2, "red", "other", 1));
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

#[test]
fn an_admin_reaches_every_project() {
    let mut world = two_projects();
    world.as_caller(3, test_of(1, "red", "smoke", 1)).unwrap();
    world.as_caller(3, start(1, 1)).unwrap();
    world.as_caller(3, World::stop(1)).unwrap();
    world.as_caller(3, delete_test(1)).unwrap();
}

/// Covers: R124
#[test]
fn what_is_of_an_unknown_project_is_refused_and_the_field_is_named() {
    let mut world = two_projects();
    let refusal = world.refused(test_of(1, "green", "smoke", 1));
    assert_eq!(fields(&refusal), ["project"]);
    let key = CreateKey {
        project: "green".to_owned(),
        ..new_key(9, Role::Viewer)
    };
    assert_eq!(fields(&world.refused(Command::CreateKey(key))), ["project"]);
}

#[test]
fn a_project_is_made_once_and_default_is_never_made_changed_or_deleted() {
    let mut world = two_projects();
    for name in ["red", "default"] {
        let again = world.refused(Command::PutProject(create_project(name)));
        assert!(
            matches!(
                again,
                Refusal::AlreadyExists {
                    kind: ObjectKind::Project,
                    ..
                }
            ),
            "{again}"
        );
    }
    let limit = PlanChange {
        max_concurrent_runs: Some(1),
        ..PlanChange::default()
    };
    for command in [
        update_project("default", limit),
        delete_project("default"),
        adjust("default", CreditChange::Set(1)),
    ] {
        assert_eq!(fields(&world.refused(command)), ["name"]);
    }
    for command in [
        update_project("green", limit),
        delete_project("green"),
        adjust("green", CreditChange::Set(1)),
    ] {
        not_found(world.when(command), ObjectKind::Project);
    }
}

#[test]
fn the_fields_of_a_project_are_checked_all_at_once() {
    let mut world = World::default();
    let over = Some(1_000_000_001);
    let bad = PutProject {
        project: ProjectName::from(""),
        mode: PutMode::Create {
            credits: Some(u64::MAX),
        },
        plan: PlanChange {
            max_concurrent_endpoints: over,
            max_concurrent_runs: Some(u32::MAX),
            max_run_endpoints: over,
            subscription_active: None,
        },
    };
    assert_eq!(
        fields(&world.refused(Command::PutProject(bad))),
        [
            "name",
            "max_concurrent_endpoints",
            "max_concurrent_runs",
            "max_run_endpoints",
            "credits"
        ]
    );
    for name in [" a", "a\n", &"x".repeat(129)] {
        let refusal = world.refused(Command::PutProject(create_project(name)));
        assert!(fields(&refusal).iter().all(|field| *field == "name"), "{name:?}");
    }
    world.ok(Command::PutProject(PutProject {
        mode: PutMode::Create {
            credits: Some(1_000_000_000_000_000),
        },
        plan: PlanChange {
            max_concurrent_endpoints: Some(1_000_000_000),
            ..PlanChange::default()
        },
        ..create_project(&"x".repeat(128))
    }));
}

#[test]
fn what_a_change_does_not_name_stays_and_zero_takes_a_limit_away() {
    let mut world = two_projects();
    let all = PlanChange {
        max_concurrent_endpoints: Some(500),
        max_concurrent_runs: Some(5),
        max_run_endpoints: Some(100),
        subscription_active: Some(false),
    };
    world.ok(update_project("red", all));
    let some = PlanChange {
        max_concurrent_runs: Some(0),
        subscription_active: Some(true),
        ..PlanChange::default()
    };
    world.ok(update_project("red", some));
    let plan = world.project("red").plan;
    assert_eq!(
        (
            plan.max_concurrent_endpoints,
            plan.max_concurrent_runs,
            plan.max_run_endpoints
        ),
        (Some(500), None, Some(100))
    );
    assert!(plan.subscription_active);
    let revision = world.state.meta().revision;
    world.ok(update_project("red", some));
    assert_eq!(
        world.state.meta().revision,
        revision,
        "the same again changes nothing"
    );
}

#[test]
fn a_project_that_is_in_use_is_not_deleted() {
    let mut world = two_projects();
    let in_use = |tests, runs, keys| {
        Err(Refusal::ProjectInUse {
            project: ProjectName::from("red"),
            tests,
            runs,
            keys,
        })
    };
    world.as_caller(1, test_of(1, "red", "smoke", 1)).unwrap();
    world.as_caller(1, start(1, 1)).unwrap();
    assert_eq!(world.as_caller(3, delete_project("red")), in_use(1, 1, 1));
    world.ok(World::stop(1));
    assert_eq!(world.as_caller(3, delete_project("red")), in_use(1, 0, 1));
    world.ok(delete_test(1));
    assert_eq!(world.as_caller(3, delete_project("red")), in_use(0, 0, 1));
    world.ok(revoke(1));
    world.as_caller(3, delete_project("red")).unwrap();
    not_found(world.as_caller(3, delete_project("red")), ObjectKind::Project);
    assert_eq!(fields(&world.refused(test_of(2, "red", "smoke", 1))), ["project"]);
}

#[test]
fn only_admins_change_projects() {
    let mut world = two_projects();
    for command in [
        Command::PutProject(create_project("green")),
        update_project("red", PlanChange::default()),
        delete_project("red"),
        adjust("red", CreditChange::Set(1)),
    ] {
        let refused = world.as_caller(1, command.clone());
        assert!(matches!(refused, Err(Refusal::RoleTooLow { .. })), "{refused:?}");
        let allowed = world.clone().as_caller(3, command);
        assert!(
            matches!(allowed, Ok(_) | Err(Refusal::ProjectInUse { .. })),
            "{allowed:?}"
        );
    }
}
