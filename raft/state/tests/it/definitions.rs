//! The rules of definitions: every broken one is named.

use reeve_state::command::{ApplyMode, ApplyTest, Command, Refusal};
use reeve_state::definition::*;
use reeve_state::id::ProjectName;
use reeve_state::record::{Executor, OutcomeShare, SimExecutor, TestDefinition};
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::EndpointOutcome;

use crate::world::*;

fn fields(definition: &TestDefinition) -> Vec<String> {
    validate(definition)
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

fn sim(definition: &mut TestDefinition) -> &mut SimExecutor {
    match &mut definition.groups[0].executor {
        Executor::Sim(sim) => sim,
        Executor::Sip(_) => panic!("not a sim group"),
    }
}

#[test]
fn a_good_definition_breaks_no_rule() {
    assert_eq!(validate(&definition("smoke", 200)), []);
    assert_eq!(validate(&definition("smoke", MAX_ENDPOINTS)), []);
}

#[test]
fn each_rule_names_its_field() {
    type Change = fn(&mut TestDefinition);
    let cases: [(&str, Change); 16] = [
        ("name", |d| d.name.clear()),
        ("name", |d| d.name = "x".repeat(MAX_NAME_BYTES + 1)),
        ("name", |d| d.name = "a\nb".into()),
        ("duration", |d| d.duration = Millis(0)),
        ("duration", |d| d.duration = Millis(MAX_EXECUTION.0 + 1)),
        ("buildup", |d| d.buildup = Millis(u64::MAX)),
        ("queue_timeout", |d| {
            d.queue_timeout = Millis(MAX_QUEUE_TIMEOUT.0 + 1)
        }),
        ("max_execution", |d| d.max_execution = Millis(0)),
        ("groups", |d| d.groups.clear()),
        ("groups", |d| {
            d.groups = (0..=MAX_GROUPS).map(|n| group(&n.to_string(), 1)).collect()
        }),
        ("groups[0].endpoints", |d| d.groups[0].endpoints = 0),
        ("groups[1].name", |d| d.groups.push(group("callers", 1))),
        ("groups[0].region", |d| {
            d.groups[0].selector.region = Some(String::new())
        }),
        ("groups[0].sim.setup", |d| {
            let sim = sim(d);
            sim.setup_min = Millis(900);
        }),
        ("groups[0].sim.outcomes", |d| {
            let sim = sim(d);
            sim.outcomes = vec![OutcomeShare {
                outcome: EndpointOutcome::Success,
                share_ppm: 999_999,
            }];
        }),
        ("groups[0].sim.outcomes", |d| {
            let sim = sim(d);
            sim.outcomes = vec![
                OutcomeShare {
                    outcome: EndpointOutcome::Success,
                    share_ppm: 500_000
                };
                2
            ];
        }),
    ];
    for (field, change) in cases {
        let mut definition = definition("smoke", 10);
        change(&mut definition);
        assert_eq!(fields(&definition), [field]);
    }
}

#[test]
fn too_many_endpoints_are_named_in_the_group_and_in_all() {
    let mut one = definition("smoke", MAX_ENDPOINTS + 1);
    assert_eq!(fields(&one), ["groups", "groups[0].endpoints"]);
    one.groups = vec![group("a", MAX_ENDPOINTS), group("b", u32::MAX)];
    assert_eq!(fields(&one), ["groups", "groups[1].endpoints"]);
}

#[test]
fn all_broken_rules_are_named_at_once_and_nothing_is_written() {
    let mut world = World::default();
    let mut bad = definition("", 0);
    bad.duration = Millis(0);
    let command = ApplyTest {
        id: test_id(1),
        definition: bad.into(),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    };
    let Refusal::Invalid { violations } = world.refused(Command::ApplyTest(command)) else {
        panic!()
    };
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["name", "duration", "groups[0].endpoints"]);
    assert_eq!(world.state.tests().count(), 0);
}

#[test]
fn an_unknown_worker_is_refused_at_submission_and_an_unknown_region_is_not() {
    let mut world = World::default();
    let mut named = definition("smoke", 10);
    named.groups[0].selector.worker = Some(worker_id(9));
    let command = ApplyTest {
        id: test_id(1),
        definition: named.into(),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    };
    let Refusal::Invalid { violations } = world.refused(Command::ApplyTest(command)) else {
        panic!()
    };
    assert_eq!(violations[0].field, "groups[0].worker");
    let mut elsewhere = definition("smoke", 10);
    elsewhere.groups[0].selector.region = Some("atlantis".into());
    world.apply_test(1, elsewhere);
}

// Covers: R148, R171, R210
#[test]
fn the_default_safety_limit_is_twice_the_expected_time_and_a_minute() {
    let definition = definition("smoke", 10);
    assert_eq!(
        expected_execution(&definition),
        Millis(5_000 + 800 + 20_000 + 10_000)
    );
    assert_eq!(default_max_execution(&definition), Millis(2 * 35_800 + 60_000));
    let long = TestDefinition {
        duration: MAX_EXECUTION,
        ..definition
    };
    assert_eq!(default_max_execution(&long), MAX_EXECUTION);
}
