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
        actions: Vec::new(),
        trace_credentials: false,
    }
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
