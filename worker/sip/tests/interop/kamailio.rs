//! Registration and calls through a registrar that asks for credentials and stays in the route.

use std::time::Duration;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};

use reeve_media::Digit;
use reeve_sip::plan::{Action, Deed, Role};
use reeve_sip::tap::Way;

use crate::given::{Endpoint, caller, kamailio, plan, receiver, start, us};

/// Covers: R139, R142.
#[tokio::test]
async fn a_caller_and_a_receiver_talk_through_the_proxy() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut alice = start(&us, plan(peer.address, "alice", caller("sip:bob@demo.example")));
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", alice.lines());
    let (outcome, why) = bob.end().await;
    assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", bob.lines());

    use Phase::{Calling, Closed, Disconnecting, Incall, Initializing, Negotiating, Registered, Ringing};
    let all = [
        Initializing,
        Registered,
        Calling,
        Ringing,
        Negotiating,
        Incall,
        Disconnecting,
    ];
    assert!(alice.phases.starts_with(&all), "{:?}", alice.phases);
    assert!(!alice.phases.contains(&Closed), "the last word says it");

    // Each has its own messages, although both are on one socket.
    let of = |endpoint: &Endpoint, way, start: &str| {
        let messages = endpoint.trace.iter().filter(|message| message.way == way);
        messages
            .filter(|message| message.bytes.starts_with(start.as_bytes()))
            .count()
    };
    let (sent, received) = (Way::Sent, Way::Received);
    assert_eq!(
        (of(&alice, sent, "INVITE "), of(&alice, received, "INVITE ")),
        (2, 0),
        "{:#?}",
        alice.lines()
    );
    assert_eq!(
        (of(&bob, sent, "INVITE "), of(&bob, received, "INVITE ")),
        (0, 1),
        "{:#?}",
        bob.lines()
    );
    assert_eq!((of(&alice, sent, "BYE "), of(&bob, received, "BYE ")), (1, 1));

    let figures = alice.closed.as_ref().unwrap().figures;
    assert_eq!(figures.code, Some(200));
    assert!(figures.ring.unwrap() >= Duration::from_millis(200), "{figures:?}");
    assert!(
        figures.auth.is_some() && figures.pdd.unwrap() < figures.setup.unwrap(),
        "{figures:?}"
    );
    let talked = figures.duration.unwrap();
    assert!(
        talked >= Duration::from_secs(3) && talked < Duration::from_secs(8),
        "{talked:?}"
    );
    assert!(
        alice.lines().iter().any(|line| line.starts_with("SIP/2.0 407")),
        "the challenge is in the trace"
    );
}

/// Covers: R163.
#[tokio::test]
async fn a_wrong_password_is_a_failed_registration() {
    let (peer, us) = (kamailio().await, us().await);
    let mut wrong = plan(peer.address, "alice", receiver());
    wrong.account.secret = "guess".into();
    let mut alice = start(&us, wrong);
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::RegistrationFailed);
    assert_eq!(why, "registrar: 401 again after credentials were sent");
    assert_eq!(alice.phases, [Phase::Initializing]);
}

/// Covers: R165.
#[tokio::test]
async fn somebody_who_is_not_there_is_a_failed_call() {
    let (peer, us) = (kamailio().await, us().await);
    let mut alice = start(
        &us,
        plan(peer.address, "alice", caller("sip:nobody@demo.example")),
    );
    assert_eq!(alice.end().await, (Outcome::CallFailed, "INVITE: 404".to_owned()));
    let figures = alice.closed.unwrap().figures;
    assert!(figures.seized && figures.pdd.is_none() && figures.setup.is_none());
}

#[tokio::test]
async fn a_registration_shorter_than_the_registrar_wants_is_asked_for_again() {
    let (peer, us) = (kamailio().await, us().await);
    let mut brief = plan(peer.address, "bob", receiver());
    brief.register = Some(Duration::from_secs(10));
    let mut bob = start(&us, brief);
    bob.until(Phase::Registered).await;
    bob.hang_up(None);
    let (outcome, why) = bob.end().await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::CompletedWithWarnings, "stopped before its call")
    );
    let lines = bob.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("SIP/2.0 423")) || lines.len() >= 4,
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_call_that_is_told_to_hang_up_says_goodbye() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut long = plan(peer.address, "alice", caller("sip:bob@demo.example"));
    long.duration = Duration::from_secs(600);
    let mut alice = start(&us, long);
    alice.until(Phase::Incall).await;
    alice.hang_up(Some(Outcome::Timeout));
    assert_eq!(alice.end().await.0, Outcome::Timeout);
    let (outcome, why) = bob.end().await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::CompletedWithWarnings, "the other side hung up early")
    );
}

#[tokio::test]
async fn a_caller_holds_resumes_and_presses_keys() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let at = |ms, what| Action {
        at: Duration::from_millis(ms),
        what,
    };
    let keys = ['1', '2', '#'].map(|key| Digit::try_from(key).unwrap());
    let role = Role::Caller {
        target: "sip:bob@demo.example".into(),
        answer_timeout: Duration::from_secs(20),
        actions: vec![
            at(300, Deed::Hold),
            at(1_000, Deed::Resume),
            at(1_400, Deed::Dtmf(keys.into())),
        ],
    };
    let mut alice = start(&us, plan(peer.address, "alice", role));
    let (outcome, why) = alice.end().await;
    assert!(!why.contains("hold"), "{why}: {:#?}", alice.lines());
    assert!(
        matches!(outcome, Outcome::Success | Outcome::CompletedWithWarnings),
        "{why}"
    );
    bob.end().await;
    let of = |endpoint: &Endpoint| endpoint.closed.as_ref().unwrap().media.clone().unwrap();
    let (alice, bob) = (of(&alice), of(&bob));
    assert_eq!((alice.dtmf_sent, bob.dtmf_received), (3, 3));
    // Held for 0.7 s of 3, in which only she sends.
    assert!(
        bob.tx_due + 20 < alice.tx_due,
        "{} of {}",
        bob.tx_due,
        alice.tx_due
    );
}

/// Covers: R163.
#[tokio::test]
async fn a_registrar_that_is_down_and_a_callee_that_says_nothing_are_silence_not_a_408() {
    let us = us().await;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let mut alice = start(&us, plan(address, "alice", receiver()));
    let mut direct = plan(address, "bob", caller(&format!("sip:x@{address}")));
    direct.register = None;
    let mut bob = start(&us, direct);
    let (first, second) = tokio::join!(alice.end(), bob.end());
    assert_eq!(
        first,
        (Outcome::RegistrationFailed, "registrar: no response".to_owned())
    );
    assert_eq!(second, (Outcome::Timeout, "INVITE: no response".to_owned()));
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_by_way_of_the_proxy() {
    let (peer, us) = (kamailio().await, us().await);
    let slow = Role::Receiver {
        ring: Duration::from_secs(60),
        wait: Duration::from_secs(30),
    };
    let mut bob = start(&us, plan(peer.address, "bob", slow));
    bob.until(Phase::Registered).await;
    let role = Role::Caller {
        target: "sip:bob@demo.example".into(),
        answer_timeout: Duration::from_millis(500),
        actions: Vec::new(),
    };
    let mut alice = start(&us, plan(peer.address, "alice", role));
    assert_eq!(
        alice.end().await,
        (Outcome::Timeout, "INVITE: not answered in time".to_owned())
    );
    assert_eq!(
        alice.closed.as_ref().unwrap().figures.code,
        Some(487),
        "{:#?}",
        alice.lines()
    );
    let (outcome, why) = bob.end().await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::CallFailed, "the caller gave up before it was answered")
    );
}

#[tokio::test]
async fn a_receiver_hangs_up_by_way_of_the_proxy() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut long = plan(peer.address, "alice", caller("sip:bob@demo.example"));
    long.duration = Duration::from_secs(600);
    let mut alice = start(&us, long);
    alice.until(Phase::Incall).await;
    bob.until(Phase::Incall).await;
    bob.hang_up(None);
    let (outcome, why) = bob.end().await;
    assert!(
        matches!(outcome, Outcome::Success | Outcome::CompletedWithWarnings),
        "{why}: {:#?}",
        bob.lines()
    );
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::CompletedWithWarnings);
    assert!(why.contains("the other side hung up early"), "{why}");
}

#[tokio::test]
async fn calls_pass_an_outbound_proxy() {
    let (peer, us) = (kamailio().await, us().await);
    let behind = |user: &str, role| {
        let mut plan = plan(peer.address, user, role);
        plan.registrar.route = Some(format!("sip:{}", peer.address));
        plan
    };
    let mut bob = start(&us, behind("bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut alice = start(&us, behind("alice", caller("sip:bob@demo.example")));
    let (outcome, why) = alice.end().await;
    assert!(
        matches!(outcome, Outcome::Success | Outcome::CompletedWithWarnings),
        "{why}: {:#?}",
        alice.lines()
    );
    let invite = alice
        .trace
        .iter()
        .find(|message| message.bytes.starts_with(b"INVITE "));
    let invite = String::from_utf8_lossy(&invite.unwrap().bytes).into_owned();
    assert!(
        invite.contains(&format!("Route: <sip:{};lr>", peer.address)),
        "{invite}"
    );
    bob.end().await;
}
