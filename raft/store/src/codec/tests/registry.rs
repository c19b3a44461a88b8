//! The registry's commands, refusals and rows, and callers' keys.

use super::*;

pub(super) fn registry_commands() -> Vec<Command> {
    vec![
        Command::RegisterWorker(RegisterWorker {
            id: worker(),
            name: "p".to_owned(),
            version: "1.2.3".to_owned(),
            ip_address: "10.0.0.7".to_owned(),
            function_blocks: function_blocks(),
            region: "eu".to_owned(),
            labels: labels(),
            capacity: Some(0),
        }),
        Command::PingWorker(PingWorker {
            worker: worker(),
            node: NodeId(2),
            health: vec![HealthIssue {
                resource: Resource::Memory,
                percent: 91,
            }],
        }),
        Command::UnregisterWorker(UnregisterWorker { worker: worker() }),
        Command::RegenerateToken(RegenerateToken {
            worker: worker(),
            token_hash: TokenHash([9; 32]),
            token_ttl: Some(Millis(86_400_000)),
        }),
        Command::ExpireToken(ExpireToken { worker: worker() }),
        Command::DeleteWorker(DeleteWorker {
            worker: worker(),
            offline_for: Some(Millis(0)),
            force: true,
        }),
        Command::PurgeWorker(PurgeWorker {
            worker: worker(),
            retention: Millis(604_800_000),
        }),
    ]
}

pub(super) fn key_commands() -> Vec<Command> {
    vec![
        Command::CreateKey(CreateKey {
            id: key_id(),
            name: "ci".to_owned(),
            role: Role::Operator,
            project: "blue".to_owned(),
            hash: KeyHash([6; 32]),
            ttl: Some(Millis(3_600_000)),
            bootstrap: true,
        }),
        Command::RevokeKey(RevokeKey { key: key_id() }),
    ]
}

pub(super) fn function_blocks() -> BTreeSet<String> {
    BTreeSet::from(["acme/dial:1.2.3".to_owned(), "acme/answer:1.0.0".to_owned()])
}

pub(super) fn registry_refusals() -> Vec<Refusal> {
    let mut refusals = vec![
        Refusal::NotFound {
            kind: ObjectKind::Key,
            id: "x".to_owned(),
        },
        Refusal::TokenExpired { worker: worker() },
        Refusal::KeysExist,
        Refusal::LastAdminKey { id: "x".to_owned() },
        Refusal::WorkerBusy {
            worker: worker(),
            assignments: 2,
        },
        Refusal::WorkerOfAnotherKey { worker: worker() },
        Refusal::OtherProject {
            project: "a".to_owned(),
            of_key: "b".to_owned(),
        },
        Refusal::WrongProfile {
            worker: worker(),
            is: LivenessProfile::Session,
            wanted: LivenessProfile::Ping,
        },
    ];
    let faults = [KeyFault::Unknown, KeyFault::Revoked, KeyFault::Expired];
    refusals.extend(faults.map(|reason| Refusal::KeyRejected { reason }));
    for role in Role::ALL {
        refusals.extend(Access::ALL.map(|needs| Refusal::RoleTooLow { role, needs }));
    }
    refusals
}

pub(super) fn event(kind: WorkerEventKind) -> WorkerEvent {
    WorkerEvent {
        key: WorkerEventKey {
            worker: worker(),
            seq: 101,
        },
        at: Time(20),
        kind,
        status_before: Some(WorkerStatus::Online),
        status: WorkerStatus::Unreachable,
        node: Some(NodeId(3)),
        epoch: SessionEpoch(4),
        actor: "reconciler".to_owned(),
        message: "not heard for 120s".to_owned(),
        revision: Revision(21),
    }
}

#[test]
fn a_principal_is_written_where_there_is_one_and_nothing_where_there_is_none() {
    for command in commands() {
        let without = envelope(command);
        let with = Envelope {
            principal: Some(key_id()),
            ..without.clone()
        };
        round_trip(with.clone());
        // Field 1003, sixteen bytes, behind everything that was there before.
        let expected = [
            hex(&encode_envelope(&without)),
            "da3e10".to_owned(),
            "08".repeat(16),
        ]
        .concat();
        assert_eq!(hex(&encode_envelope(&with)), expected);
    }
}

#[test]
fn fields_that_came_later_add_no_bytes_while_they_are_unset() {
    // The golden bytes of CreateWorker and ConnectWorker are older than these fields. Set, they come back as well.
    for command in commands() {
        if let Command::CreateWorker(command) = command {
            let token_ttl = Some(Millis(0));
            round_trip(Envelope::internal(Command::CreateWorker(CreateWorker {
                token_ttl,
                ..command
            })));
        } else if let Command::ConnectWorker(command) = command {
            let version = "2.0.0".to_owned();
            round_trip(Envelope::internal(Command::ConnectWorker(ConnectWorker {
                version,
                attempt: 9,
                sip_capacity: Some(5),
                ..command
            })));
        }
    }
}

#[test]
fn everything_optional_of_the_registry_may_be_unset() {
    let commands = [
        Command::RegisterWorker(RegisterWorker {
            id: worker(),
            name: "p".to_owned(),
            version: String::new(),
            ip_address: String::new(),
            function_blocks: BTreeSet::new(),
            region: String::new(),
            labels: BTreeMap::new(),
            capacity: None,
        }),
        Command::PingWorker(PingWorker {
            worker: worker(),
            node: NodeId(0),
            health: Vec::new(),
        }),
        Command::RegenerateToken(RegenerateToken {
            worker: worker(),
            token_hash: TokenHash([9; 32]),
            token_ttl: None,
        }),
        Command::DeleteWorker(DeleteWorker {
            worker: worker(),
            offline_for: None,
            force: false,
        }),
    ];
    for command in commands {
        round_trip(Envelope::internal(command));
    }
    for role in Role::ALL {
        round_trip(Envelope::internal(Command::CreateKey(CreateKey {
            id: key_id(),
            name: "k".to_owned(),
            role,
            project: "p".to_owned(),
            hash: KeyHash([0; 32]),
            ttl: None,
            bootstrap: false,
        })));
    }
}

#[test]
fn function_blocks_out_of_order_are_not_canonical() {
    let blocks = ["b/b:1.0.0", "a/a:1.0.0"].map(str::to_owned);
    let register = wire::RegisterWorker {
        id: Bytes::copy_from_slice(worker().as_bytes()),
        function_blocks: blocks.to_vec(),
        ..wire::RegisterWorker::default()
    };
    let proto = wire::Envelope {
        command: Some(wire::envelope::Command::RegisterWorker(register)),
        ..wire::Envelope::default()
    };
    let bytes = Bytes::from(proto.encode_to_vec());
    assert_eq!(decode_envelope(&bytes), Err(DecodeError::NotCanonical("command")));
}

#[test]
fn every_kind_of_event_comes_back_and_so_does_one_of_a_worker_never_connected() {
    for kind in WorkerEventKind::ALL {
        for status in WorkerStatus::ALL {
            let row = Row::Event(Arc::new(WorkerEvent {
                status_before: None,
                status,
                node: None,
                epoch: SessionEpoch(0),
                ..event(kind)
            }));
            assert_eq!(row_from_bytes(&row_to_bytes(&row)).unwrap(), row);
        }
    }
}

#[test]
fn rows_of_all_tables_have_keys_of_their_own_and_events_lie_in_order() {
    let keys: BTreeSet<Vec<u8>> = rows().iter().map(|row| key_of(row).to_vec()).collect();
    assert_eq!(keys.len(), rows().len());
    assert!(keys.iter().all(|key| TABLES.contains(&key[0])));
    let at = |seq: u64| {
        let key = WorkerEventKey {
            worker: worker(),
            seq,
        };
        let row = WorkerEvent {
            key,
            ..event(WorkerEventKind::Suspect)
        };
        key_of(&Row::Event(Arc::new(row))).to_vec()
    };
    assert!(at(9) < at(10) && at(255) < at(256) && at(256) < at(u64::MAX));
}

#[test]
fn a_ping_worker_without_a_token_comes_back() {
    let row = Row::Worker(Arc::new(Worker {
        profile: LivenessProfile::Ping,
        token_hash: None,
        token_expires_at: None,
        ..full_worker()
    }));
    assert_eq!(row_from_bytes(&row_to_bytes(&row)).unwrap(), row);
}
