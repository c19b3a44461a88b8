//! Which run has which accounts, and what is said when there are too few (R120–R122).

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::id::ProjectName;
use reeve_state::record::Executor;
use reeve_state::transition::run::{RunReasonCode, RunStatus};

use crate::world::sip::*;
use crate::world::*;

fn unavailable(refusal: Refusal) -> SipFault {
    match refusal {
        Refusal::SipUnavailable(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// Covers: R121
#[test]
fn a_run_that_is_queued_has_the_first_free_accounts_and_gives_them_back_when_it_ends() {
    let mut world = World::with_accounts(6, 2);
    world.start_run(1, 1);
    assert_eq!(world.leased(1, 0), [""; 0], "nothing is taken before");
    world.ok(world.queue(1));
    assert_eq!(world.leased(1, 0), ["0000", "0001"]);
    assert_eq!(world.leased(1, 1), ["0002", "0003"]);
    assert_eq!(world.state.account_user(&account_key("pool", 3)), Some(run_id(1)));
    assert_eq!(world.state.account_user(&account_key("pool", 4)), None);
    world.ok(World::stop(1));
    assert_eq!(world.status(1), RunStatus::CannotRunForNow);
    assert_eq!(world.state.account_user(&account_key("pool", 3)), None);
    assert_eq!(world.state.sip_leases(run_id(1)).count(), 0);
}

/// Covers: R121
#[test]
fn two_runs_never_have_one_account_and_the_second_is_told_who_has_them() {
    let mut world = World::with_accounts(6, 2);
    world.start_run(1, 1);
    world.start_run(2, 1);
    world.ok(world.queue(1));
    let refusal = world.refused(world.queue(2));
    let text = refusal.to_string();
    let fault = unavailable(refusal);
    assert_eq!(fault.code(), RunReasonCode::AccountsUnavailable);
    assert_eq!(
        fault,
        SipFault::TooFewAccounts {
            group: "groups callers, receivers".to_owned(),
            pool: "pool".to_owned(),
            project: ProjectName::default(),
            needed: 4,
            total: 6,
            free: 2,
            in_use: 4,
            runs: vec![run_id(1)],
        }
    );
    for part in [
        "needs 4",
        "2 are free",
        "4 are in use by run",
        &run_id(1).to_string(),
    ] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    world.ok(World::stop(1));
    world.ok(world.queue(2));
    assert_eq!(world.leased(2, 0), ["0000", "0001"], "they are free again");
}

/// Covers: R120, R122
#[test]
fn what_a_group_names_has_to_be_there() {
    let mut world = World::with_accounts(6, 2);
    let mut no_registrar = calls("a", 1);
    let mut no_media = calls("b", 1);
    let mut no_pool = calls("c", 1);
    for (definition, change) in [(&mut no_registrar, 0), (&mut no_media, 1), (&mut no_pool, 2)] {
        let Executor::Sip(sip) = &mut definition.groups[1].executor else {
            panic!()
        };
        match change {
            0 => sip.registrar = "other".to_owned(),
            1 => sip.media = Some("hello".to_owned()),
            _ => sip.accounts = "other".to_owned(),
        }
    }
    for (n, definition) in [(2, no_registrar), (3, no_media), (4, no_pool)] {
        world.apply_test(n, definition);
        world.start_run(n, n);
    }
    let fault = unavailable(world.refused(world.queue(2)));
    assert!(
        matches!(&fault, SipFault::NoRegistrar { group, .. } if group == "receivers"),
        "{fault:?}"
    );
    assert_eq!(fault.code(), RunReasonCode::InvalidConfiguration);
    let fault = unavailable(world.refused(world.queue(3)));
    assert!(
        matches!(&fault, SipFault::NoMedia { media, .. } if media == "hello"),
        "{fault:?}"
    );
    let fault = unavailable(world.refused(world.queue(4)));
    assert!(
        matches!(
            fault,
            SipFault::TooFewAccounts {
                total: 0,
                needed: 1,
                ..
            }
        ),
        "{fault:?}"
    );
    world.ok(Command::PutRegistrar(put_registrar("other")));
    world.ok(Command::PutMedia(put_media("hello")));
    world.ok(Command::PutAccounts(put_accounts("other", 0..1)));
    for n in [2, 3, 4] {
        world.ok(world.queue(n));
        world.ok(World::stop(n));
    }
}

#[test]
fn accounts_of_another_project_do_not_help() {
    let mut world = World::with_accounts(0, 1);
    world.ok(Command::PutProject(crate::world::project::create_project("red")));
    world.ok(Command::PutAccounts(PutAccounts {
        pool: reeve_state::id::ScopedName::new(&ProjectName::from("red"), "pool"),
        ..put_accounts("pool", 0..9)
    }));
    world.start_run(1, 1);
    assert!(matches!(
        unavailable(world.refused(world.queue(1))),
        SipFault::TooFewAccounts { total: 0, .. }
    ));
}

/// What somebody does to runs and accounts.
#[derive(Clone, Debug)]
enum Act {
    Start(u8),
    Queue(u8),
    Stop(u8),
    Reject(u8),
    Put(u32, u32),
    Delete(u32),
    DeleteAll,
    DeleteRegistrar,
    PutRegistrar,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..6u8).prop_map(Act::Start),
        6 => (1..6u8).prop_map(Act::Queue),
        3 => (1..6u8).prop_map(Act::Stop),
        1 => (1..6u8).prop_map(Act::Reject),
        2 => (0..12u32, 1..4u32).prop_map(|(from, count)| Act::Put(from, count)),
        2 => (0..12u32).prop_map(Act::Delete),
        1 => Just(Act::DeleteAll),
        1 => Just(Act::DeleteRegistrar),
        1 => Just(Act::PutRegistrar),
    ]
}

fn command(world: &World, act: &Act) -> Option<Command> {
    let exists = |run: u8| world.state.run(run_id(run)).is_some();
    Some(match act {
        Act::Start(run) => Command::StartRun(StartRun {
            run: run_id(*run),
            test: test_id(1),
        }),
        Act::Queue(run) if exists(*run) => world.queue(*run),
        Act::Reject(run) if exists(*run) => world.reject(*run, RunReasonCode::WorkersBusy),
        Act::Stop(run) if exists(*run) => World::stop(*run),
        Act::Queue(_) | Act::Reject(_) | Act::Stop(_) => return None,
        Act::Put(from, count) => Command::PutAccounts(put_accounts("pool", *from..*from + *count)),
        Act::Delete(number) => delete_accounts("pool", &[*number]),
        Act::DeleteAll => delete_accounts("pool", &[]),
        Act::DeleteRegistrar => Command::DeleteRegistrar(DeleteRegistrar { key: scoped("lab") }),
        Act::PutRegistrar => Command::PutRegistrar(put_registrar("lab")),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Covers: R120, R121
    #[test]
    fn no_account_is_ever_in_two_runs_and_none_that_is_used_goes_away(acts in prop::collection::vec(act(), 1..60)) {
        // Every invariant is checked after each step, by the world.
        let mut world = World::with_accounts(5, 1);
        for act in &acts {
            if let Some(command) = command(&world, act) {
                let _ = world.when(command);
            }
        }
    }
}
