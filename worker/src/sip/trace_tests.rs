#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reeve_proto::v1::{SipCredentials, SipOffer, SipRegistrar, SipTransport};
use reeve_sip::tap::{Transport, Way};
use tokio::sync::mpsc::UnboundedReceiver;

use super::traces::Traces;
use super::voice::Voice;
use super::*;
use crate::ramp::Ramp;
use crate::trace::{TraceItem, TraceRow};

fn work(port: u16, endpoints: u32) -> Arc<Work> {
    let offer = SipOffer {
        registrar: Some(SipRegistrar {
            domain: "lab.example".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            ..SipRegistrar::default()
        }),
        accounts: vec![
            SipCredentials {
                username: "alice".to_owned(),
                secret: "secret".to_owned(),
                realm: String::new(),
            };
            endpoints as usize
        ],
        targets: vec!["sip:bob@lab.example".to_owned(); endpoints as usize],
        codecs: vec![reeve_proto::v1::SipCodec::Pcmu.into()],
        without_registration: true,
        ..SipOffer::default()
    };
    Arc::new(Work {
        key: AssignmentKey::new("r", 1),
        group: "callers".to_owned(),
        first_endpoint: 0,
        endpoints,
        ramp: Ramp {
            buildup: Duration::ZERO,
            group_endpoints: endpoints,
        },
        duration: Duration::from_secs(1),
        spec: Spec::Sip(offer),
    })
}

/// Answers every INVITE with 486.
fn busy(peer: &UdpSocket) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = peer.recv_from(&mut buffer) {
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        if !text.starts_with("INVITE ") {
            return;
        }
        peer.send_to(answer(&text, "486 Busy Here").as_bytes(), from)
            .unwrap();
    }
}

pub(super) fn answer(request: &str, status: &str) -> String {
    let kept = |name: &str| {
        let line = request.lines().find(|line| line.to_lowercase().starts_with(name));
        line.unwrap_or_default().to_owned()
    };
    format!(
        "SIP/2.0 {status}\r\n{}\r\n{}\r\n{};tag=b\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        kept("via:"),
        kept("from:"),
        kept("to:"),
        kept("call-id:"),
        kept("cseq:"),
    )
}

/// What the peer hears next that is a request of this method.
fn hears(peer: &UdpSocket, method: &str) -> (String, SocketAddr) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        if text.starts_with(method) {
            return (text, from);
        }
    }
}

pub(super) async fn until_ready(events: &mut UnboundedReceiver<Event>) {
    loop {
        if let Event::Prepared(_, answer) = events.recv().await.unwrap() {
            return answer.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_of_is_hung_up_and_says_nothing_more() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (sink, mut events) = EventSink::channel();
    let clock = Clock::start();
    let sip = Sip::new(clock.clone(), sink, None);
    let work = work(peer.local_addr().unwrap().port(), 1);
    sip.prepare(&work);
    until_ready(&mut events).await;
    sip.start(&work.key, clock.now());
    let (invite, from) = hears(&peer, "INVITE ");
    peer.send_to(answer(&invite, "180 Ringing").as_bytes(), from)
        .unwrap();
    sip.release(&work.key);
    while events.try_recv().is_ok() {}
    hears(&peer, "CANCEL ");
    assert!(events.try_recv().is_err(), "nobody asks any more");
}

#[tokio::test]
async fn an_endpoint_that_breaks_is_closed_all_the_same() {
    let (sink, mut events) = EventSink::channel();
    let clock = Clock::start();
    let sip = Sip::new(clock, sink, None);
    let work = work(9, 1);
    sip.prepare(&work);
    until_ready(&mut events).await;
    drop(Voice {
        state: Arc::clone(&sip.shared),
        key: work.key.clone(),
        offset: 0,
        calls: true,
        traces: Traces {
            offset: 0,
            made: MonoMs(0),
            credentials: false,
        },
        closed: AtomicBool::new(false),
    });
    let _ = events.recv().await;
    let Some(Event::Changed(_, _, changes)) = events.recv().await else {
        panic!("it is closed");
    };
    let end = EndpointChange {
        offset: 0,
        phase: Phase::Closed,
        outcome: Outcome::Oserror,
    };
    assert_eq!(changes, [end]);
}

/// Rows of traces until every endpoint is closed.
async fn rows(events: &mut UnboundedReceiver<Event>, endpoints: usize) -> Vec<TraceRow> {
    let mut rows = Vec::new();
    let mut closed = 0;
    while closed < endpoints {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        match event.unwrap().unwrap() {
            Event::Traced(_, traced) => rows.extend(traced.rows.iter().cloned()),
            Event::Changed(_, _, changes) => {
                closed += changes
                    .iter()
                    .filter(|change| change.phase == Phase::Closed)
                    .count();
            }
            Event::Prepared(_, answer) => answer.unwrap(),
            Event::Sampled(..) => {}
        }
    }
    rows
}

/// Covers: R154.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_the_wire_and_why_it_ended_is_handed_over_before_the_endpoint_is_closed() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = peer.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || busy(&peer));
    let (sink, mut events) = EventSink::channel();
    let clock = Clock::start();
    let sip = Sip::new(clock.clone(), sink, None);
    let work = work(port, 1);
    sip.prepare(&work);
    sip.start(&work.key, clock.now());
    let rows = rows(&mut events, 1).await;
    let messages: Vec<_> = rows
        .iter()
        .filter_map(|row| match &row.what {
            TraceItem::Message { message, .. } => Some((message.way, message.bytes.clone())),
            TraceItem::Ending { .. } => None,
        })
        .collect();
    assert!(messages[0].0 == Way::Sent && messages[0].1.starts_with(b"INVITE sip:bob@"));
    assert!(
        messages
            .iter()
            .any(|(way, bytes)| *way == Way::Received && bytes.starts_with(b"SIP/2.0 486"))
    );
    let TraceItem::Ending {
        detail,
        code,
        dropped,
    } = &rows.last().unwrap().what
    else {
        panic!("the last row is the ending");
    };
    assert_eq!((detail.as_str(), *code, *dropped), ("INVITE: 486", Some(486), 0));
    assert!(rows.iter().all(|row| row.at <= clock.now()));
    answering.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_never_began_say_why() {
    let (sink, mut events) = EventSink::channel();
    let clock = Clock::start();
    let sip = Sip::new(clock, sink, None);
    let work = work(9, 3);
    sip.prepare(&work);
    sip.hang_up(&work.key, None);
    let rows = rows(&mut events, 3).await;
    let endings: Vec<_> = rows.iter().map(|row| (row.offset, row.what.clone())).collect();
    let ending = traces::without_messages("stopped before its start");
    assert_eq!(endings, [(0, ending.clone()), (1, ending.clone()), (2, ending)]);
}

/// Covers: R154.
#[test]
fn credentials_stay_only_where_the_offer_says_so() {
    let message = reeve_sip::tap::Message {
        seq: 0,
        wall_ns: 0,
        since: Duration::from_millis(20),
        way: Way::Sent,
        local: ([127, 0, 0, 1], 5060).into(),
        remote: ([127, 0, 0, 1], 5061).into(),
        transport: reeve_sip::tap::Transport::Udp,
        bytes: b"REGISTER sip:x SIP/2.0\r\nAuthorization: Digest response=\"1\"\r\n\r\n".to_vec(),
        truncated: false,
        repeats: None,
    };
    let of = |credentials| {
        let traces = Traces {
            offset: 0,
            made: MonoMs(100),
            credentials,
        };
        let traced = traces.messages(MonoMs(110), vec![message.clone()]);
        assert_eq!(traced.rows[0].at, MonoMs(110), "not after it was told");
        match &traced.rows[0].what {
            TraceItem::Message { message, redacted } => (message.bytes.clone(), *redacted),
            TraceItem::Ending { .. } => panic!("a message"),
        }
    };
    assert_eq!(of(true), (message.bytes.clone(), false));
    let (bytes, redacted) = of(false);
    assert!(
        redacted
            && String::from_utf8(bytes)
                .unwrap()
                .contains("response=\"redacted\"")
    );
}

/// Covers: R154.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_go_by_tcp_goes_by_tcp_and_a_peer_that_refuses_it_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        let invite = String::from_utf8(buffer[..length].to_vec()).unwrap();
        stream
            .write_all(answer(&invite, "486 Busy Here").as_bytes())
            .unwrap();
        // The ACK.
        let _ = stream.read(&mut buffer);
    });
    let clock = Clock::start();
    let mut details = Vec::new();
    // The peer is gone when the second one calls.
    for _ in 0..2 {
        let (sink, mut events) = EventSink::channel();
        let sip = Sip::new(clock.clone(), sink, None);
        let mut work = work(port, 1);
        if let Spec::Sip(offer) = &mut Arc::get_mut(&mut work).unwrap().spec {
            offer.registrar.as_mut().unwrap().transport = SipTransport::Tcp.into();
        }
        sip.prepare(&work);
        until_ready(&mut events).await;
        sip.start(&work.key, clock.now());
        for row in rows(&mut events, 1).await {
            match row.what {
                TraceItem::Message { message, .. } => assert_eq!(message.transport, Transport::Tcp),
                TraceItem::Ending { detail, .. } => details.push(detail),
            }
        }
        until_finished(&peer);
    }
    let refused = format!("INVITE: no connection to 127.0.0.1:{port}: Connection refused (os error 111)");
    assert_eq!(details, ["INVITE: 486", &refused]);
}

fn until_finished(peer: &std::thread::JoinHandle<()>) {
    while !peer.is_finished() {
        std::thread::yield_now();
    }
}
