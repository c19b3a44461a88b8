//! Every command and record comes back from its bytes, and the bytes of commands never change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod evidence;
mod probes;
mod project;
mod registry;
mod runs;
mod sip;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use reeve_state::change::Row;
use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::assignment::{AssignmentLife, AssignmentStatus};
use reeve_state::transition::endpoint::{EndpointChunk, EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunLife, RunReason, RunReasonCode, RunStatus, TimelineEntry};
use reeve_state::transition::worker::*;

use super::enums::Numbered;
use super::*;
use evidence::{evidence_commands, evidence_rows};
use probes::{probe_commands, probe_refusals, probe_rows};
use project::{project_commands, project_refusals, project_row};
use registry::{event, function_blocks, key_commands, registry_commands, registry_refusals};
use runs::run_commands;
use sip::{sip_commands, sip_refusals, sip_rows};
use webhooks::{webhook_commands, webhook_rows};

/// Bytes that are in logs already: written once, compared ever after. One line a command: number, name, hexadecimal.
const GOLDEN: &str = include_str!("../../tests/golden/commands.hex");

fn run() -> RunId {
    RunId::from_bytes([1; 16])
}

fn test() -> TestId {
    TestId::from_bytes([2; 16])
}

fn worker() -> WorkerId {
    WorkerId::from_bytes([3; 16])
}

fn key_id() -> KeyId {
    KeyId::from_bytes([8; 16])
}

fn key() -> RequestKey {
    RequestKey {
        caller: "alice".into(),
        request_id: "r-1".into(),
    }
}

fn reason() -> RunReason {
    RunReason {
        code: RunReasonCode::WorkersBusy,
        message: "busy".to_owned(),
    }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())])
}

fn definition() -> Arc<TestDefinition> {
    let selector = Selector {
        region: Some("eu".to_owned()),
        worker: Some(worker()),
        labels: labels(),
    };
    let sim = SimExecutor {
        setup_min: Millis(10),
        setup_max: Millis(20),
        outcomes: vec![OutcomeShare {
            outcome: EndpointOutcome::Timeout,
            share_ppm: 5,
        }],
        quality: None,
    };
    Arc::new(TestDefinition {
        name: "load".to_owned(),
        duration: Millis(1_000),
        buildup: Millis(2_000),
        queue_timeout: Millis(3_000),
        max_execution: Millis(4_000),
        on_worker_loss: Default::default(),
        groups: vec![
            Group {
                name: "g".to_owned(),
                endpoints: 7,
                selector,
                callee: None,
                executor: Executor::Sim(sim.clone()),
            },
            Group {
                name: "h".to_owned(),
                endpoints: 1,
                selector: Selector::default(),
                callee: None,
                executor: Executor::Sim(sim),
            },
        ],
    })
}

fn explanation() -> Arc<Explanation> {
    let removed = PlacementFilter::ALL.iter().map(|filter| FilterCount {
        filter: *filter,
        workers: 2,
    });
    Arc::new(Explanation {
        groups: vec![GroupExplanation {
            group: "g".to_owned(),
            endpoints: 7,
            workers_considered: 10,
            removed: removed.collect(),
            capacity_total: 5,
            capacity_free: 4,
            workers: Vec::new(),
            workers_left_out: 0,
        }],
        suggestion: "add a worker".to_owned(),
        changes: Vec::new(),
    })
}

/// How many commands there are.
const COMMANDS: usize = 54;

/// One of every command.
fn commands() -> Vec<Command> {
    let issues = vec![HealthIssue {
        resource: Resource::Disk,
        percent: 95,
    }];
    let progress = vec![
        EndpointReport {
            offset: 0,
            phase: EndpointPhase::Incall,
            outcome: None,
        },
        EndpointReport {
            offset: 300,
            phase: EndpointPhase::Closed,
            outcome: Some(EndpointOutcome::Success),
        },
    ];
    let placement = Placement {
        worker: worker(),
        group: 0,
        first: 0,
        count: 7,
    };
    vec![
        Command::RaiseClusterVersion(RaiseClusterVersion { version: 2 }),
        Command::ApplyTest(ApplyTest {
            id: test(),
            definition: definition(),
            mode: ApplyMode::CreateOrUpdate,
            project: ProjectName::default(),
        }),
        Command::DeleteTest(DeleteTest { test: test() }),
        Command::StartRun(StartRun {
            run: run(),
            test: test(),
        }),
        Command::StopRun(StopRun {
            run: run(),
            grace: Millis(5_000),
        }),
        Command::QueueRun(QueueRun {
            run: run(),
            revision: Revision(9),
        }),
        Command::PlaceRun(PlaceRun {
            run: run(),
            revision: Revision(9),
            withdraw: vec![1, 2],
            placements: vec![placement],
            ready_timeout: Millis(10_000),
        }),
        Command::BeginRun(BeginRun {
            run: run(),
            revision: Revision(9),
            start_delay: Millis(500),
        }),
        Command::CompleteRun(CompleteRun {
            run: run(),
            revision: Revision(9),
        }),
        Command::FailRun(FailRun {
            run: run(),
            revision: Revision(9),
            reason: reason(),
            outcome: EndpointOutcome::Oserror,
        }),
        Command::RejectRun(RejectRun {
            run: run(),
            revision: Revision(9),
            reason: reason(),
            explanation: Some(explanation()),
        }),
        Command::AbandonAssignments(AbandonAssignments {
            run: run(),
            revision: Revision(9),
            ordinals: vec![0, 3],
            detail: "silent".to_owned(),
        }),
        Command::CreateWorker(CreateWorker {
            id: worker(),
            name: "w".to_owned(),
            kind: WorkerKind::Cloud,
            profile: LivenessProfile::Ping,
            region: "eu".to_owned(),
            labels: labels(),
            capacity: Some(0),
            token_hash: TokenHash([4; 32]),
            token_ttl: None,
        }),
        Command::ConnectWorker(ConnectWorker {
            token_hash: TokenHash([4; 32]),
            node: NodeId(2),
            incarnation: Incarnation([5; 16]),
            capacity: 100,
            sip_capacity: None,
            health: issues.clone(),
            held: vec![(run(), AssignmentEpoch(8))],
            draining: Some(Millis(1)),
            version: String::new(),
            attempt: 0,
        }),
        Command::DisconnectWorker(DisconnectWorker {
            worker: worker(),
            epoch: SessionEpoch(6),
            reason: "bye".to_owned(),
        }),
        Command::SetLink(SetLink {
            worker: worker(),
            epoch: SessionEpoch(6),
            link: Link::Suspect,
            reason: "silent".to_owned(),
        }),
        Command::SetHealth(SetHealth {
            worker: worker(),
            epoch: SessionEpoch(6),
            issues,
        }),
        Command::SetDrain(SetDrain {
            worker: worker(),
            drain: Some(DrainOrder {
                actor: DrainActor::Admin("bob".to_owned()),
                reason: "update".to_owned(),
                timeout: Millis(60_000),
                then: AfterDrain::Resume,
            }),
        }),
        Command::Report(Report {
            worker: worker(),
            run: run(),
            epoch: AssignmentEpoch(8),
            seq: 3,
            event: ReportEvent::Progress(progress),
        }),
    ]
    .into_iter()
    .chain(registry_commands())
    .chain(key_commands())
    .chain(evidence_commands())
    .chain(run_commands())
    .chain(project_commands())
    .chain(probe_commands())
    .chain(webhook_commands())
    .chain(sip_commands())
    .collect()
}

fn envelope(command: Command) -> Envelope {
    Envelope {
        request: Some(RequestTag {
            key: key(),
            hash: [7; 32],
        }),
        fence_term: Some(3),
        principal: None,
        command,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn golden() -> BTreeMap<u32, (String, String)> {
    let line = |line: &str| {
        let mut parts = line.split(' ').map(str::to_owned);
        let number = parts.next().unwrap().parse().unwrap();
        (number, (parts.next().unwrap(), parts.next().unwrap()))
    };
    GOLDEN.lines().map(line).collect()
}

#[test]
fn the_bytes_of_every_command_are_what_they_always_were() {
    let golden = golden();
    let mut missing = Vec::new();
    for command in commands() {
        let (number, name) = (command.number(), command.name());
        let bytes = encode_envelope(&envelope(command.clone()));
        match golden.get(&number) {
            Some((kept_name, kept)) => {
                assert_eq!(
                    (kept_name.as_str(), kept.as_str()),
                    (name, hex(&bytes).as_str()),
                    "command {number}"
                );
            }
            None => missing.push(format!("{number} {name} {}", hex(&bytes))),
        }
        assert_eq!(decode_envelope(&bytes).unwrap(), envelope(command));
    }
    assert!(
        missing.is_empty(),
        "add to tests/golden/commands.hex:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_command_of_the_protocol_has_golden_bytes_under_its_number() {
    let set = prost_types::FileDescriptorSet::decode(reeve_proto::DESCRIPTORS).unwrap();
    let messages = set
        .file
        .iter()
        .filter(|file| file.package() == "reeve.internal.v1");
    let envelope = messages
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == "Envelope")
        .unwrap();
    // Proto3 optional fields have a oneof of their own behind the declared one.
    let in_command = envelope.field.iter().filter(|field| field.oneof_index == Some(0));
    let declared: BTreeMap<u32, String> = in_command
        .map(|field| (field.number() as u32, field.name().to_owned()))
        .collect();
    let golden: BTreeMap<u32, String> = golden()
        .into_iter()
        .map(|(number, (name, _))| (number, name))
        .collect();
    assert_eq!(declared, golden);
    assert_eq!(declared.len(), COMMANDS);
    let sampled: BTreeSet<u32> = commands().iter().map(Command::number).collect();
    assert_eq!(sampled, golden.keys().copied().collect());
}

#[test]
fn every_event_and_actor_comes_back() {
    let events = [
        ReportEvent::Ready,
        ReportEvent::NotReady {
            reason: "no disk".to_owned(),
        },
        ReportEvent::Progress(Vec::new()),
        ReportEvent::StartedLate { by: Millis(2_500) },
        ReportEvent::Closed,
    ];
    for event in events {
        let report = Report {
            worker: worker(),
            run: run(),
            epoch: AssignmentEpoch(1),
            seq: 1,
            event,
        };
        round_trip(Envelope::internal(Command::Report(report)));
    }
    for actor in [DrainActor::Worker(Incarnation([1; 16])), DrainActor::Platform] {
        let order = DrainOrder {
            actor,
            reason: String::new(),
            timeout: Millis(0),
            then: AfterDrain::Disconnect,
        };
        let drain = SetDrain {
            worker: worker(),
            drain: Some(order),
        };
        round_trip(Envelope::internal(Command::SetDrain(drain)));
    }
    let drain = SetDrain {
        worker: worker(),
        drain: None,
    };
    round_trip(Envelope {
        request: None,
        fence_term: Some(0),
        principal: None,
        command: Command::SetDrain(drain),
    });
}

fn round_trip(envelope: Envelope) {
    assert_eq!(decode_envelope(&encode_envelope(&envelope)).unwrap(), envelope);
}

#[test]
fn a_command_of_a_newer_program_is_refused() {
    let known = encode_envelope(&envelope(Command::DeleteTest(DeleteTest { test: test() })));
    // Field 99, an empty message: a command that this program does not know.
    let unknown = Bytes::from_static(&[0x9a, 0x06, 0x00]);
    assert_eq!(
        decode_envelope(&unknown),
        Err(DecodeError::UnknownKind("command"))
    );
    // A known command with a field that it did not have.
    let extended = Bytes::from([known.as_ref(), &[0xf8, 0x7f, 0x01]].concat());
    assert_eq!(
        decode_envelope(&extended),
        Err(DecodeError::NotCanonical("command"))
    );
}

#[test]
fn a_field_that_is_wrong_is_named() {
    let proto = wire::DeleteTest {
        test: Bytes::from_static(&[1, 2]),
    };
    let error = DeleteTest::from_proto(proto).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Length {
            field: "test",
            expected: 16,
            got: 2
        }
    );
    let proto = wire::OutcomeShare {
        outcome: 77,
        share_ppm: 1,
    };
    let error = OutcomeShare::from_proto(proto).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Unknown {
            field: "outcome",
            value: 77
        }
    );
}

/// One of every record, everything optional set.
fn rows() -> Vec<Row> {
    let timeline = vec![
        TimelineEntry {
            status: RunStatus::Pending,
            at: Time(1),
            reason: None,
        },
        TimelineEntry {
            status: RunStatus::CannotRunForNow,
            at: Time(2),
            reason: Some(reason()),
        },
    ];
    let assignment = AssignmentKey {
        run: run(),
        ordinal: 4,
    };
    let outcomes = [0; 8];
    let chunk = EndpointChunk::restore(vec![1, 8, 6], vec![0, 7, 0]).unwrap();
    vec![
        Row::Test(Arc::new(Test {
            id: test(),
            project: ProjectName::from("team"),
            version: 3,
            definition: definition(),
            created_at: Time(10),
            updated_at: Time(11),
            created_by: Some(key()),
            revision: Revision(12),
        })),
        Row::Run(Arc::new(Run {
            id: run(),
            test: test(),
            project: ProjectName::from("team"),
            test_version: 3,
            definition: definition(),
            life: RunLife::restore(timeline).unwrap(),
            created_at: Time(1),
            queue_deadline: Some(Time(2)),
            ready_deadline: Some(Time(3)),
            start_at: Some(Time(4)),
            execution_deadline: Some(Time(5)),
            stop_requested_at: Some(Time(6)),
            stop_deadline: Some(Time(0)),
            assignments: 2,
            replacements: 1,
            explanation: Some(explanation()),
            credits_reserved: Some(20),
            credits_used: Some(0),
            probe: Some(ProbeId::from_bytes([20; 16])),
            created_by: Some(key()),
            revision: Revision(13),
        })),
        Row::Assignment(Arc::new(Assignment {
            key: assignment,
            worker: worker(),
            group: 1,
            first: 2,
            count: 3,
            epoch: AssignmentEpoch(4),
            life: AssignmentLife::restore(AssignmentStatus::Stopping),
            started: true,
            lost: true,
            interrupted: 2,
            start_late: Some(Millis(900)),
            late: vec![EndpointReport {
                offset: 1,
                phase: EndpointPhase::Incall,
                outcome: None,
            }],
            late_left_out: 4,
            detail: Some("late".to_owned()),
            acked_seq: 5,
            counts: EndpointCounts {
                phases: [1, 0, 0, 0, 0, 1, 0, 1],
                outcomes,
            },
            revision: Revision(14),
        })),
        Row::Chunk(ChunkKey { assignment, chunk: 9 }, Arc::new(chunk)),
        Row::Worker(Arc::new(full_worker())),
        Row::Request(Arc::new(RequestRecord {
            key: key(),
            hash: [8; 32],
            object: ObjectRef::Run(run()),
            created: true,
            revision: Revision(15),
            expires_at: Some(Time(16)),
        })),
        Row::Event(Arc::new(event(WorkerEventKind::Connected))),
        Row::Key(Arc::new(ApiKey {
            id: key_id(),
            name: "ci".to_owned(),
            role: Role::Worker,
            project: "blue".to_owned(),
            hash: KeyHash([6; 32]),
            created_at: Time(17),
            expires_at: Some(Time(18)),
            revoked_at: Some(Time(0)),
            created_by: Some(key()),
            revision: Revision(19),
        })),
        Row::Project(Arc::new(project_row())),
    ]
    .into_iter()
    .chain(evidence_rows())
    .chain(probe_rows())
    .chain(webhook_rows())
    .chain(sip_rows())
    .collect()
}

fn full_worker() -> Worker {
    let facts = Facts {
        link: LinkFact {
            link: Link::Up,
            reason: "hello".to_owned(),
            since: Time(1),
        },
        health: HealthFact {
            issues: vec![HealthIssue {
                resource: Resource::Cpu,
                percent: 99,
            }],
            since: Time(2),
        },
        drain: Some(Drain {
            actor: DrainActor::Worker(Incarnation([5; 16])),
            reason: "SIGTERM".to_owned(),
            deadline: Time(3),
            then: AfterDrain::Disconnect,
            since: Time(4),
        }),
        credential_rejected: Some(CredentialRejected {
            reason: "revoked".to_owned(),
            since: Time(5),
        }),
        deleted_at: Some(Time(6)),
    };
    let incarnation = Incarnation([5; 16]);
    Worker {
        id: worker(),
        name: "w".to_owned(),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu".to_owned(),
        labels: labels(),
        configured_capacity: Some(0),
        reported_capacity: Some(7),
        sip_capacity: Some(6),
        token_hash: Some(TokenHash([4; 32])),
        token_expires_at: Some(Time(10)),
        function_blocks: function_blocks(),
        version: "1.2.3".to_owned(),
        ip_address: "2001:db8::1".to_owned(),
        registered_by: Some(KeyId::from_bytes([6; 16])),
        flaps: 11,
        events: 12,
        facts,
        session: Some(Session {
            epoch: SessionEpoch(2),
            node: NodeId(1),
            incarnation,
            since: Time(7),
        }),
        last_epoch: SessionEpoch(3),
        attempt: None,
        created_at: Time(8),
        created_by: Some(key()),
        revision: Revision(9),
    }
}

#[test]
fn every_record_comes_back_from_its_bytes() {
    for row in rows() {
        assert_eq!(row_from_bytes(&row_to_bytes(&row)).unwrap(), row);
    }
}

#[test]
fn no_two_requests_share_a_key() {
    let row = |caller: &str, request_id: &str| {
        let key = RequestKey {
            caller: caller.into(),
            request_id: request_id.into(),
        };
        let object = ObjectRef::Test(test());
        let revision = Revision(1);
        Row::Request(Arc::new(RequestRecord {
            key,
            hash: [0; 32],
            object,
            created: false,
            revision,
            expires_at: None,
        }))
    };
    assert_ne!(key_of(&row("ab", "c")), key_of(&row("a", "bc")));
}

fn refusals() -> Vec<Refusal> {
    let (kind, id) = (ObjectKind::Worker, "x".to_owned());
    let placement = |fault| Refusal::Placement(fault);
    vec![
        Refusal::NotFound { kind, id: id.clone() },
        Refusal::AlreadyExists {
            kind: ObjectKind::Test,
            name: "n".to_owned(),
        },
        Refusal::RequestIdReused {
            request_id: "r".to_owned(),
        },
        Refusal::Invalid {
            violations: vec![FieldViolation {
                field: "a.b".to_owned(),
                rule: "must be".to_owned(),
            }],
        },
        Refusal::WrongStatus {
            kind: ObjectKind::Run,
            id: id.clone(),
            status: "S".to_owned(),
            allowed: vec!["A".to_owned()],
        },
        Refusal::TestInUse {
            id: id.clone(),
            runs: 2,
        },
        Refusal::Stale {
            kind: ObjectKind::Assignment,
            id,
            planned: Revision(1),
            actual: Revision(2),
        },
        Refusal::StaleTerm {
            fence_term: 1,
            term: 2,
        },
        Refusal::SessionOver {
            worker: worker(),
            epoch: SessionEpoch(1),
        },
        Refusal::TokenRejected,
        Refusal::EpochOver {
            run: run(),
            epoch: AssignmentEpoch(1),
            confirm: true,
            acked_seq: 4,
        },
        Refusal::ReportOutOfOrder { seq: 3, expected: 2 },
        Refusal::ReportInvalid {
            rule: "no".to_owned(),
        },
        placement(PlacementFault::UnknownWorker(worker())),
        placement(PlacementFault::NotOnline {
            worker: worker(),
            status: WorkerStatus::Draining,
        }),
        placement(PlacementFault::SelectorMismatch {
            worker: worker(),
            group: 1,
        }),
        placement(PlacementFault::CapacityExceeded {
            worker: worker(),
            free: 1,
            asked: 2,
        }),
        placement(PlacementFault::NotCovered { group: 0 }),
        placement(PlacementFault::NotWithdrawable { ordinal: 0 }),
        Refusal::NotYet {
            run: run(),
            rule: "not ready".to_owned(),
        },
        Refusal::ClusterVersion {
            version: 3,
            in_force: 2,
            known: 1,
        },
    ]
    .into_iter()
    .chain(registry_refusals())
    .chain(project_refusals())
    .chain(sip_refusals())
    .chain(probe_refusals())
    .collect()
}

#[test]
fn every_answer_comes_back_from_its_bytes() {
    let resumed = vec![Resumed {
        run: run(),
        epoch: AssignmentEpoch(1),
        acked_seq: 2,
    }];
    let replies = [
        Reply::Done,
        Reply::Object {
            object: ObjectRef::Worker(worker()),
            created: true,
            replayed: true,
        },
        Reply::Object {
            object: ObjectRef::Key(key_id()),
            created: false,
            replayed: false,
        },
        Reply::Object {
            object: ObjectRef::Webhook(webhooks::webhook()),
            created: true,
            replayed: false,
        },
        Reply::Session(SessionGrant {
            worker: worker(),
            epoch: SessionEpoch(1),
            resumed,
        }),
        Reply::Reported { acked_seq: 0 },
    ];
    let results = replies.into_iter().map(Ok).chain(refusals().into_iter().map(Err));
    for result in results {
        let applied = Applied {
            revision: Revision(5),
            result,
        };
        let bytes = applied.to_proto().encode_to_vec();
        let proto = wire::Applied::decode(bytes.as_slice()).unwrap();
        assert_eq!(Applied::from_proto(proto).unwrap(), applied);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_come_back_the_same(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        if let Ok(envelope) = decode_envelope(&bytes) {
            prop_assert_eq!(encode_envelope(&envelope), bytes);
        }
    }

    #[test]
    fn a_damaged_command_is_refused_or_comes_back_the_same(
        which in 0..COMMANDS,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let command = commands().swap_remove(which);
        let mut bytes = encode_envelope(&envelope(command)).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(envelope) = decode_envelope(&bytes) {
            prop_assert_eq!(encode_envelope(&envelope), bytes);
        }
    }

    #[test]
    fn any_worker_comes_back(name in ".*", region in ".*", capacity in any::<Option<u32>>(), token in any::<[u8; 32]>()) {
        let command = Command::CreateWorker(CreateWorker {
            id: worker(),
            name: name.clone(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: region.clone(),
            labels: BTreeMap::from([(name, region)]),
            capacity,
            token_hash: TokenHash(token),
            token_ttl: None,
        });
        let envelope = envelope(command);
        prop_assert_eq!(decode_envelope(&encode_envelope(&envelope)).unwrap(), envelope);
    }

    #[test]
    fn any_progress_comes_back(reports in prop::collection::vec((any::<u32>(), 1..=8_u8, 0..=8_u8), 0..50)) {
        let reports = reports.into_iter().map(|(offset, phase, outcome)| EndpointReport {
            offset,
            phase: EndpointPhase::from_byte(phase).unwrap(),
            outcome: EndpointOutcome::from_byte(outcome),
        });
        let event = ReportEvent::Progress(reports.collect());
        let report = Report { worker: worker(), run: run(), epoch: AssignmentEpoch(1), seq: 1, event };
        let envelope = envelope(Command::Report(report));
        prop_assert_eq!(decode_envelope(&encode_envelope(&envelope)).unwrap(), envelope);
    }
}
