//! An offer that cannot be kept is refused with field and rule.
#![allow(clippy::unwrap_used)]

use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::{Offer, SipCredentials};

use super::*;

fn offer() -> SipOffer {
    let account = |user: &str| SipCredentials {
        username: user.into(),
        secret: "s".into(),
        realm: String::new(),
    };
    SipOffer {
        registrar: Some(SipRegistrar {
            domain: "example.org".into(),
            host: "127.0.0.1".into(),
            port: 5090,
            ..SipRegistrar::default()
        }),
        accounts: vec![account("a"), account("b")],
        targets: vec!["sip:x@example.org".into(), "sip:y@example.org".into()],
        ..SipOffer::default()
    }
}

fn plans(offer: SipOffer) -> Result<Plans, String> {
    let work = Work::from_offer(Offer {
        run_id: "01-ab".into(),
        epoch: 3,
        group: "callers".into(),
        endpoints: 2,
        group_endpoints: 2,
        duration_ms: 5_000,
        executor: Some(Spec::Sip(offer.clone())),
        ..Offer::default()
    });
    Plans::of(&offer, &work.unwrap())
}

#[test]
fn each_endpoint_has_its_account_and_its_target() {
    let plans = plans(offer()).unwrap();
    let second = plans.plan(1, "127.0.0.1:5090".parse().unwrap(), Source::Tone);
    assert_eq!(second.account.username, "b");
    assert!(matches!(second.role, Role::Caller { target, .. } if target == "sip:y@example.org"));
    assert_eq!(second.register, Some(REGISTER_EXPIRES));
    assert_eq!(plans.user(&AssignmentKey::new("01-ab", 3), 1), "r01ab-3-1");
}

#[test]
fn without_targets_they_wait_and_without_a_registration_they_do_not_register() {
    let waiting = plans(SipOffer {
        targets: Vec::new(),
        without_registration: true,
        wait_ms: 9_000,
        ..offer()
    })
    .unwrap();
    let first = waiting.plan(0, "127.0.0.1:5090".parse().unwrap(), Source::Tone);
    assert!(matches!(first.role, Role::Receiver { wait, .. } if wait == Duration::from_secs(9)));
    assert_eq!(first.register, None);
    assert!(!waiting.calls());
}

#[test]
fn an_offer_that_cannot_be_kept_names_field_and_rule() {
    type Spoil = fn(&mut SipOffer);
    let bad: [(&str, Spoil); 8] = [
        ("sip.registrar", |offer| offer.registrar = None),
        ("sip.registrar.domain", |offer| {
            offer.registrar.as_mut().unwrap().domain.clear()
        }),
        ("sip.registrar.transport", |offer| {
            offer.registrar.as_mut().unwrap().transport = 9
        }),
        ("sip.accounts", |offer| drop(offer.accounts.pop())),
        ("sip.targets", |offer| drop(offer.targets.pop())),
        ("sip.codecs", |offer| offer.codecs = vec![9]),
        ("sip.actions[0]", |offer| {
            offer.actions = vec![SipAction::default()]
        }),
        ("sip.actions[0].dtmf", |offer| {
            offer.actions = vec![SipAction {
                at_ms: 1,
                action: Some(Wish::Dtmf("12x".into())),
            }];
        }),
    ];
    for (field, spoil) in bad {
        let mut offer = offer();
        spoil(&mut offer);
        let rule = plans(offer).err().unwrap();
        assert!(rule.starts_with(&format!("{field}: ")), "{rule}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let mut unknown = offer();
    unknown.registrar.as_mut().unwrap().host = "no.such.host.invalid".into();
    let why = plans(unknown).unwrap().next_hop().await.unwrap_err();
    assert!(why.contains("no.such.host.invalid"), "{why}");
    assert_eq!(
        plans(offer()).unwrap().next_hop().await,
        Ok("127.0.0.1:5090".parse().unwrap())
    );
}

#[tokio::test]
async fn an_outbound_proxy_is_where_everything_goes_first() {
    let mut behind = offer();
    let registrar = behind.registrar.as_mut().unwrap();
    registrar.host = "no.such.host.invalid".into();
    registrar.outbound_proxy = "sip:127.0.0.1:5099".into();
    let plans = plans(behind).unwrap();
    assert_eq!(plans.next_hop().await, Ok("127.0.0.1:5099".parse().unwrap()));
    let plan = plans.plan(0, "127.0.0.1:5099".parse().unwrap(), Source::Tone);
    assert_eq!(plan.registrar.route.as_deref(), Some("sip:127.0.0.1:5099"));
}
