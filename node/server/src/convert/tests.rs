//! Conversions between state and wire.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::DEFAULT_QUEUE_TIMEOUT;
use reeve_state::id::{Incarnation, NodeId, Revision, SessionEpoch, TokenHash, WorkerId};
use reeve_state::record::{Executor, Session, Worker, WorkerKind};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{
    AfterDrain, CredentialRejected, Drain, DrainActor, Facts, HealthIssue, Link, LivenessProfile, Resource,
    WorkerStatus,
};

use super::{definition, enums, time, worker};
use crate::args::NodeArgs;
use crate::error::ApiError;
use crate::liveness::Liveness;

fn span(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

fn group(name: &str) -> v1::Group {
    v1::Group {
        name: name.into(),
        endpoints: 10,
        selector: None,
        callee: None,
        executor: Some(v1::group::Executor::Sim(v1::SimExecutor {
            setup_min: span(0, 200_000_000),
            setup_max: span(0, 800_000_000),
            outcomes: vec![],
            quality: None,
        })),
    }
}

fn smoke() -> v1::TestDefinition {
    v1::TestDefinition {
        name: "smoke".into(),
        duration: span(20, 0),
        buildup: span(5, 0),
        queue_timeout: None,
        max_execution: None,
        on_worker_loss: None,
        groups: vec![group("callers")],
    }
}

fn violated(wire: &v1::TestDefinition) -> Vec<String> {
    match definition::decode(Some(wire)) {
        Err(ApiError::Invalid(violations)) => violations.into_iter().map(|v| v.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_of_the_state_are_names_of_the_wire() {
    for status in RunStatus::ALL {
        assert_eq!(enums::run_status(status).name(), status.name());
        assert_eq!(
            enums::run_status_filter(enums::run_status(status).into()).unwrap(),
            Some(status)
        );
    }
    for status in WorkerStatus::ALL {
        assert_eq!(enums::worker_status(status).name(), status.name());
        assert_eq!(
            enums::worker_status_filter(enums::worker_status(status).into()).unwrap(),
            Some(status)
        );
    }
    for status in AssignmentStatus::ALL {
        assert_eq!(enums::assignment_status(status).name(), status.name());
    }
    for phase in EndpointPhase::ALL {
        assert_eq!(enums::phase(phase) as i32, phase as i32);
    }
    for outcome in EndpointOutcome::ALL {
        assert_eq!(enums::outcome(outcome) as i32, outcome as i32);
        assert_eq!(enums::outcome_from(outcome as i32), Some(outcome));
    }
    let codes: std::collections::BTreeSet<_> = RunReasonCode::ALL
        .into_iter()
        .map(|code| enums::run_reason(code) as i32)
        .collect();
    assert_eq!(
        codes.len(),
        v1::RunReasonCode::all().len(),
        "each reason has a number of its own"
    );
}

#[test]
fn numbers_that_this_version_does_not_know_are_refused_by_field() {
    for (field, error) in [
        ("consistency", enums::consistency(9).unwrap_err()),
        ("status", enums::run_status_filter(9).unwrap_err()),
        ("status", enums::worker_status_filter(9).unwrap_err()),
        ("kind", enums::worker_kind_from(9).unwrap_err()),
    ] {
        let ApiError::Invalid(violations) = error else {
            panic!("{error}")
        };
        assert_eq!(violations[0].field, field);
    }
}

// Covers: R145
#[test]
fn a_definition_survives_the_way_there_and_back() {
    let mut wire = smoke();
    wire.queue_timeout = span(7, 0);
    wire.max_execution = span(120, 0);
    wire.groups[0].selector = Some(v1::Selector {
        region: "eu-west".into(),
        worker_id: WorkerId::from_bytes([7; 16]).to_string(),
        labels: BTreeMap::from([("rack".into(), "1".into())]),
    });
    let decoded = definition::decode(Some(&wire)).unwrap();
    assert_eq!(definition::encode(&decoded), wire);
}

// Covers: R138
#[test]
fn what_a_definition_does_not_say_has_the_documented_default() {
    let decoded = definition::decode(Some(&smoke())).unwrap();
    assert_eq!(decoded.queue_timeout, DEFAULT_QUEUE_TIMEOUT);
    assert_eq!(DEFAULT_QUEUE_TIMEOUT, Millis::from_secs(5), "D11");
    assert_eq!(
        decoded.max_execution,
        reeve_state::definition::default_max_execution(&decoded)
    );
    assert!(decoded.max_execution > Millis::from_secs(60));
    let mut one = smoke();
    let Some(v1::group::Executor::Sim(sim)) = &mut one.groups[0].executor else {
        panic!()
    };
    sim.setup_min = None;
    let decoded = definition::decode(Some(&one)).unwrap();
    let Executor::Sim(sim) = &decoded.groups[0].executor else {
        panic!()
    };
    assert_eq!(sim.setup_min, sim.setup_max, "one of the two alone is both");
}

#[test]
fn errors_of_syntax_and_of_meaning_come_together() {
    let mut wire = smoke();
    wire.name = String::new();
    wire.duration = None;
    wire.buildup = span(-1, 0);
    wire.queue_timeout = span(1, 5);
    let mut second = group("callers");
    second.endpoints = 0;
    second.executor = None;
    second.selector = Some(v1::Selector {
        worker_id: "seven".into(),
        ..v1::Selector::default()
    });
    wire.groups.push(second);
    let fields = violated(&wire);
    for field in [
        "name",
        "duration",
        "buildup",
        "queue_timeout",
        "groups[1].name",
        "groups[1].endpoints",
        "groups[1].executor",
        "groups[1].worker",
    ] {
        let times = fields.iter().filter(|found| *found == field).count();
        assert_eq!(times, 1, "{field} in {fields:?}");
    }
}

#[test]
fn a_definition_is_required() {
    assert!(matches!(definition::decode(None), Err(ApiError::Invalid(v)) if v[0].field == "definition"));
}

fn registered() -> Worker {
    Worker {
        id: WorkerId::from_bytes([1; 16]),
        name: "w1".into(),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu-west".into(),
        labels: BTreeMap::new(),
        configured_capacity: Some(100),
        reported_capacity: Some(80),
        sip_capacity: None,
        token_hash: Some(TokenHash([0; 32])),
        token_expires_at: None,
        function_blocks: Default::default(),
        version: String::new(),
        ip_address: String::new(),
        registered_by: None,
        flaps: 0,
        events: 0,
        facts: Facts::registered(Time(1_000)),
        session: None,
        last_epoch: SessionEpoch(0),
        attempt: None,
        created_at: Time(1_000),
        created_by: None,
        revision: Revision(4),
    }
}

fn online() -> Worker {
    let mut row = registered();
    row.facts.link.link = Link::Up;
    row.last_epoch = SessionEpoch(3);
    row.session = Some(Session {
        epoch: SessionEpoch(3),
        node: NodeId(2),
        incarnation: Incarnation([9; 16]),
        since: Time(2_000),
    });
    row
}

fn message(row: &Worker) -> v1::Worker {
    let nodes = BTreeMap::from([(NodeId(2), "beta".to_owned())]);
    let args = NodeArgs {
        id: Some(1),
        ..NodeArgs::default()
    };
    let (state, liveness) = (State::default(), Liveness::new(&args.load().unwrap()));
    worker::worker(
        worker::View {
            state: &state,
            liveness: &liveness,
            nodes: &nodes,
            now: Time(5_000),
        },
        row,
    )
}

// Covers: R7, R14, R21, R37
#[test]
fn the_deciding_condition_comes_first() {
    type Change = fn(&mut Worker);
    let drain = |row: &mut Worker| {
        row.facts.drain = Some(Drain {
            actor: DrainActor::Admin("ann".into()),
            reason: "rack move".into(),
            deadline: Time(9_000),
            then: AfterDrain::Resume,
            since: Time(3_000),
        });
    };
    let rows: &[(Change, WorkerStatus, &str)] = &[
        (|_| {}, WorkerStatus::Online, "Link"),
        (
            |row| row.facts.link.link = Link::Down,
            WorkerStatus::Offline,
            "Link",
        ),
        (
            |row| row.facts.link.link = Link::Never,
            WorkerStatus::Offline,
            "Link",
        ),
        (
            |row| row.facts.link.link = Link::Suspect,
            WorkerStatus::Error,
            "Link",
        ),
        (drain, WorkerStatus::Draining, "Drain"),
        (
            |row| {
                row.facts.health.issues = vec![HealthIssue {
                    resource: Resource::Disk,
                    percent: 97,
                }]
            },
            WorkerStatus::Error,
            "Health",
        ),
        (
            |row| {
                row.facts.credential_rejected = Some(CredentialRejected {
                    reason: "revoked".into(),
                    since: Time(1),
                });
            },
            WorkerStatus::Error,
            "Credential",
        ),
        (
            |row| row.facts.deleted_at = Some(Time(5_000)),
            WorkerStatus::Deleted,
            "Deleted",
        ),
    ];
    for (change, status, first) in rows {
        let mut row = online();
        change(&mut row);
        let wire = message(&row);
        assert_eq!(wire.status(), enums::worker_status(*status));
        assert_eq!(wire.conditions[0].r#type, *first, "{status}");
        assert!(
            wire.conditions.iter().any(|condition| condition.r#type == "Link"),
            "no fact is left out"
        );
    }
}

// Covers: R59, R60
#[test]
fn conditions_say_what_why_who_and_since_when() {
    let mut row = online();
    row.facts.health.issues = vec![
        HealthIssue {
            resource: Resource::Cpu,
            percent: 95,
        },
        HealthIssue {
            resource: Resource::Memory,
            percent: 91,
        },
    ];
    row.facts.health.since = Time(4_500);
    let health = message(&row).conditions.remove(0);
    assert_eq!(health.state, "Unhealthy");
    assert_eq!(health.reason, "CPU_ABOVE_THRESHOLD");
    assert_eq!(health.message, "CPU at 95 %, memory at 91 %");
    assert_eq!(health.actor, "worker:w1");
    assert_eq!(
        health.since,
        Some(prost_types::Timestamp {
            seconds: 4,
            nanos: 500_000_000
        })
    );
}

#[test]
fn a_worker_shows_its_node_by_name_and_the_smaller_capacity() {
    let wire = message(&online());
    assert_eq!(wire.session_node, "beta");
    assert_eq!(wire.session_epoch, 3);
    let capacity = wire.capacity.unwrap();
    assert_eq!((capacity.total, capacity.reserved, capacity.free), (80, 0, 80));
    assert_eq!(message(&registered()).session_node, "");
}

#[test]
fn times_keep_their_milliseconds() {
    let at = time::timestamp(Time(1_700_000_000_123));
    assert_eq!((at.seconds, at.nanos), (1_700_000_000, 123_000_000));
    assert_eq!(
        time::duration(Millis(1_250)),
        prost_types::Duration {
            seconds: 1,
            nanos: 250_000_000
        }
    );
    assert_eq!(time::millis(Duration::from_millis(7)), Millis(7));
}

fn fields(definition: &v1::TestDefinition) -> Vec<String> {
    match definition::decode(Some(definition)) {
        Err(ApiError::Invalid(violations)) => violations.into_iter().map(|each| each.field).collect(),
        other => panic!("{other:?}"),
    }
}

fn sip_definition() -> v1::TestDefinition {
    let sip = v1::SipExecutor {
        registrar: "lab".to_owned(),
        accounts: "pool".to_owned(),
        ..Default::default()
    };
    let group = |name: &str, callee| v1::Group {
        name: name.to_owned(),
        endpoints: 1,
        selector: None,
        callee,
        executor: Some(v1::group::Executor::Sip(sip.clone())),
    };
    let outside = v1::Callee {
        uri: "sip:x@example.com".to_owned(),
        ..Default::default()
    };
    let called = v1::Callee {
        group: "b".to_owned(),
        ..Default::default()
    };
    v1::TestDefinition {
        groups: vec![
            group("a", Some(called)),
            group("b", None),
            group("c", Some(outside)),
        ],
        ..smoke()
    }
}

#[test]
fn sip_endpoints_get_their_defaults_and_come_back() {
    let decoded = definition::decode(Some(&sip_definition())).unwrap();
    let Executor::Sip(sip) = &decoded.groups[2].executor else {
        panic!()
    };
    assert_eq!(sip.codecs, reeve_state::record::SipCodec::ALL);
    assert!(sip.packet_loss_concealment && !sip.trace_credentials);
    assert_eq!((sip.answer_timeout, sip.ring), (Millis(32_000), Millis(0)));
    assert_eq!(sip.register_expires, Millis(600_000));
    assert_eq!(
        (decoded.groups[2].callee.as_deref(), sip.uri.as_deref()),
        (None, Some("sip:x@example.com"))
    );
    assert_eq!(decoded.groups[0].callee.as_deref(), Some("b"));
    let encoded = definition::encode(&decoded);
    assert_eq!(definition::decode(Some(&encoded)).unwrap(), decoded);
    assert_eq!(encoded.groups[1].callee, None);
}

#[test]
fn bad_fields_of_sip_endpoints_are_named() {
    type Spoil = fn(&mut v1::SipExecutor);
    let table: [(&str, Spoil); 5] = [
        ("groups[2].sip.codecs[1]", |sip| sip.codecs = vec![1, 9]),
        ("groups[2].sip.ring", |sip| {
            sip.ring = Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            });
        }),
        ("groups[2].sip.actions[0]", |sip| {
            sip.actions = vec![v1::SipAction::default()]
        }),
        ("groups[2].sip.registrar", |sip| sip.registrar.clear()),
        ("groups[2].sip.register_expires", |sip| {
            sip.register_expires = Some(prost_types::Duration { seconds: 0, nanos: 1 });
        }),
    ];
    for (field, spoil) in table {
        let mut definition = sip_definition();
        let Some(v1::group::Executor::Sip(sip)) = &mut definition.groups[2].executor else {
            panic!()
        };
        spoil(sip);
        assert_eq!(fields(&definition), [field]);
    }
    let mut sim = smoke();
    sim.groups[0].callee = sip_definition().groups[2].callee.clone();
    assert_eq!(fields(&sim), ["groups[0].callee.uri"], "sim calls no URI");
}
