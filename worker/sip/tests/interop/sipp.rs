//! SIPp as the other side: what each failure looks like from here.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::plan::{Plan, Role};

use crate::given::{Endpoint, Peer, answers, folder, plan, port, receiver, start, us};

/// What SIPp does with one INVITE, step by step.
pub enum Does {
    Says(u16),
    Answers,
    /// Although it is cancelled: the answer was under way.
    AnswersLate,
    Rubbish(&'static str),
    Waits(u64),
    Hears(&'static str),
}

const ECHOED: &str = "[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n[last_Call-ID:]\n\
    Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n";
const SDP: &str = "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n";

fn says(code: u16, body: &str) -> String {
    says_to("[last_CSeq:]", code, body)
}

fn says_to(cseq: &str, code: u16, body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\n"
    };
    format!(
        "<send><![CDATA[\nSIP/2.0 {code} Said\n{ECHOED}{cseq}\n{kind}Content-Length: [len]\n\n{body}\n]]></send>\n"
    )
}

fn scenario(steps: &[Does]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"callee\">\n".to_owned();
    text.push_str("<recv request=\"INVITE\"><action>");
    text.push_str(
        "<ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"number\"/></action></recv>\n",
    );
    for step in steps {
        match step {
            Does::Says(code) => text.push_str(&says(*code, "")),
            Does::Answers => text.push_str(&says(200, SDP)),
            Does::AnswersLate => text.push_str(&says_to("CSeq: [$number] INVITE", 200, SDP)),
            Does::Rubbish(body) => text.push_str(&says(200, body)),
            Does::Waits(ms) => writeln!(text, "<pause milliseconds=\"{ms}\"/>").unwrap(),
            Does::Hears(method) => writeln!(text, "<recv request=\"{method}\"/>").unwrap(),
        }
    }
    // Not every scenario uses it, and SIPp takes no variable that nobody refers to.
    text.push_str("<Reference variables=\"number\"/>\n</scenario>\n");
    text
}

/// SIPp as callee of one call.
fn callee(steps: &[Does]) -> Peer {
    callee_by(steps, "u1")
}

/// The same by `u1`, UDP, or `t1`, one TCP connection.
pub fn callee_by(steps: &[Does], transport: &str) -> Peer {
    let folder = folder();
    let file = folder.path().join("callee.xml");
    std::fs::write(&file, scenario(steps)).unwrap();
    let port = port();
    let mut command = Command::new("sipp");
    command.current_dir(folder.path()).arg("-sf").arg(&file);
    command
        .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1", "-nostdin"])
        .arg("127.0.0.1");
    command.args(["-timeout", "60", "-t", transport]);
    Peer::new(command, SocketAddr::from(([127, 0, 0, 1], port)), folder)
}

pub fn calls(peer: &Peer, answer_timeout: Duration) -> Plan {
    let target = format!("sip:callee@{}", peer.address);
    let role = Role::Caller {
        target,
        answer_timeout,
        actions: Vec::new(),
    };
    let mut plan = plan(peer.address, "alice", role);
    plan.register = None;
    plan.duration = Duration::from_secs(1);
    plan
}

async fn called(steps: &[Does], answer_timeout: Duration) -> (Endpoint, Outcome, String, bool) {
    let mut peer = callee(steps);
    let us = us().await;
    listens(peer.address, "udp").await;
    let mut alice = start(&us, calls(&peer, answer_timeout));
    let (outcome, why) = alice.end().await;
    let content = peer.content().await;
    (alice, outcome, why, content)
}

/// SIPp answers nothing but its scenario: its socket is in the kernel's table once it listens.
pub async fn listens(address: SocketAddr, by: &str) {
    let wanted = format!(":{:04X} ", address.port());
    let table = format!("/proc/net/{by}");
    crate::given::until(|| std::fs::read_to_string(&table).unwrap().contains(&wanted)).await;
}

/// Covers: R164, R165.
#[tokio::test]
async fn every_refusal_has_its_outcome_and_its_code() {
    let cases = [
        (486, Outcome::CallFailed),
        (404, Outcome::CallFailed),
        (603, Outcome::CallFailed),
        (488, Outcome::NegotiationFailed),
        (302, Outcome::CallFailed),
    ];
    for (code, expected) in cases {
        let (alice, outcome, why, content) = called(
            &[Does::Says(180), Does::Says(code), Does::Hears("ACK")],
            Duration::from_secs(10),
        )
        .await;
        assert_eq!(outcome, expected, "{why}");
        assert!(why.contains(&code.to_string()), "{why}");
        assert!(content, "SIPp had its ACK");
        let figures = alice.closed.unwrap().figures;
        assert!(figures.pdd.is_some() && figures.setup.is_none());
        assert_eq!(figures.code, Some(code));
    }
}

#[tokio::test]
async fn nobody_answers_and_the_call_is_cancelled() {
    let steps = [
        Does::Says(180),
        Does::Hears("CANCEL"),
        Does::Says(200),
        Does::Waits(20),
    ];
    let (alice, outcome, why, _) = called(&steps, Duration::from_millis(500)).await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::Timeout, "INVITE: not answered in time")
    );
    assert!(alice.phases.contains(&Phase::Ringing) && alice.phases.contains(&Phase::Disconnecting));
    assert!(
        alice.lines().iter().any(|line| line.starts_with("CANCEL ")),
        "{:?}",
        alice.lines()
    );
}

/// The other side must not be left in a call that nobody is in.
///
/// Covers: R165.
#[tokio::test]
async fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let steps = [
        Does::Says(180),
        Does::Hears("CANCEL"),
        Does::Says(200),
        Does::AnswersLate,
        Does::Hears("ACK"),
        Does::Hears("BYE"),
        Does::Says(200),
    ];
    let (alice, outcome, why, content) = called(&steps, Duration::from_millis(500)).await;
    assert!(content, "SIPp had ACK and BYE: {:?}", alice.lines());
    assert!(
        alice.lines().iter().any(|line| line.starts_with("BYE ")),
        "{:?}",
        alice.lines()
    );
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::Timeout, "INVITE: not answered in time")
    );
}

/// Covers: R164.
#[tokio::test]
async fn an_answer_that_is_of_no_use_is_acknowledged_and_hung_up() {
    for (body, reason) in [
        ("", "no session description"),
        ("hello\n", "a line has no ="),
        ("v=0\nc=IN IP4 127.0.0.1\nm=audio 0 RTP/AVP 0\n", "port 0"),
        (
            "v=0\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 18\n",
            "no common codec",
        ),
    ] {
        let steps = [
            Does::Rubbish(body),
            Does::Hears("ACK"),
            Does::Hears("BYE"),
            Does::Says(200),
        ];
        let (_, outcome, why, content) = called(&steps, Duration::from_secs(10)).await;
        assert_eq!(outcome, Outcome::NegotiationFailed, "{why}");
        assert!(why.contains(reason), "{why}");
        assert!(content, "SIPp had ACK and BYE");
    }
}

#[tokio::test]
async fn a_bye_that_is_refused_is_a_failed_teardown_and_481_is_a_warning() {
    for (code, expected) in [
        (500, Outcome::TeardownError),
        (481, Outcome::CompletedWithWarnings),
    ] {
        let steps = [
            Does::Says(180),
            Does::Answers,
            Does::Hears("ACK"),
            Does::Hears("BYE"),
            Does::Says(code),
        ];
        let (_, outcome, why, _) = called(&steps, Duration::from_secs(10)).await;
        assert_eq!(outcome, expected, "{why}");
        assert!(why.contains(&code.to_string()), "{why}");
    }
}

#[tokio::test]
async fn a_bye_that_is_lost_at_first_is_sent_again_and_said() {
    let steps = [
        Does::Says(180),
        Does::Answers,
        Does::Hears("ACK"),
        Does::Hears("BYE"),
        Does::Waits(800),
        Does::Says(200),
    ];
    let (_, outcome, why, content) = called(&steps, Duration::from_secs(10)).await;
    assert!(content, "{why}");
    assert_eq!(outcome, Outcome::CompletedWithWarnings);
    assert!(why.contains("retransmissions"), "{why}");
}

/// It answers, and from then on there is nothing: no sound, no word.
#[tokio::test]
async fn a_peer_that_goes_silent_in_its_call_is_a_failed_teardown() {
    let steps = [
        Does::Says(180),
        Does::Answers,
        Does::Hears("ACK"),
        Does::Waits(40_000),
    ];
    let (peer, us) = (callee(&steps), us().await);
    listens(peer.address, "udp").await;
    let mut alice = start(&us, calls(&peer, Duration::from_secs(10)));
    alice.until(Phase::Incall).await;
    // As long as it lives SIPp answers a BYE that its scenario does not expect.
    let killed = Command::new("kill").args(["-9", &peer.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let (outcome, why) = alice.end().await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::TeardownError, "BYE: no response")
    );
    assert!(
        alice
            .intervals
            .iter()
            .all(|second| second.rx == 0 && second.mos.is_none())
    );
}

/// The caller would talk on for a minute.
#[tokio::test]
async fn a_call_that_nobody_ends_is_ended_by_its_receiver_and_said() {
    let us = us().await;
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    role.duration = Duration::from_secs(1);
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    answers(us.stack.local()).await;
    let _peer = uac(&bob.user, us.stack.local(), 60_000, "u1");
    let (outcome, why) = bob.end().await;
    assert_eq!(outcome, Outcome::CompletedWithWarnings, "{why}");
    assert!(
        bob.lines().iter().any(|line| line.starts_with("BYE ")),
        "{:?}",
        bob.lines()
    );
}

#[tokio::test]
async fn an_invite_that_is_lost_at_first_is_sent_again_and_said() {
    // So long nothing is said that the INVITE is sent once more.
    let steps = [
        Does::Waits(800),
        Does::Says(180),
        Does::Answers,
        Does::Hears("ACK"),
        Does::Hears("BYE"),
        Does::Says(200),
    ];
    let (alice, outcome, why, _) = called(&steps, Duration::from_secs(10)).await;
    assert_eq!(outcome, Outcome::CompletedWithWarnings);
    assert!(why.contains("retransmissions"), "{why}");
    let again = alice
        .trace
        .iter()
        .filter(|message| message.repeats.is_some())
        .count();
    assert!(again >= 1);
}

/// SIPp calls one of ours: the built-in scenario of a caller.
#[tokio::test]
async fn a_stranger_calls_a_receiver() {
    let us = us().await;
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    role.duration = Duration::from_secs(1);
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    answers(us.stack.local()).await;
    let mut peer = uac(&bob.user, us.stack.local(), 1_500, "u1");
    let (outcome, why) = bob.end().await;
    assert!(peer.content().await, "{why}: {:?}", bob.lines());
    // It sends no media: that is said.
    assert_eq!(outcome, Outcome::CompletedWithWarnings, "{why}");
}

/// Nonsense, a message of 60,000 bytes and a request for nobody, while a call is under way on the same socket.
#[tokio::test]
async fn what_strangers_send_harms_no_call() {
    let us = us().await;
    let mut role = plan("127.0.0.1:9".parse().unwrap(), "bob", receiver());
    role.register = None;
    role.duration = Duration::from_secs(2);
    let mut bob = start(&us, role);
    bob.until(Phase::Initializing).await;
    let peer = uac(&bob.user, us.stack.local(), 2_000, "u1");
    bob.until(Phase::Incall).await;
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = us.stack.local();
    let head = format!(
        "INVITE sip:{}@{local} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKlong\r\nFrom: <sip:s@x>;tag=1\r\n\
         To: <sip:b@x>\r\nCall-ID: long\r\nCSeq: 1 INVITE\r\nSubject: ",
        bob.user
    );
    let long = format!("{head}{}\r\n\r\n", "x".repeat(60_000));
    for nonsense in [
        long.as_bytes(),
        b"",
        b"\r\n\r\n",
        b"\0\xff\xfe",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"INVITE sip:b SIP/2.0\r\n\r\n",
    ] {
        stranger.send_to(nonsense, local).unwrap();
    }
    let (outcome, why) = bob.end().await;
    let mut peer = peer;
    assert!(peer.content().await, "{why}: {:?}", bob.lines());
    assert!(
        matches!(outcome, Outcome::Success | Outcome::CompletedWithWarnings),
        "{why}"
    );
    let longest = bob.trace.iter().map(|message| message.bytes.len()).max();
    assert!(longest > Some(60_000), "it is seen whole");
    // And the line is not busy or broken for the next one.
    answers(local).await;
}

/// SIPp's own caller.
pub fn uac(user: &str, remote: SocketAddr, talks_ms: u32, transport: &str) -> Peer {
    let folder = folder();
    let port = port();
    let mut command = Command::new("sipp");
    command
        .current_dir(folder.path())
        .args(["-sn", "uac", "-s", user, "-i", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-m", "1", "-d", &talks_ms.to_string()]);
    command.args(["-nostdin", "-timeout", "60", "-t", transport, &remote.to_string()]);
    Peer::new(command, SocketAddr::from(([127, 0, 0, 1], port)), folder)
}
