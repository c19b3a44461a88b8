//! By TCP: the same calls, one connection for all of them, and what becomes of it.

use std::net::SocketAddr;
use std::time::Duration;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::plan::{Action, Deed, Role};
use reeve_sip::tap::{Transport, Way};
use reeve_sip::{Carrier, Shared};
use tokio::net::TcpListener;

use crate::given::{
    Endpoint, Peer, caller, folder, kamailio_with, plan, receiver, start, texts, until, us_by,
};
use crate::peer::{SDP, Wire, header, response};
use crate::sipp::{Does, callee_by, calls, listens, uac};

async fn us() -> Shared {
    us_by(Carrier::Tcp).await
}

/// The proxy of the demo, by TCP too.
async fn kamailio() -> Peer {
    let by_tcp = |text: String, port| {
        text.replace("disable_tcp=yes", "disable_tcp=no\ntcp_children=1")
            .replace(
                "listen=udp:",
                &format!("listen=tcp:127.0.0.1:{port}\nlisten=udp:"),
            )
    };
    let peer = kamailio_with(by_tcp, folder()).await;
    listens(peer.address, "tcp").await;
    peer
}

/// The call took place. Who sends no media may be told of that, if it did not for a whole second.
fn good(outcome: Outcome, why: &str, endpoint: &Endpoint) {
    let good = matches!(outcome, Outcome::Success | Outcome::CompletedWithWarnings);
    assert!(good, "{why}: {:#?}", endpoint.lines());
}

/// What the trace has of these, one after the other.
fn bytes(endpoint: &Endpoint, way: Way) -> Vec<u8> {
    let of = endpoint.trace.iter().filter(|message| message.way == way);
    of.flat_map(|message| message.bytes.clone()).collect()
}

/// Covers: R139, R142, R154.
#[tokio::test]
async fn a_caller_and_a_receiver_talk_through_the_proxy_by_tcp() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut alice = start(&us, plan(peer.address, "alice", caller("sip:bob@demo.example")));
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", alice.lines());
    let (outcome, why) = bob.end().await;
    assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", bob.lines());
    for endpoint in [&alice, &bob] {
        for (message, text) in endpoint.trace.iter().zip(texts(endpoint)) {
            assert_eq!(message.transport, Transport::Tcp);
            // One connection: Kamailio finds it by the port that our Contact names.
            assert_eq!((message.local, message.remote), (us.stack.local(), peer.address));
            let via = header(&text, "Via").unwrap();
            assert!(via.starts_with("SIP/2.0/TCP "), "{text}");
            if message.way == Way::Sent && text.starts_with("INVITE ") {
                let contact = format!("@{};transport=TCP>", us.stack.local());
                assert!(header(&text, "Contact").unwrap().ends_with(&contact), "{text}");
            }
        }
    }
    assert_eq!(
        alice
            .trace
            .iter()
            .filter(|message| message.repeats.is_some())
            .count(),
        0
    );
    let figures = alice.closed.unwrap().figures;
    assert!(figures.pdd.unwrap() < figures.setup.unwrap(), "{figures:?}");
}

#[tokio::test]
async fn a_call_by_tcp_is_held_and_hung_up_by_its_receiver_and_another_is_cancelled() {
    let (peer, us) = (kamailio().await, us().await);
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let held = Action {
        at: Duration::from_millis(300),
        what: Deed::Hold,
    };
    let calls = |timeout_ms, actions| {
        let role = Role::Caller {
            target: "sip:bob@demo.example".into(),
            answer_timeout: Duration::from_millis(timeout_ms),
            actions,
        };
        let mut plan = plan(peer.address, "alice", role);
        plan.duration = Duration::from_secs(600);
        plan
    };
    let mut alice = start(&us, calls(20_000, vec![held]));
    alice.until(Phase::Incall).await;
    bob.until(Phase::Incall).await;
    let invites = |endpoint: &Endpoint| {
        let lines = endpoint.lines();
        lines.iter().filter(|line| line.starts_with("INVITE ")).count()
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    bob.hang_up(None);
    let (outcome, why) = bob.end().await;
    good(outcome, &why, &bob);
    assert_eq!(invites(&bob), 2, "the call, and the hold: {:#?}", bob.lines());
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::CompletedWithWarnings);
    assert!(why.contains("hung up early") && !why.contains("hold"), "{why}");

    let mut slow = plan(peer.address, "bob", receiver());
    if let Role::Receiver { ring, .. } = &mut slow.role {
        *ring = Duration::from_secs(60);
    }
    let mut bob = start(&us, slow);
    bob.until(Phase::Registered).await;
    let mut alice = start(&us, calls(500, Vec::new()));
    let gave_up = (Outcome::Timeout, "INVITE: not answered in time".to_owned());
    assert_eq!(alice.end().await, gave_up);
    assert_eq!(alice.closed.unwrap().figures.code, Some(487));
    assert_eq!(bob.end().await.0, Outcome::CallFailed);
}

/// Covers: R154.
#[tokio::test]
async fn the_trace_has_the_bytes_of_a_connection_that_endpoints_share() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, us) = (listener.local_addr().unwrap(), us().await);
    let mut ends = ["alice", "bob"].map(|user| start(&us, plan(address, user, receiver())));
    let mut wire = Wire::accepted(&listener).await;
    let mut said = String::new();
    let mut requests = Vec::new();
    for _ in &ends {
        requests.push(wire.await_message("REGISTER ").await);
    }
    for request in &requests {
        let contact = format!("Contact: {}\r\n", header(request, "Contact").unwrap());
        said.push_str(&response(request, "100 Trying", "X: a\r\n", "a body\r\n\r\n"));
        said.push_str(&response(request, "200 OK", &contact, ""));
    }
    // Four messages, cut where nobody would.
    wire.stammer(&said).await;
    for end in &mut ends {
        end.until(Phase::Registered).await;
        end.hang_up(None);
    }
    for _ in &ends {
        let farewell = wire.await_message("REGISTER ").await;
        let text = response(&farewell, "200 OK", "", "");
        said.push_str(&text);
        wire.say(&text).await;
    }
    let mut traced = (0, 0);
    for end in &mut ends {
        end.end().await;
        for message in &end.trace {
            let text = String::from_utf8(message.bytes.clone()).unwrap();
            match message.way {
                Way::Sent => assert!(wire.heard.contains(&message.bytes), "{text}"),
                Way::Received => assert!(said.contains(&text), "{text}"),
            }
        }
        traced.0 += bytes(end, Way::Sent).len();
        traced.1 += bytes(end, Way::Received).len();
    }
    let heard: usize = wire.heard.iter().map(Vec::len).sum();
    assert_eq!(traced, (heard, said.len()));
}

/// Covers: R163.
#[tokio::test]
async fn a_registrar_that_refuses_connections_fails_those_that_register_there_and_nobody_else() {
    let (peer, us) = (kamailio().await, us().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut bob = start(&us, plan(peer.address, "bob", receiver()));
    bob.until(Phase::Registered).await;
    let mut direct = plan(nobody, "carol", caller(&format!("sip:x@{nobody}")));
    direct.register = None;
    let mut lost = [start(&us, plan(nobody, "alice", receiver())), start(&us, direct)];
    let refused = format!("no connection to {nobody}: Connection refused (os error 111)");
    assert_eq!(
        lost[0].end().await,
        (Outcome::RegistrationFailed, format!("registrar: {refused}"))
    );
    assert_eq!(
        lost[1].end().await,
        (Outcome::CallFailed, format!("INVITE: {refused}"))
    );
    assert!(
        lost.iter().all(|endpoint| endpoint.trace.is_empty()),
        "nothing was on the wire"
    );
    let mut alice = start(&us, plan(peer.address, "alice", caller("sip:bob@demo.example")));
    let (outcome, why) = alice.end().await;
    assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", alice.lines());
    assert_eq!(bob.end().await.0, Outcome::Success);
}

/// Covers: R163.
#[tokio::test]
async fn a_registrar_that_accepts_and_says_nothing_is_silence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, us) = (listener.local_addr().unwrap(), us().await);
    let mut alice = start(&us, plan(address, "alice", receiver()));
    let _wire = Wire::accepted(&listener).await;
    assert_eq!(
        alice.end().await,
        (Outcome::RegistrationFailed, "registrar: no response".to_owned())
    );
    assert_eq!(alice.lines().len(), 1, "nothing is repeated: {:?}", alice.lines());
}

#[tokio::test]
async fn sipp_answers_by_tcp_and_refuses_by_tcp() {
    let answers = [
        Does::Says(180),
        Does::Answers,
        Does::Hears("ACK"),
        Does::Hears("BYE"),
        Does::Says(200),
    ];
    let busy = [Does::Says(180), Does::Says(486), Does::Hears("ACK")];
    for (steps, code) in [(answers.as_slice(), 200), (&busy, 486)] {
        let mut peer = callee_by(steps, "t1");
        listens(peer.address, "tcp").await;
        let us = us().await;
        let mut alice = start(&us, calls(&peer, Duration::from_secs(10)));
        let (outcome, why) = alice.end().await;
        assert!(peer.content().await, "{why}: {:#?}", alice.lines());
        if code == 486 {
            assert_eq!((outcome, why.as_str()), (Outcome::CallFailed, "INVITE: 486"));
        } else {
            good(outcome, &why, &alice);
            assert!(!why.contains("retransmissions"), "{why}");
        }
        assert_eq!(alice.closed.as_ref().unwrap().figures.code, Some(code));
    }
}

#[tokio::test]
async fn sipp_calls_by_tcp() {
    let us = us().await;
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    role.duration = Duration::from_secs(1);
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    let mut peer = uac(&bob.user, us.stack.local(), 1_500, "t1");
    let (outcome, why) = bob.end().await;
    assert!(peer.content().await, "{why}: {:#?}", bob.lines());
    assert_eq!(outcome, Outcome::CompletedWithWarnings, "{why}");
    assert!(
        bob.trace
            .iter()
            .all(|message| message.transport == Transport::Tcp)
    );
}

/// Its BYE goes by a new connection to the same peer.
#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_call_is_opened_again_for_bye() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, us) = (listener.local_addr().unwrap(), us().await);
    let mut direct = plan(address, "alice", caller(&format!("sip:x@{address}")));
    direct.register = None;
    direct.duration = Duration::from_secs(1);
    let mut alice = start(&us, direct);
    let mut wire = Wire::accepted(&listener).await;
    let invite = wire.await_message("INVITE ").await;
    let more = format!("Contact: <sip:x@{address};transport=tcp>\r\nContent-Type: application/sdp\r\n");
    wire.say(&response(&invite, "200 OK", &more, SDP)).await;
    wire.await_message("ACK ").await;
    drop(wire);
    let mut wire = Wire::accepted(&listener).await;
    let bye = wire.await_message("BYE ").await;
    assert_eq!(header(&bye, "Call-ID"), header(&invite, "Call-ID"));
    wire.say(&response(&bye, "200 OK", "", "")).await;
    let (outcome, why) = alice.end().await;
    good(outcome, &why, &alice);
    assert!(!why.contains("BYE"), "{why}");
}

/// The challenge came, but the answer to it has nowhere to go.
///
/// Covers: R163, R164.
#[tokio::test]
async fn a_peer_that_challenges_and_is_gone_is_no_connection() {
    for (method, challenge) in [("INVITE", "407 No"), ("REGISTER", "401 No")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, us) = (listener.local_addr().unwrap(), us().await);
        let mut alice = plan(address, "alice", caller(&format!("sip:x@{address}")));
        alice.register = alice.register.filter(|_| method == "REGISTER");
        let mut alice = start(&us, alice);
        let mut wire = Wire::accepted(&listener).await;
        drop(listener);
        let request = wire.await_message(method).await;
        let header = if method == "INVITE" { "Proxy" } else { "WWW" };
        let more = format!("{header}-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\n");
        wire.say(&response(&request, challenge, &more, "")).await;
        // At once, so that they see both before they answer.
        drop(wire);
        let (_, why) = alice.end().await;
        let responses = alice.closed.as_ref().unwrap().responses.clone();
        let names: Vec<String> = responses.iter().map(ToString::to_string).collect();
        assert_eq!(names, [format!("{method} no connection")], "{why}");
    }
}

/// Waits until our side of a connection that the other one closed is closed too.
async fn gone(ours: SocketAddr, theirs: SocketAddr) {
    let of = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let row = format!(" {} {} ", of(ours), of(theirs));
    until(|| !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&row)).await;
}

/// The registrar has heard it, and may bind it whatever is wanted now.
#[tokio::test]
async fn who_is_stopped_while_it_registers_takes_its_registration_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, us) = (listener.local_addr().unwrap(), us().await);
    let mut bob = start(&us, plan(address, "bob", receiver()));
    let mut wire = Wire::accepted(&listener).await;
    wire.await_message("REGISTER ").await;
    bob.hang_up(None);
    let farewell = wire.await_message("REGISTER ").await;
    assert_eq!(header(&farewell, "Expires"), Some("0"), "{farewell}");
    wire.say(&response(&farewell, "200 OK", "", "")).await;
    let stopped = "stopped before its call".to_owned();
    assert_eq!(bob.end().await, (Outcome::CompletedWithWarnings, stopped));
}

/// The answer has nowhere to go, so nobody acknowledges it.
#[tokio::test]
async fn a_receiver_whose_caller_lost_its_connection_while_it_rang_does_not_wait_for_ever() {
    let us = us().await;
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    let Role::Receiver { ring, .. } = &mut role.role else {
        panic!("it is a receiver");
    };
    *ring = Duration::from_secs(1);
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    let mut wire = Wire::to(us.stack.local()).await;
    let theirs = wire.stream.local_addr().unwrap();
    wire.say(&format!(
        "INVITE sip:{}@{} SIP/2.0\r\nVia: SIP/2.0/TCP {theirs};branch=z9hG4bKlost\r\nMax-Forwards: 9\r\n\
         From: <sip:s@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: lost\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:s@{theirs};transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        bob.user,
        us.stack.local(),
        SDP.len()
    ))
    .await;
    wire.await_message("SIP/2.0 180").await;
    drop(wire);
    let (outcome, why) = bob.end().await;
    assert_eq!((outcome, why.as_str()), (Outcome::Timeout, "ACK: none came"));
    assert!(!bob.lines().iter().any(|line| line.starts_with("SIP/2.0 200")));
}

/// A caller is not called back where its connection came from, but where it says.
#[tokio::test]
async fn a_receiver_whose_caller_lost_its_connection_hangs_up_at_its_contact() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, us) = (listener.local_addr().unwrap(), us().await);
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    let mut wire = Wire::to(us.stack.local()).await;
    let head = |method: &str, to: &str| {
        format!(
            "{method} sip:{}@{} SIP/2.0\r\nVia: SIP/2.0/TCP {address};branch=z9hG4bK{method}\r\nMax-Forwards: 9\r\n\
             From: <sip:s@x>;tag=1\r\nTo: <sip:b@x>{to}\r\nCall-ID: by-hand\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:s@{address};transport=tcp>\r\n",
            bob.user,
            us.stack.local()
        )
    };
    let length = SDP.len();
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}");
    wire.stammer(&format!("{}{body}", head("INVITE", ""))).await;
    let answer = wire.await_message("SIP/2.0 200").await;
    let tag = header(&answer, "To").unwrap().split(";tag=").nth(1).unwrap();
    wire.say(&format!(
        "{}Content-Length: 0\r\n\r\n",
        head("ACK", &format!(";tag={tag}"))
    ))
    .await;
    bob.until(Phase::Incall).await;
    let theirs = wire.stream.local_addr().unwrap();
    drop(wire);
    gone(us.stack.local(), theirs).await;
    bob.hang_up(None);
    let mut wire = Wire::accepted(&listener).await;
    let bye = wire.await_message("BYE ").await;
    assert!(header(&bye, "Via").unwrap().starts_with("SIP/2.0/TCP "), "{bye}");
    wire.say(&response(&bye, "200 OK", "", "")).await;
    let (outcome, why) = bob.end().await;
    good(outcome, &why, &bob);
    assert!(bob.trace.iter().any(|message| message.bytes.starts_with(b"BYE ")));
}
