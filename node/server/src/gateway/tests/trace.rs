//! Traces: who has them, and who is waited for.

use std::collections::BTreeMap;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, NewAccount, PutAccounts, PutRegistrar};
use reeve_state::id::{ProjectName, RunId, ScopedName};
use reeve_state::record::{
    Executor, Group, SealedSecret, Selector, SimExecutor, SipCodec, SipExecutor, SipTransport,
};
use reeve_state::time::Millis;

use super::evidence::chunk;
use super::fake::{Fake, READY, hello, report};
use super::world::{World, patient};
use crate::api::trace::ordinals;
use crate::error::ApiError;
use crate::evidence::{GapReason, gaps};

fn scoped(name: &str) -> ScopedName {
    ScopedName::new(&ProjectName::default(), name)
}

fn group(name: &str, executor: Executor) -> Group {
    Group {
        name: name.to_owned(),
        endpoints: 2,
        selector: Selector::default(),
        callee: None,
        executor,
    }
}

fn sip() -> Executor {
    Executor::Sip(SipExecutor {
        registrar: "lab".into(),
        accounts: "pool".into(),
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
    })
}

fn sim() -> Executor {
    Executor::Sim(SimExecutor {
        setup_min: Millis(10),
        setup_max: Millis(20),
        outcomes: Vec::new(),
        quality: None,
    })
}

/// A registrar, and accounts whose secrets nobody can read; what the worker makes of that is not the subject.
async fn lab(world: &World) {
    let registrar = PutRegistrar {
        key: scoped("lab"),
        domain: "lab.example".to_owned(),
        host: None,
        port: None,
        transport: SipTransport::Udp,
        outbound_proxy: None,
    };
    world.propose(Command::PutRegistrar(registrar)).await.unwrap();
    let account = |username: &str| NewAccount {
        username: username.into(),
        secret: Some(SealedSecret {
            key_id: [1; 8],
            sealed: vec![2; 48],
        }),
        realm: None,
    };
    let accounts = PutAccounts {
        pool: scoped("pool"),
        accounts: ["1", "2"].map(account).to_vec(),
    };
    world.propose(Command::PutAccounts(accounts)).await.unwrap();
}

/// Gaps by assignment: the reason, and what of.
fn missing(state: &State, run: RunId) -> Vec<(u32, GapReason, String)> {
    let all = gaps(state, run).into_iter();
    all.map(|gap| (gap.ordinal, gap.reason, gap.detail)).collect()
}

// Covers: R154, R172, R178
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_waited_for_where_endpoints_are_sip_and_only_there() {
    let world = World::start(patient()).await;
    lab(&world).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let groups = vec![group("phones", sip()), group("bots", sim())];
    let run = world.run_of("t1", groups).await;
    let offers = [fake.hear_offer().await, fake.hear_offer().await];
    for offer in &offers {
        fake.say(report(offer, 1, READY)).await;
    }
    let started = |state: &State| {
        state
            .assignments(run)
            .filter(|assignment| assignment.started)
            .count()
            == 2
    };
    world.until("both started", started).await;
    let mut client = world.client().await;
    for offer in &offers {
        for kind in [v1::EvidenceKind::Metrics, v1::EvidenceKind::Events] {
            client.put_chunk(chunk(&token, offer, kind, "")).await.unwrap();
        }
    }
    let state = world.context.store.local();
    let by_name: BTreeMap<&str, &v1::Offer> =
        offers.iter().map(|offer| (offer.group.as_str(), offer)).collect();
    let phones = by_name["phones"];
    let ordinal = u32::try_from(phones.epoch).unwrap() - 1;
    let expected = (ordinal, GapReason::NotYet, "trace are still measured".to_owned());
    assert_eq!(
        missing(&state, run),
        [expected],
        "a worker that sends none is told of"
    );
    let text = "{\"at\":1,\"group\":\"phones\",\"endpoint\":0,\"detail\":\"\"}\n";
    let trace = chunk(&token, phones, v1::EvidenceKind::Trace, text);
    client.put_chunk(trace).await.unwrap();
    let state = world.context.store.local();
    assert_eq!(missing(&state, run), []);
    assert_eq!(state.manifests(run).count(), 5);

    let asked = |group: &str, endpoint| {
        let request = v1::GetRunTraceRequest {
            group: group.to_owned(),
            endpoint,
            ..Default::default()
        };
        ordinals(&state, state.run(run).unwrap(), &request)
    };
    assert_eq!(asked("", None).unwrap(), [ordinal]);
    assert_eq!(asked("phones", Some(1)).unwrap(), [ordinal]);
    for (group, endpoint, field, rule) in [
        ("", Some(0), "group", "is required with endpoint"),
        ("bots", None, "group", "\"bots\" has no traces"),
        ("nobody", None, "group", "\"nobody\" is not one of phones, bots"),
        ("phones", Some(2), "endpoint", "must be less than 2"),
    ] {
        let ApiError::Invalid(violations) = asked(group, endpoint).unwrap_err() else {
            panic!("{group} is no valid request")
        };
        assert_eq!(violations[0].field, field);
        assert!(violations[0].rule.contains(rule), "{}", violations[0].rule);
    }
}
