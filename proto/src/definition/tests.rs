//! Which documents are definitions, and what is said about those that are not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const SMOKE: &str = r#"{
    "name": "smoke", "duration": "20s", "buildup": "5s", "queue_timeout": "1m30s", "maxExecution": "2m",
    "groups": [
        {"name": "callers", "endpoints": 200, "region": "eu-west", "executor": "sim",
         "sim": {"setup": "200ms..800ms", "outcomes": {"SUCCESS": 0.97, "call_failed": 0.03}}},
        {"name": "others", "endpoints": 1, "labels": {"tier": "gold"}}
    ]}"#;

fn duration(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

// Covers: R95, R145
#[test]
fn a_definition_is_read_in_both_spellings() {
    let definition = from_json(SMOKE.as_bytes()).unwrap();
    assert_eq!(definition.name, "smoke");
    assert_eq!(definition.duration, duration(20, 0));
    assert_eq!(definition.buildup, duration(5, 0));
    assert_eq!(definition.queue_timeout, duration(90, 0));
    assert_eq!(definition.max_execution, duration(120, 0));
    let callers = &definition.groups[0];
    assert_eq!((callers.name.as_str(), callers.endpoints), ("callers", 200));
    assert_eq!(callers.selector.as_ref().unwrap().region, "eu-west");
    let Some(v1::group::Executor::Sim(sim)) = &callers.executor else {
        panic!("no executor")
    };
    assert_eq!(sim.setup_min, duration(0, 200_000_000));
    assert_eq!(sim.setup_max, duration(0, 800_000_000));
    let shares: Vec<_> = sim
        .outcomes
        .iter()
        .map(|share| (share.outcome(), share.share_ppm))
        .collect();
    assert_eq!(
        shares,
        [
            (v1::EndpointOutcome::Success, 970_000),
            (v1::EndpointOutcome::CallFailed, 30_000)
        ]
    );
    let others = &definition.groups[1];
    assert_eq!(others.selector.as_ref().unwrap().labels["tier"], "gold");
    assert!(
        matches!(others.executor, Some(v1::group::Executor::Sim(_))),
        "sim is the default"
    );
}

// Covers: R96
#[test]
fn what_is_written_reads_back_the_same() {
    let worker =
        r#"{"name":"one","duration":"1500ms","groups":[{"name":"g","endpoints":3,"worker":"0190-a"}]}"#;
    for source in [SMOKE, worker] {
        let definition = from_json(source.as_bytes()).unwrap();
        let written = serde_json::to_string(&DefinitionDocument::from(&definition)).unwrap();
        assert_eq!(from_json(written.as_bytes()).unwrap(), definition, "{written}");
    }
    let definition = from_json(SMOKE.as_bytes()).unwrap();
    let written = serde_json::to_string(&DefinitionDocument::from(&definition)).unwrap();
    for part in [
        r#""queueTimeout":"1m30s""#,
        r#""maxExecution":"2m""#,
        r#""setup":"200ms..800ms""#,
        r#""outcomes":{"CALL_FAILED":0.03,"SUCCESS":0.97}"#,
    ] {
        assert!(written.contains(part), "{part} is not in {written}");
    }
}

/// A definition with one part replaced: the field that is blamed, and words of the reason.
#[test]
fn a_bad_value_is_named_with_its_rule() {
    let group = |body: &str| {
        format!(r#"{{"name":"t","duration":"1s","groups":[{{"name":"g","endpoints":1,{body}}}]}}"#)
    };
    let top = |body: &str| format!(r#"{{{body},"groups":[{{"name":"g","endpoints":1}}]}}"#);
    let table: Vec<(String, &str, &str)> = vec![
        (top(r#""name":"t""#), "duration", "is required"),
        (top(r#""duration":"1s""#), "name", "is required"),
        (top(r#""name":"t","duration":20"#), "duration", "20 has no unit"),
        (top(r#""name":"t","duration":"20""#), "duration", "20 has no unit"),
        (
            top(r#""name":"t","duration":"soon""#),
            "duration",
            "is not a duration",
        ),
        (
            top(r#""name":"t","duration":"-5s""#),
            "duration",
            "less than zero",
        ),
        (
            top(r#""name":"t","duration":"1s","buildup":"5 parsecs""#),
            "buildup",
            "is not a duration",
        ),
        (
            r#"{"name":"t","duration":"1s"}"#.to_owned(),
            "groups",
            "at least one group",
        ),
        (
            group(r#""executor":"exec""#),
            "groups[0].executor",
            "expected sim or sip",
        ),
        (
            group(r#""sim":{"setup":"2s..1s"}"#),
            "groups[0].sim.setup",
            "end comes before its start",
        ),
        (
            group(r#""sim":{"setup":"2s.."}"#),
            "groups[0].sim.setup",
            "is not a duration",
        ),
        (
            group(r#""sim":{"outcomes":{"SUCCESS":0.5}}"#),
            "groups[0].sim.outcomes",
            "must sum to 1",
        ),
        (
            group(r#""sim":{"outcomes":{"SUCCESS":1.00001}}"#),
            "groups[0].sim.outcomes.SUCCESS",
            "between 0 and 1",
        ),
        (
            group(r#""sim":{"outcomes":{"SUCCESS":1.2,"TIMEOUT":-0.2}}"#),
            "groups[0].sim.outcomes.TIMEOUT",
            "between 0 and 1",
        ),
        (
            group(r#""sim":{"outcomes":{"GREAT":1}}"#),
            "groups[0].sim.outcomes.GREAT",
            "is not an outcome",
        ),
        (
            group(r#""sim":{"outcomes":{"UNSPECIFIED":1}}"#),
            "groups[0].sim.outcomes.UNSPECIFIED",
            "is not",
        ),
        (
            group(r#""sim":{"outcomes":{"success":0.5,"SUCCESS":0.5}}"#),
            "groups[0].sim.outcomes.success",
            "twice",
        ),
        (
            group(r#""sim":{"setpu":"1s"}"#),
            "groups[0].sim.setpu",
            "unknown field `setpu`",
        ),
        (
            group(r#""regoin":"eu""#),
            "groups[0].regoin",
            "unknown field `regoin`",
        ),
        (top(r#""nmae":"t""#), "nmae", "unknown field `nmae`"),
        (group(r#""labels":{"a":1}"#), "groups[0].labels.a", "invalid type"),
        (
            r#"{"name":"t","groups":[{"endpoints":-1}]}"#.to_owned(),
            "groups[0].endpoints",
            "invalid value",
        ),
        (
            r#"{"name":"t","groups":[{"endpoints":5000000000}]}"#.to_owned(),
            "groups[0].endpoints",
            "invalid value",
        ),
        ("{".to_owned(), "", "EOF"),
        (
            r#"{"name":"t","duration":"1s","groups":[{"name":"g","endpoints":1}]} x"#.to_owned(),
            "",
            "trailing",
        ),
    ];
    for (source, field, words) in table {
        let violations = from_json(source.as_bytes()).unwrap_err();
        assert!(
            violations
                .iter()
                .any(|v| v.field == field && v.description.contains(words)),
            "{source}: wanted {field}: {words}; got {violations:?}"
        );
    }
}

#[test]
fn all_violations_come_at_once() {
    let source = r#"{"duration":"x","buildup":"y","groups":[{"sim":{"setup":"z"}}, {"executor":"exec","endpoints":1}]}"#;
    let violations = from_json(source.as_bytes()).unwrap_err();
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "duration",
            "buildup",
            "groups[0].name",
            "groups[0].endpoints",
            "groups[0].sim.setup",
            "groups[1].name",
            "groups[1].executor"
        ]
    );
}

#[test]
fn an_unknown_field_tells_its_line() {
    let violations = from_json(b"{\n  \"name\": \"t\",\n  \"bogus\": 1\n}").unwrap_err();
    assert!(violations[0].description.contains("line 3"), "{violations:?}");
}

#[test]
fn shares_sum_to_exactly_one_million() {
    let thirds = r#"{"name":"t","duration":"1s","groups":[{"name":"g","endpoints":1,
        "sim":{"outcomes":{"SUCCESS":0.3333333,"TIMEOUT":0.3333333,"OSERROR":0.3333334}}}]}"#;
    let definition = from_json(thirds.as_bytes()).unwrap();
    let Some(v1::group::Executor::Sim(sim)) = &definition.groups[0].executor else {
        panic!("no executor")
    };
    assert_eq!(
        sim.outcomes.iter().map(|share| share.share_ppm).sum::<u32>(),
        1_000_000
    );
    assert!(
        sim.outcomes
            .iter()
            .all(|share| (333_333..=333_334).contains(&share.share_ppm))
    );
}

#[test]
fn durations_round_trip() {
    for text in ["20s", "200ms", "1m30s", "1h", "0s", "1s500ms"] {
        let duration = parse_duration(text).unwrap();
        assert_eq!(
            parse_duration(&format_duration(&duration)).unwrap(),
            duration,
            "{text}"
        );
    }
    assert_eq!(format_duration(&duration(90, 0).unwrap()), "1m30s");
    assert_eq!(format_duration(&duration(0, 200_000_000).unwrap()), "200ms");
    assert_eq!(format_duration(&duration(0, 0).unwrap()), "0s");
}

const CALLS: &str = r#"{
    "name": "calls", "duration": "20s", "groups": [
        {"name": "callers", "endpoints": 2, "executor": "sip", "callee": {"group": "receivers"},
         "sip": {"registrar": "lab", "accounts": "pool", "codecs": ["PCMA", "pcmu"], "media": "hello", "plc": false,
                 "answer_timeout": "10s", "registerExpires": "2m", "registerBuildup": "5s", "traceCredentials": true,
                 "actions": [{"at": "5s", "dtmf": "123#"}, {"at": "7s500ms", "hold": true}, {"at": "9s", "hold": false}]}},
        {"name": "receivers", "endpoints": 2, "executor": "sip", "sip": {"registrar": "lab", "accounts": "pool", "ring": "1s"}},
        {"name": "outside", "endpoints": 1, "executor": "sip", "callee": {"uri": "sip:echo@example.com"},
         "sip": {"registrar": "lab", "accounts": "pool"}}
    ]}"#;

#[test]
fn sip_endpoints_are_read_and_come_back() {
    let definition = from_json(CALLS.as_bytes()).unwrap();
    let Some(v1::group::Executor::Sip(sip)) = &definition.groups[0].executor else {
        panic!("no sip")
    };
    assert_eq!((sip.registrar.as_str(), sip.accounts.as_str()), ("lab", "pool"));
    let codecs: Vec<_> = sip.codecs().collect();
    assert_eq!(codecs, [v1::SipCodec::Pcma, v1::SipCodec::Pcmu]);
    assert_eq!(sip.packet_loss_concealment, Some(false));
    assert_eq!(sip.register_expires, duration(120, 0));
    assert_eq!(sip.register_buildup, duration(5, 0));
    assert_eq!(sip.ring, None, "what is not said is for the cluster to fill in");
    let hold = |at_ms, hold| v1::SipAction {
        at_ms,
        action: Some(v1::sip_action::Action::Hold(hold)),
    };
    let dtmf = v1::SipAction {
        at_ms: 5_000,
        action: Some(v1::sip_action::Action::Dtmf("123#".to_owned())),
    };
    assert_eq!(sip.actions, [dtmf, hold(7_500, true), hold(9_000, false)]);
    let outside = definition.groups[2].callee.as_ref().unwrap();
    assert_eq!(
        (outside.group.as_str(), outside.uri.as_str()),
        ("", "sip:echo@example.com")
    );
    let written = serde_json::to_string(&DefinitionDocument::from(&definition)).unwrap();
    assert_eq!(from_json(written.as_bytes()).unwrap(), definition, "{written}");
    assert!(written.contains(r#"{"at":"7s500ms","hold":true}"#), "{written}");
}

#[test]
fn what_is_wrong_with_sip_endpoints_is_named() {
    let group = |body: &str| {
        format!(r#"{{"name":"t","duration":"1s","groups":[{{"name":"g","endpoints":1,{body}}}]}}"#)
    };
    let sip = |body: &str| {
        group(&format!(
            r#""executor":"sip","sip":{{"registrar":"r","accounts":"a",{body}}}"#
        ))
    };
    let action = |body: &str| sip(&format!(r#""actions":[{{{body}}}]"#));
    let table = [
        (
            group(r#""executor":"sip""#),
            "groups[0].sip.registrar",
            "is required",
        ),
        (
            group(r#""executor":"sip""#),
            "groups[0].sip.accounts",
            "is required",
        ),
        (
            group(r#""sip":{"registrar":"r","accounts":"a"}"#),
            "groups[0].sip",
            "executor is sim",
        ),
        (
            sip(r#""ring":"0s"},"sim":{"setup":"1s""#),
            "groups[0].sim",
            "executor is sip",
        ),
        (
            sip(r#""codecs":["opus"]"#),
            "groups[0].sip.codecs[0]",
            "expected PCMU or PCMA",
        ),
        (sip(r#""ring":3"#), "groups[0].sip.ring", "has no unit"),
        (sip(r#""rign":"3s""#), "groups[0].sip.rign", "unknown field"),
        (
            action(r#""dtmf":"1""#),
            "groups[0].sip.actions[0].at",
            "is required",
        ),
        (
            action(r#""at":"1s""#),
            "groups[0].sip.actions[0]",
            "must have dtmf or hold",
        ),
        (
            action(r#""at":"1s","dtmf":"1","hold":true"#),
            "groups[0].sip.actions[0]",
            "write two actions",
        ),
        (
            action(r#""at":"1us","hold":true"#),
            "groups[0].sip.actions[0].at",
            "whole milliseconds",
        ),
        (
            group(r#""callee":{"group":"g","uri":"sip:x@y"}"#),
            "groups[0].callee.uri",
            "either a group or a URI",
        ),
    ];
    for (source, field, words) in table {
        let violations = from_json(source.as_bytes()).unwrap_err();
        assert!(
            violations
                .iter()
                .any(|v| v.field == field && v.description.contains(words)),
            "{source}: wanted {field}: {words}; got {violations:?}"
        );
    }
}
