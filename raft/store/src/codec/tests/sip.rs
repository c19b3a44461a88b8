//! SIP endpoints and their resources: what they are in bytes.

use super::*;

fn executor() -> SipExecutor {
    SipExecutor {
        registrar: "lab".to_owned(),
        accounts: "pool".to_owned(),
        uri: None,
        codecs: SipCodec::ALL.to_vec(),
        media: None,
        packet_loss_concealment: true,
        answer_timeout: Millis(32_000),
        ring: Millis(0),
        register_expires: Millis(600_000),
        register_buildup: None,
        actions: Vec::new(),
        trace_credentials: false,
    }
}

fn name(name: &str) -> ScopedName {
    ScopedName::new(&ProjectName::from("blue"), name)
}

fn secret() -> SealedSecret {
    SealedSecret {
        key_id: [9; 8],
        sealed: vec![1, 2, 3],
    }
}

pub(super) fn sip_commands() -> Vec<Command> {
    vec![
        Command::PutRegistrar(PutRegistrar {
            key: name("lab"),
            domain: "lab.example".to_owned(),
            host: Some("10.0.0.1".to_owned()),
            port: Some(5070),
            transport: SipTransport::Tcp,
            outbound_proxy: Some("sip:p".to_owned()),
        }),
        Command::DeleteRegistrar(DeleteRegistrar { key: name("lab") }),
        Command::PutAccounts(PutAccounts {
            pool: name("pool"),
            accounts: vec![
                NewAccount {
                    username: "1001".into(),
                    secret: Some(secret()),
                    realm: Some("r".to_owned()),
                },
                NewAccount {
                    username: "1002".into(),
                    secret: None,
                    realm: None,
                },
            ],
        }),
        Command::DeleteAccounts(DeleteAccounts {
            pool: name("pool"),
            usernames: vec!["1001".into()],
        }),
        Command::PutMedia(PutMedia {
            key: name("hello"),
            sha256: [7; 32],
            bytes: 8_044,
            duration_ms: 1_000,
        }),
        Command::DeleteMedia(DeleteMedia { key: name("hello") }),
    ]
}

pub(super) fn sip_rows() -> Vec<Row> {
    vec![
        Row::Registrar(Arc::new(Registrar {
            key: name("lab"),
            domain: "lab.example".to_owned(),
            host: None,
            port: None,
            transport: SipTransport::Udp,
            outbound_proxy: None,
            created_at: Time(1),
            updated_at: Time(2),
            created_by: Some(key()),
            revision: Revision(3),
        })),
        Row::SipAccount(Arc::new(SipAccount {
            key: SipAccountKey {
                pool: name("pool"),
                username: "1001".into(),
            },
            secret: Some(secret()),
            realm: None,
            updated_at: Time(2),
            revision: Revision(3),
        })),
        Row::SipLease(Arc::new(SipLease {
            key: SipLeaseKey { run: run(), group: 1 },
            pool: name("pool"),
            usernames: vec!["1001".into(), "1003".into()],
            revision: Revision(4),
        })),
        Row::Media(Arc::new(MediaFile {
            key: name("hello"),
            sha256: [7; 32],
            bytes: 8_044,
            duration_ms: 1_000,
            created_at: Time(1),
            updated_at: Time(2),
            created_by: None,
            revision: Revision(5),
        })),
    ]
}

pub(super) fn sip_refusals() -> Vec<Refusal> {
    let (group, project) = ("g".to_owned(), ProjectName::from("blue"));
    let faults = [
        SipFault::NoRegistrar {
            group: group.clone(),
            registrar: "lab".to_owned(),
            project: project.clone(),
        },
        SipFault::NoMedia {
            group: group.clone(),
            media: "hello".to_owned(),
            project: ProjectName::default(),
        },
        SipFault::TooFewAccounts {
            group,
            pool: "pool".to_owned(),
            project,
            needed: 5,
            total: 4,
            free: 3,
            in_use: 1,
            runs: vec![run()],
        },
    ];
    let in_use = Refusal::InUse {
        kind: ObjectKind::Registrar,
        name: "lab".to_owned(),
        by: "run".to_owned(),
    };
    faults
        .map(Refusal::SipUnavailable)
        .into_iter()
        .chain([in_use])
        .collect()
}

#[test]
fn what_a_request_was_about_comes_back() {
    for object in [
        ObjectRef::Registrar(name("lab")),
        ObjectRef::AccountPool(name("pool")),
        ObjectRef::Media(ScopedName::new(&ProjectName::default(), "hello")),
    ] {
        assert_eq!(ObjectRef::from_proto(object.to_proto()).unwrap(), object);
    }
}

#[test]
fn no_two_names_share_a_key_on_disk() {
    let (Row::Registrar(registrar), Row::SipAccount(account)) = (&sip_rows()[0], &sip_rows()[1]) else {
        panic!("the rows are in another order")
    };
    let of_project = |project: &str, name: &str| {
        key_of(&Row::Registrar(Arc::new(Registrar {
            key: ScopedName::new(&ProjectName::from(project), name),
            ..Registrar::clone(registrar)
        })))
    };
    assert_ne!(of_project("a", "bc"), of_project("ab", "c"));
    let of_pool = |pool: &str, username: &str| {
        key_of(&Row::SipAccount(Arc::new(SipAccount {
            key: SipAccountKey {
                pool: name(pool),
                username: username.into(),
            },
            ..SipAccount::clone(account)
        })))
    };
    assert_ne!(of_pool("a", "bc"), of_pool("ab", "c"));
}

#[test]
fn the_bytes_of_sip_endpoints_never_change() {
    let plain = executor();
    assert_eq!(
        hex(&plain.to_proto().encode_to_vec()),
        "0a036c61621204706f6f6c2202010230013880fa0148c0cf24"
    );
    let full = SipExecutor {
        uri: Some("sip:x@y".to_owned()),
        media: Some("m".to_owned()),
        ring: Millis(1),
        actions: vec![
            SipAction {
                at: Millis(1),
                deed: SipDeed::Dtmf("1#".to_owned()),
            },
            SipAction {
                at: Millis(2),
                deed: SipDeed::Hold(true),
            },
            SipAction {
                at: Millis(2),
                deed: SipDeed::Hold(false),
            },
        ],
        trace_credentials: true,
        ..plain
    };
    assert_eq!(
        hex(&full.to_proto().encode_to_vec()),
        "0a036c61621204706f6f6c1a077369703a784079220201022a016d30013880fa01400148c0cf2452060801120231235204080218015204080218005801"
    );
    assert_eq!(SipExecutor::from_proto(full.to_proto()).unwrap(), full);
}

#[test]
fn a_definition_of_calls_comes_back() {
    let mut definition = TestDefinition::clone(&definition());
    definition.groups[1].executor = Executor::Sip(executor());
    round_trip(Envelope::internal(Command::ApplyTest(ApplyTest {
        id: test(),
        definition: Arc::new(definition),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    })));
}

#[test]
fn an_unknown_codec_or_action_is_not_taken_for_another() {
    let mut proto = executor().to_proto();
    proto.codecs.push(3);
    assert!(SipExecutor::from_proto(proto).is_err());
    let mut proto = executor().to_proto();
    proto.actions.push(wire::SipAction {
        at_ms: 1,
        action: None,
    });
    assert!(SipExecutor::from_proto(proto).is_err());
}
