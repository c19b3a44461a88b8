//! Registrars, accounts and media files: their rules, and who may touch them.

use reeve_state::command::*;
use reeve_state::definition::{MAX_ACCOUNTS_AT_ONCE, MAX_POOL_ACCOUNTS};
use reeve_state::id::{ProjectName, ScopedName};
use reeve_state::record::Role;

use crate::world::project::create_project;
use crate::world::registry::new_key;
use crate::world::sip::*;
use crate::world::*;

fn fields(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Invalid { violations } => violations.into_iter().map(|each| each.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_rule_of_a_registrar_names_its_field() {
    type Change = fn(&mut PutRegistrar);
    let cases: [(&str, Change); 8] = [
        ("name", |put| put.key.name = "".into()),
        ("domain", |put| put.domain.clear()),
        ("domain", |put| put.domain = "a b".to_owned()),
        ("domain", |put| put.domain = "sip:lab.example".to_owned()),
        ("host", |put| put.host = Some("10.0.0.1:5060".to_owned())),
        ("port", |put| put.port = Some(0)),
        ("outbound_proxy", |put| {
            put.outbound_proxy = Some("proxy.example".to_owned())
        }),
        ("project", |put| put.key.project = ProjectName::from("nowhere")),
    ];
    let mut world = World::default();
    for (field, change) in cases {
        let mut put = put_registrar("lab");
        change(&mut put);
        assert_eq!(fields(world.refused(Command::PutRegistrar(put))), [field]);
    }
    assert_eq!(world.state.registrars().count(), 0);
    for host in ["10.0.0.1", "[::1]", "sip.lab.example"] {
        let put = PutRegistrar {
            host: Some(host.to_owned()),
            ..put_registrar("lab")
        };
        world.ok(Command::PutRegistrar(put));
    }
}

#[test]
fn each_rule_of_accounts_names_its_field() {
    let mut world = World::default();
    let mut bad = put_accounts("pool", 0..4);
    bad.accounts[0].username = "a b".into();
    bad.accounts[1].username = "".into();
    bad.accounts[2].realm = Some("x\"y".to_owned());
    bad.accounts[3].username = "a b".into();
    assert_eq!(
        fields(world.refused(Command::PutAccounts(bad))),
        [
            "accounts[0].username",
            "accounts[1].username",
            "accounts[2].realm",
            "accounts[3].username",
            "accounts[3].username"
        ],
        "the last has a wrong character and stands there twice"
    );
    for accounts in [0..0, 0..u32::try_from(MAX_ACCOUNTS_AT_ONCE).unwrap() + 1] {
        let put = put_accounts("pool", accounts);
        assert_eq!(fields(world.refused(Command::PutAccounts(put))), ["accounts"]);
    }
    assert_eq!(world.state.pool_size(&scoped("pool")), 0);
}

#[test]
fn a_pool_is_full_one_day() {
    let mut world = World::default();
    let step = u32::try_from(MAX_ACCOUNTS_AT_ONCE).unwrap();
    let most = u32::try_from(MAX_POOL_ACCOUNTS).unwrap();
    for first in (0..most).step_by(MAX_ACCOUNTS_AT_ONCE) {
        world.ok(Command::PutAccounts(put_accounts("pool", first..first + step)));
    }
    let more = Command::PutAccounts(put_accounts("pool", most..most + 1));
    assert_eq!(fields(world.refused(more)), ["accounts"]);
    world.ok(Command::PutAccounts(put_accounts("pool", 0..1)));
    assert_eq!(world.state.pool_size(&scoped("pool")), most);
}

#[test]
fn an_account_keeps_its_secret_unless_another_one_is_given() {
    let mut world = World::with_accounts(1, 1);
    let secret = |world: &World| {
        world
            .state
            .sip_account(&account_key("pool", 0))
            .unwrap()
            .secret
            .clone()
    };
    let before = secret(&world);
    assert!(before.is_some());
    let mut again = put_accounts("pool", 0..1);
    again.accounts[0].secret = None;
    again.accounts[0].realm = Some("lab".to_owned());
    world.ok(Command::PutAccounts(again));
    assert_eq!(secret(&world), before);
    let row = world.state.sip_account(&account_key("pool", 0)).unwrap();
    assert_eq!(row.realm.as_deref(), Some("lab"));
}

#[test]
fn what_an_active_run_needs_stays_and_goes_when_it_has_ended() {
    let mut world = World::with_accounts(3, 1);
    world.start_run(1, 1);
    world.ok(world.queue(1));
    let deletions = [
        Command::DeleteRegistrar(DeleteRegistrar { key: scoped("lab") }),
        delete_accounts("pool", &[0]),
        delete_accounts("pool", &[]),
    ];
    for command in deletions.clone() {
        let refusal = world.refused(command);
        let named = matches!(&refusal, Refusal::InUse { by, .. } if by.contains(&run_id(1).to_string()));
        assert!(named, "{refusal:?}");
    }
    world.ok(delete_accounts("pool", &[2]));
    world.ok(World::stop(1));
    for command in deletions {
        world.ok(command);
    }
    assert_eq!(world.state.account_pools().count(), 0);
}

#[test]
fn a_media_file_that_a_run_sends_is_not_deleted() {
    let mut world = World::with_accounts(2, 1);
    world.ok(Command::PutMedia(put_media("hello")));
    let mut definition = calls("with media", 1);
    let reeve_state::record::Executor::Sip(sip) = &mut definition.groups[0].executor else {
        panic!()
    };
    sip.media = Some("hello".to_owned());
    world.apply_test(2, definition);
    world.start_run(1, 2);
    let delete = || Command::DeleteMedia(DeleteMedia { key: scoped("hello") });
    world.ok(world.queue(1));
    assert!(matches!(world.refused(delete()), Refusal::InUse { .. }));
    world.ok(World::stop(1));
    world.ok(delete());
    assert!(matches!(
        world.refused(delete()),
        Refusal::NotFound {
            kind: ObjectKind::Media,
            ..
        }
    ));
}

#[test]
fn a_key_touches_only_what_is_of_its_own_project() {
    let mut world = World::with_accounts(1, 1);
    world.ok(Command::PutProject(create_project("red")));
    for (n, role, project) in [
        (1, Role::Operator, "red"),
        (2, Role::Viewer, "red"),
        (3, Role::Admin, "default"),
    ] {
        world.ok(Command::CreateKey(CreateKey {
            project: project.to_owned(),
            ..new_key(n, role)
        }));
    }
    let red = ScopedName::new(&ProjectName::from("red"), "lab");
    let put = |key: &ScopedName| {
        Command::PutRegistrar(PutRegistrar {
            key: key.clone(),
            ..put_registrar("lab")
        })
    };
    assert!(matches!(
        world.as_caller(1, put(&scoped("lab"))),
        Err(Refusal::OtherProject { .. })
    ));
    assert!(matches!(
        world.as_caller(1, delete_accounts("pool", &[])),
        Err(Refusal::OtherProject { .. })
    ));
    assert!(matches!(
        world.as_caller(2, put(&red)),
        Err(Refusal::RoleTooLow { .. })
    ));
    world.as_caller(1, put(&red)).unwrap();
    world.as_caller(3, put(&red)).unwrap();
    let delete = crate::world::project::delete_project("red");
    assert!(!matches!(world.refused(delete), Refusal::NotFound { .. }));
}

#[test]
fn a_project_with_registrars_is_not_deleted_for_another_of_its_name_to_find_them() {
    let mut world = World::default();
    world.ok(Command::PutProject(create_project("red")));
    let key = ScopedName::new(&ProjectName::from("red"), "lab");
    world.ok(Command::PutRegistrar(PutRegistrar {
        key: key.clone(),
        ..put_registrar("lab")
    }));
    let delete = || crate::world::project::delete_project("red");
    let refusal = world.refused(delete());
    assert!(
        refusal.to_string().contains("it has the registrar lab"),
        "{refusal}"
    );
    world.ok(Command::DeleteRegistrar(DeleteRegistrar { key }));
    world.ok(delete());
}
