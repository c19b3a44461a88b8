//! The rules for groups of SIP endpoints: every broken one is named.

use reeve_state::definition::*;
use reeve_state::record::{Executor, Group, SipAction, SipCodec, SipDeed, SipExecutor, TestDefinition};
use reeve_state::time::Millis;

use crate::world::*;

/// Callers, those they call, and a group that calls someone outside.
fn calls() -> TestDefinition {
    let mut definition = definition("calls", 1);
    let mut callers = sip_group("callers", 4);
    callers.callee = Some("receivers".to_owned());
    let mut outside = sip_group("outside", 1);
    sip(&mut outside).uri = Some("sip:echo@example.com".to_owned());
    definition.groups = vec![callers, sip_group("receivers", 2), outside];
    definition
}

fn sip(group: &mut Group) -> &mut SipExecutor {
    match &mut group.executor {
        Executor::Sip(sip) => sip,
        Executor::Sim(_) => panic!("not a sip group"),
    }
}

fn fields(definition: &TestDefinition) -> Vec<String> {
    let violations = validate(definition).into_iter();
    violations.map(|violation| violation.field).collect()
}

fn action(at_s: u64, deed: SipDeed) -> SipAction {
    SipAction {
        at: Millis::from_secs(at_s),
        deed,
    }
}

#[test]
fn a_good_definition_of_calls_breaks_no_rule() {
    let mut definition = calls();
    assert_eq!(validate(&definition), []);
    let most = (0..30).map(|at| action(at, SipDeed::Hold(at % 2 == 0)));
    sip(&mut definition.groups[0]).actions = most.collect();
    sip(&mut definition.groups[2]).actions = vec![action(1, SipDeed::Dtmf("0123456789ABCD*#".to_owned()))];
    assert_eq!(validate(&definition), []);
}

#[test]
fn each_rule_of_a_sip_group_names_its_field() {
    type Change = fn(&mut SipExecutor);
    let cases: [(&str, Change); 18] = [
        ("sip.registrar", |sip| sip.registrar.clear()),
        ("sip.accounts", |sip| sip.accounts = "x".repeat(129)),
        ("sip.media", |sip| sip.media = Some(String::new())),
        ("callee.uri", |sip| sip.uri = Some("echo@example.com".into())),
        ("sip.codecs", |sip| sip.codecs.clear()),
        ("sip.codecs", |sip| sip.codecs = vec![SipCodec::Pcma; 2]),
        ("sip.answer_timeout", |sip| sip.answer_timeout = Millis(999)),
        ("sip.answer_timeout", |sip| sip.answer_timeout = Millis(600_001)),
        ("sip.ring", |sip| sip.ring = Millis(600_001)),
        ("sip.register_expires", |sip| sip.register_expires = Millis(9_000)),
        ("sip.register_buildup", |sip| {
            sip.register_buildup = Some(MAX_EXECUTION + Millis(1))
        }),
        ("sip.register_expires", |sip| {
            sip.register_expires = Millis(10_500)
        }),
        ("sip.register_expires", |sip| {
            sip.register_expires = Millis::from_secs(86_401)
        }),
        ("sip.actions", |sip| {
            sip.actions = (0..31).map(|at| action(at, SipDeed::Hold(true))).collect();
        }),
        ("sip.actions[0].at", |sip| {
            sip.actions = vec![action(86_401, SipDeed::Hold(true))];
        }),
        ("sip.actions[1].at", |sip| {
            sip.actions = vec![action(5, SipDeed::Hold(true)), action(4, SipDeed::Hold(false))];
        }),
        ("sip.actions[0].dtmf", |sip| {
            sip.actions = vec![action(1, SipDeed::Dtmf("12a".into()))];
        }),
        ("sip.actions[0].dtmf", |sip| {
            sip.actions = vec![action(1, SipDeed::Dtmf(String::new()))];
        }),
    ];
    for (field, change) in cases {
        let mut definition = calls();
        change(sip(&mut definition.groups[2]));
        assert_eq!(fields(&definition), [format!("groups[2].{field}")]);
    }
}

#[test]
fn only_who_calls_may_do_without_a_registration() {
    let mut definition = calls();
    for caller in [0, 2] {
        sip(&mut definition.groups[caller]).register_expires = Millis(0);
    }
    assert_eq!(fields(&definition), [""; 0]);
    sip(&mut definition.groups[1]).register_expires = Millis(0);
    assert_eq!(fields(&definition), ["groups[1].sip.register_expires"]);
    let mut definition = calls();
    let silent = sip(&mut definition.groups[0]);
    (silent.register_expires, silent.register_buildup) = (Millis(0), Some(Millis(1)));
    assert_eq!(fields(&definition), ["groups[0].sip.register_buildup"]);
}

#[test]
fn a_group_that_waits_does_not_act() {
    let mut definition = calls();
    sip(&mut definition.groups[1]).actions = vec![action(1, SipDeed::Hold(true))];
    assert_eq!(fields(&definition), ["groups[1].sip.actions"]);
}

#[test]
fn sip_calls_sip_and_sim_calls_sim() {
    let mut definition = calls();
    definition.groups[1] = group("receivers", 2);
    assert_eq!(fields(&definition), ["groups[0].callee.group"]);
    definition.groups[0] = group("callers", 4);
    definition.groups[0].callee = Some("receivers".to_owned());
    definition.groups[1] = sip_group("receivers", 2);
    assert_eq!(fields(&definition), ["groups[0].callee.group"]);
    definition.groups[1] = group("receivers", 2);
    assert_eq!(fields(&definition), [""; 0]);
}

#[test]
fn those_that_are_called_do_not_call_and_nobody_calls_two_ways() {
    let mut chain = calls();
    chain.groups[1].callee = Some("outside".to_owned());
    assert_eq!(
        fields(&chain),
        ["groups[0].callee.group", "groups[1].callee.group"],
        "receivers call, and outside calls a URI"
    );
    let mut both = calls();
    sip(&mut both.groups[0]).uri = Some("sip:echo@example.com".to_owned());
    assert_eq!(fields(&both), ["groups[0].callee.uri"]);
    let mut circle = calls();
    circle.groups[1].callee = Some("callers".to_owned());
    assert_eq!(
        fields(&circle),
        ["groups[0].callee.group", "groups[1].callee.group"],
        "a circle is named once a group"
    );
}

#[test]
fn uris_of_sip_are_told_from_other_texts() {
    for good in [
        "sip:echo@example.com",
        "sips:echo@example.com:5061",
        "sip:example.com",
        "sip:+4930123;phone-context=x@10.0.0.1:5060;transport=tcp?Subject=x",
        "sip:a@[::1]:5060",
        "sip:a@[2001:db8::1]",
        "sip:user:word@a_b.example",
    ] {
        assert!(is_sip_uri(good), "{good}");
    }
    let long = format!("sip:{}@example.com", "x".repeat(300));
    for bad in [
        "",
        "sip:",
        "sip:@example.com",
        "tel:+4930123",
        "http://example.com",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@example.com:0",
        "sip:a@example.com:70000",
        "sip:a@example.com:5060x",
        "sip:a@-x.com",
        "sip:a@x..com",
        "sip:a@[::1",
        "sip:a@[x]:5060",
        "sip:a b@example.com",
        "sip:a@example.com\r\nX: y",
        "<sip:a@example.com>",
        long.as_str(),
    ] {
        assert!(!is_sip_uri(bad), "{bad}");
    }
}

#[test]
fn those_that_wait_do_so_until_their_last_caller_has_called() {
    let definition = calls();
    let head = definition.buildup + SETTLE;
    let call = definition.buildup + definition.duration + Millis::from_secs(10);
    assert_eq!(
        start_offset(&definition, 0),
        head,
        "callers start when those they call are in place"
    );
    assert_eq!(sip_wait(&definition, 1), head + call);
    // The first of those that wait starts at once, the last of the callers when its build-up ends.
    assert!(sip_wait(&definition, 1) >= start_offset(&definition, 0) + definition.buildup);
    let mut alone = calls();
    alone.groups.remove(0);
    assert_eq!(
        sip_wait(&alone, 0),
        head + call,
        "whoever calls them from outside"
    );
}

/// Covers: R145.
#[test]
fn callers_register_over_their_own_time_and_are_done_before_their_calls_begin() {
    let mut definition = calls();
    let (caller, receiver) = (0, 1);
    let buildup = definition.buildup;
    assert_eq!(
        register_before(&definition, caller),
        Some(buildup + SETTLE),
        "over the build-up, unless it says otherwise"
    );
    assert_eq!(register_before(&definition, receiver), None, "it does not call");
    assert_eq!(
        (ramp(&definition, caller), ramp(&definition, receiver)),
        (buildup, buildup)
    );
    let before = start_offset(&definition, caller);
    assert_eq!(before, buildup + SETTLE, "both sides register at the same time");

    let slow = buildup + buildup;
    sip(&mut definition.groups[caller]).register_buildup = Some(slow);
    assert_eq!(
        start_offset(&definition, caller),
        slow + SETTLE,
        "calls wait for it"
    );
    assert_eq!(ramp(&definition, caller), buildup, "and keep their rate");
    let slower = slow + slow;
    sip(&mut definition.groups[receiver]).register_buildup = Some(slower);
    assert_eq!(ramp(&definition, receiver), slower);
    assert_eq!(start_offset(&definition, receiver), Millis(0));
    assert_eq!(
        start_offset(&definition, caller),
        slower + SETTLE,
        "those that are called are in place"
    );
    assert_eq!(
        register_before(&definition, caller),
        Some(slow + SETTLE),
        "as late as it can"
    );
    let call = buildup + definition.duration + Millis::from_secs(10);
    assert_eq!(sip_wait(&definition, receiver), slower + SETTLE + call);

    sip(&mut definition.groups[caller]).register_buildup = None;
    sip(&mut definition.groups[caller]).register_expires = Millis(0);
    assert_eq!(register_before(&definition, caller), None, "it does not register");
    definition.groups.remove(receiver);
    definition.groups[caller].callee = None;
    sip(&mut definition.groups[caller]).uri = Some("sip:echo@lab.example".to_owned());
    assert_eq!(
        start_offset(&definition, caller),
        Millis(0),
        "there is nothing to wait for"
    );
    sip(&mut definition.groups[caller]).register_expires = Millis(600_000);
    assert_eq!(start_offset(&definition, caller), buildup + SETTLE);
}

#[test]
fn a_ring_is_part_of_the_expected_time() {
    let mut definition = calls();
    let before = expected_execution(&definition);
    sip(&mut definition.groups[1]).ring = Millis::from_secs(3);
    assert_eq!(expected_execution(&definition), before + Millis::from_secs(3));
}
