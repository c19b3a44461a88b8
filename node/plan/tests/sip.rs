//! PENDING and explain judge SIP groups by what is there (R120–R122), and say what would help.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::runs::{Verdict, explain_definition, explain_run, plan_pass};
use reeve_state::command::{Command, NewAccount, PutAccounts, PutRegistrar};
use reeve_state::definition::{DEFAULT_ANSWER_TIMEOUT, DEFAULT_REGISTER_EXPIRES};
use reeve_state::id::{ProjectName, RunId, ScopedName};
use reeve_state::record::{
    ChangeKind, Executor, Group, Selector, SipCodec, SipExecutor, SipTransport, TestDefinition,
};
use reeve_state::time::Millis;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use support::{World, definition, group};

fn scoped(name: &str) -> ScopedName {
    ScopedName::new(&ProjectName::default(), name)
}

fn calls(name: &str, endpoints: u32) -> TestDefinition {
    let sip = SipExecutor {
        registrar: "lab".to_owned(),
        accounts: "pool".to_owned(),
        uri: None,
        codecs: SipCodec::ALL.to_vec(),
        media: None,
        packet_loss_concealment: true,
        answer_timeout: DEFAULT_ANSWER_TIMEOUT,
        ring: Millis(0),
        register_expires: DEFAULT_REGISTER_EXPIRES,
        register_buildup: None,
        actions: Vec::new(),
        trace_credentials: false,
    };
    let receivers = Group {
        executor: Executor::Sip(sip),
        ..group("receivers", endpoints, Selector::default())
    };
    TestDefinition {
        name: name.to_owned(),
        ..definition(vec![receivers])
    }
}

/// A worker, and a pool of so many accounts; the registrar too, if it is wanted.
fn given(accounts: u32, registrar: bool) -> World {
    let mut world = World::new();
    world.worker("eu", 1_000);
    if registrar {
        let put = PutRegistrar {
            key: scoped("lab"),
            domain: "lab.example".to_owned(),
            host: None,
            port: None,
            transport: SipTransport::Udp,
            outbound_proxy: None,
        };
        world.apply(Command::PutRegistrar(put)).unwrap();
    }
    let account = |number| NewAccount {
        username: format!("{number}").into(),
        secret: None,
        realm: None,
    };
    let put = PutAccounts {
        pool: scoped("pool"),
        accounts: (0..accounts).map(account).collect(),
    };
    world.apply(Command::PutAccounts(put)).unwrap();
    world
}

// Covers: R120, R126, R128
#[test]
fn a_run_without_its_registrar_is_rejected_and_the_dry_run_says_so_before() {
    let mut world = given(5, false);
    let (state, config) = (&world.state, &world.config);
    let dry = explain_definition(state, &calls("a", 3), &ProjectName::default(), world.now, config);
    assert_eq!(dry.verdict, Verdict::CannotStart);
    let run = world.submit(calls("a", 3));
    world.step(run);
    assert_eq!(world.status(run), RunStatus::CannotRunForNow);
    let (code, message) = world.reason(run);
    assert_eq!(code, RunReasonCode::InvalidConfiguration);
    assert_eq!(
        message,
        "group receivers names the registrar \"lab\", which does not exist in project default"
    );
    assert_eq!(dry.message, message, "both say the same");
    assert_eq!(world.suggestion(run), "a registrar lab");
}

// Covers: R121
#[test]
fn a_run_whose_accounts_another_run_has_is_rejected_and_told_which() {
    let mut world = given(5, true);
    let first = world.submit(calls("a", 3));
    world.step(first);
    assert_eq!(world.status(first), RunStatus::Queued);
    let second = world.submit(calls("b", 4));
    let explained = explain_run(&world.state, &world.run(second), world.now, &world.config);
    world.step(second);
    assert_eq!(world.status(second), RunStatus::CannotRunForNow);
    let (code, message) = world.reason(second);
    assert_eq!(code, RunReasonCode::AccountsUnavailable);
    assert_eq!(
        message,
        format!(
            "group receivers needs 4 accounts of pool \"pool\" of project default: it has 5, 2 are free, 3 are in use by run {first}"
        )
    );
    assert_eq!(explained.message, message);
    let kinds: Vec<_> = explained
        .explanation
        .changes
        .iter()
        .map(|change| (change.kind, change.endpoints))
        .collect();
    assert_eq!(kinds, [(ChangeKind::ChangeDefinition, 2), (ChangeKind::Wait, 2)]);
    assert_eq!(world.suggestion(second), "2 more free accounts in pool pool");
}

// Covers: R121
#[test]
fn a_pool_that_is_too_small_is_not_waited_for() {
    let mut world = given(2, true);
    let run = world.submit(calls("a", 3));
    let explained = explain_run(&world.state, &world.run(run), world.now, &world.config);
    let kinds: Vec<_> = explained
        .explanation
        .changes
        .iter()
        .map(|change| change.kind)
        .collect();
    assert_eq!(kinds, [ChangeKind::ChangeDefinition]);
    world.step(run);
    let (code, message) = world.reason(run);
    assert_eq!(code, RunReasonCode::AccountsUnavailable);
    assert!(message.ends_with("it has 2, 2 are free"), "{message}");
}

/// Two workers for 1,000 endpoints each that carry so many of SIP, and accounts for all.
fn measured(first: u32, second: u32) -> World {
    let mut world = given(100, true);
    let one = world.state.workers().next().unwrap().id;
    let two = world.worker("eu", 1_000);
    for (worker, sip) in [(one, first), (two, second)] {
        world.connect_with(worker, Vec::new(), Some(sip));
    }
    world
}

fn step_twice(world: &mut World, run: RunId) {
    world.step(run);
    world.step(run);
}

// Covers: R93, R97, R133
#[test]
fn sip_endpoints_are_spread_by_what_the_machines_carry_of_them() {
    let mut world = measured(30, 10);
    let run = world.submit(calls("a", 40));
    step_twice(&mut world, run);
    let mut counts: Vec<u32> = world.current(run).iter().map(|part| part.count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [10, 30]);
    let scripted = world.submit(definition(vec![group("g", 1_900, Selector::default())]));
    step_twice(&mut world, scripted);
    assert_eq!(
        world.current(scripted).iter().map(|part| part.count).sum::<u32>(),
        1_900
    );
}

// Covers: R192
#[test]
fn a_run_that_the_machines_cannot_carry_is_told_how_much_is_missing() {
    let mut world = measured(30, 10);
    let run = world.submit(calls("a", 41));
    let explained = explain_run(&world.state, &world.run(run), world.now, &world.config);
    assert_eq!(explained.verdict, Verdict::CannotStart);
    world.step(run);
    let (code, message) = world.reason(run);
    assert_eq!(code, RunReasonCode::InsufficientCapacity);
    assert_eq!(
        message,
        "the workers that match cannot hold 41 SIP endpoints, even when idle"
    );
    assert_eq!(
        world.suggestion(run),
        "1 more endpoint of SIP capacity in any region"
    );
    let group = &explained.explanation.groups[0];
    assert_eq!((group.capacity_total, group.capacity_free), (40, 40));
}

// Covers: R137
#[test]
fn two_runs_of_one_pass_do_not_take_the_same_sip_capacity() {
    let mut world = measured(30, 10);
    let runs = [world.submit(calls("a", 25)), world.submit(calls("b", 25))];
    for run in runs {
        world.step(run);
    }
    let pass = plan_pass(&world.state, runs, world.now, world.leader_since, &world.config);
    for (_, plan) in &pass.runs {
        world.execute(&plan.commands);
    }
    assert!(!world.current(runs[0]).is_empty());
    assert!(world.current(runs[1]).is_empty(), "it waits");
    let waits = explain_run(&world.state, &world.run(runs[1]), world.now, &world.config);
    assert_eq!(waits.verdict, Verdict::Waits);
    assert_eq!(
        waits.message,
        "the workers that match are busy: not enough of their capacity is free for 25 SIP endpoints"
    );
    assert_eq!(waits.holders.len(), 1);
}

/// SIP endpoints and scripted ones in one run.
fn mixed(name: &str, sip: u32, scripted: u32) -> TestDefinition {
    let mut definition = calls(name, sip);
    definition
        .groups
        .push(group("scripted", scripted, Selector::default()));
    definition
}

// Covers: R97, R133
#[test]
fn a_run_of_both_kinds_takes_sip_room_for_its_sip_endpoints_alone() {
    let mut world = measured(30, 10);
    let run = world.submit(mixed("a", 40, 1_960));
    step_twice(&mut world, run);
    let placed = world.current(run);
    assert_eq!(
        placed.iter().map(|part| part.count).sum::<u32>(),
        2_000,
        "all there is"
    );
    for (worker, sip) in [(0, 30), (1, 10)] {
        let id = world.state.workers().nth(worker).unwrap().id;
        assert_eq!(world.state.sip_reserved(id), sip);
        assert_eq!(world.state.reserved(id), 1_000);
    }
}

// Covers: R192
#[test]
fn a_run_of_both_kinds_is_told_which_of_them_does_not_fit() {
    let mut world = measured(30, 10);
    for (sip, scripted, message, suggestion) in [
        (
            41,
            10,
            "the workers that match cannot hold 41 SIP endpoints, even when idle",
            "1 more endpoint of SIP capacity in any region",
        ),
        (
            40,
            1_961,
            "the workers that match cannot hold 2001 endpoints, even when idle",
            "1 more endpoint of capacity in any region",
        ),
    ] {
        let run = world.submit(mixed("a", sip, scripted));
        world.step(run);
        let (code, told) = world.reason(run);
        assert_eq!(
            (code, told.as_str()),
            (RunReasonCode::InsufficientCapacity, message)
        );
        assert_eq!(world.suggestion(run), suggestion);
    }
}

// Covers: R133
#[test]
fn what_is_held_for_an_older_scripted_run_is_not_taken_from_sip_room() {
    let mut world = measured(30, 10);
    let busy = world.submit(definition(vec![group("g", 500, Selector::default())]));
    step_twice(&mut world, busy);
    let waits = TestDefinition {
        queue_timeout: Millis::from_secs(60),
        ..definition(vec![group("g", 1_900, Selector::default())])
    };
    let older = world.submit(waits);
    world.step(older);
    world.now = world.now + world.config.hold_after + Millis(1);
    // All that is free is held for the older one: nothing is left, of no kind.
    let younger = world.submit(calls("b", 5));
    world.step(younger);
    let runs = [older, younger];
    let pass = plan_pass(&world.state, runs, world.now, world.leader_since, &world.config);
    for (_, plan) in &pass.runs {
        world.execute(&plan.commands);
    }
    assert!(world.current(younger).is_empty());

    // One that is short of SIP room alone leaves what is not of SIP.
    let mut world = measured(30, 10);
    let busy = world.submit(calls("a", 20));
    step_twice(&mut world, busy);
    let waits = TestDefinition {
        queue_timeout: Millis::from_secs(60),
        ..calls("b", 30)
    };
    let older = world.submit(waits);
    world.step(older);
    world.now = world.now + world.config.hold_after + Millis(1);
    let younger = world.submit(definition(vec![group("g", 1_900, Selector::default())]));
    world.step(younger);
    let runs = [older, younger];
    let pass = plan_pass(&world.state, runs, world.now, world.leader_since, &world.config);
    for (_, plan) in &pass.runs {
        world.execute(&plan.commands);
    }
    assert!(world.current(older).is_empty(), "it waits");
    assert_eq!(
        world.current(younger).iter().map(|part| part.count).sum::<u32>(),
        1_900
    );
}
