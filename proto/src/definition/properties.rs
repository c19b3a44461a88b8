//! Whatever stands in a document, reading it ends in a definition or in violations; and a definition reads back as itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Words that mean something in a definition, so that random documents come near to real ones.
const WORDS: [&str; 33] = [
    "name",
    "duration",
    "buildup",
    "queue_timeout",
    "queueTimeout",
    "maxExecution",
    "groups",
    "onWorkerLoss",
    "on_worker_loss",
    "failAbove",
    "endpoints",
    "region",
    "worker",
    "labels",
    "executor",
    "sim",
    "setup",
    "outcomes",
    "SUCCESS",
    "callee",
    "group",
    "20s",
    "1ms..2ms",
    "20%",
    "sip",
    "registrar",
    "accounts",
    "codecs",
    "PCMU",
    "actions",
    "at",
    "dtmf",
    "uri",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned),
        2 => "[0-9]{1,20}(ms|s|m|h|%)?(\\.\\.[0-9]{1,3}(ms|s))?",
        1 => any::<String>(),
    ]
}

/// Any JSON, with the words of definitions in it.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..8)
                .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn duration() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..100_000_u64).prop_map(|ms| format!("{ms}ms")),
        (0..5_000_u64).prop_map(|s| format!("{s}s")),
        (0..30_u64, 0..60_u64).prop_map(|(h, m)| format!("{h}h{m}m")),
    ]
}

/// A group that nothing in its syntax speaks against.
fn group() -> impl Strategy<Value = Value> {
    let sim = (duration(), prop::bool::ANY).prop_map(|(setup, shares)| {
        let outcomes = if shares {
            serde_json::json!({"SUCCESS": 0.75, "call_failed": 0.25})
        } else {
            serde_json::json!({})
        };
        serde_json::json!({"setup": setup, "outcomes": outcomes})
    });
    let place = prop::option::of("[a-z]{1,8}");
    let labels = prop::collection::btree_map("[a-z]{1,5}", "[a-z0-9 ]{0,5}", 0..3);
    (
        any::<String>(),
        any::<u32>(),
        place,
        labels,
        sim,
        prop::option::of("[a-z]{1,4}"),
    )
        .prop_map(|(name, endpoints, region, labels, sim, callee)| {
            let mut group =
                serde_json::json!({"name": name, "endpoints": endpoints, "labels": labels, "sim": sim});
            if let Some(region) = region {
                group["region"] = region.into();
            }
            if let Some(callee) = callee {
                group["callee"] = serde_json::json!({"group": callee});
            }
            group
        })
}

/// A group of SIP endpoints that nothing in its syntax speaks against.
fn sip_group() -> impl Strategy<Value = Value> {
    let action = (
        0..u64::from(u32::MAX),
        prop::option::of(any::<bool>()),
        any::<String>(),
    )
        .prop_map(|(at, hold, digits)| match hold {
            Some(hold) => serde_json::json!({"at": format!("{at}ms"), "hold": hold}),
            None => serde_json::json!({"at": format!("{at}ms"), "dtmf": digits}),
        });
    (
        any::<String>(),
        any::<u32>(),
        ["[a-z]{1,8}", "[a-z]{1,8}"],
        duration(),
        prop::collection::vec(action, 0..4),
        prop::option::of("sip:[a-z]{1,4}"),
        any::<bool>(),
    )
        .prop_map(|(name, endpoints, [registrar, accounts], ring, actions, uri, plc)| {
            let sip = serde_json::json!({
                "registrar": registrar, "accounts": accounts, "ring": ring, "actions": actions, "plc": plc,
                "codecs": ["PCMA"], "traceCredentials": plc,
            });
            let mut group =
                serde_json::json!({"name": name, "endpoints": endpoints, "executor": "sip", "sip": sip});
            if let Some(uri) = uri {
                group["callee"] = serde_json::json!({"uri": uri});
            }
            group
        })
}

fn policy() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::from("continue")),
        Just(Value::from("fail")),
        (0..100_u32, 0..10_000_u32)
            .prop_map(|(whole, part)| { serde_json::json!({"failAbove": format!("{whole}.{part:04}%")}) }),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let groups = prop::collection::vec(prop_oneof![3 => group(), 1 => sip_group()], 1..4);
    (
        any::<String>(),
        duration(),
        duration(),
        prop::option::of(duration()),
        policy(),
        groups,
    )
        .prop_map(|(name, call, buildup, queue, policy, groups)| {
            let mut document = serde_json::json!({
                "name": name, "duration": call, "buildup": buildup, "groups": groups,
            });
            if let Some(queue) = queue {
                document["queueTimeout"] = queue.into();
            }
            if !policy.is_null() {
                document["onWorkerLoss"] = policy;
            }
            document
        })
}

/// What was read is written, and what is written reads back as the same.
fn comes_back(definition: &v1::TestDefinition) {
    let written = DefinitionDocument::from(definition);
    let text = serde_json::to_vec(&written).unwrap();
    let again = from_json(&text).unwrap_or_else(|violations| panic!("{violations:?} of {written:?}"));
    assert_eq!(DefinitionDocument::from(&again), written);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    // Covers: R125
    #[test]
    fn any_bytes_are_a_definition_or_violations(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(definition) = from_json(&bytes) {
            comes_back(&definition);
        }
    }

    #[test]
    fn any_tree_is_a_definition_or_violations(tree in tree()) {
        match from_json(tree.to_string().as_bytes()) {
            Ok(definition) => comes_back(&definition),
            Err(violations) => prop_assert!(!violations.is_empty()),
        }
    }

    #[test]
    fn every_document_without_fault_is_read_and_comes_back(document in document()) {
        let definition = from_json(document.to_string().as_bytes());
        let definition = definition.map_err(|violations| TestCaseError::fail(format!("{violations:?}")))?;
        comes_back(&definition);
    }

    /// One value of a good document is replaced by anything: what is said about it names a field, or it is taken.
    #[test]
    fn a_spoilt_document_names_what_is_wrong(document in document(), at in any::<prop::sample::Index>(), value in tree()) {
        let mut spoilt = document;
        let fields = spoilt.as_object_mut().unwrap();
        let key = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        fields.insert(key, value);
        match from_json(spoilt.to_string().as_bytes()) {
            Ok(definition) => comes_back(&definition),
            Err(violations) => {
                prop_assert!(violations.iter().all(|violation| !violation.field.is_empty()), "{:?}", violations);
            }
        }
    }
}
