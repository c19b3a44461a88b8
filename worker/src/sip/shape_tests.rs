//! What the other side sees of a build-up: registrations first, calls in their slots.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use reeve_proto::v1::{Offer, SipCodec, SipCredentials, SipOffer, SipRegistrar};

use super::trace_tests::{answer, until_ready};
use super::*;

const ENDPOINTS: u32 = 40;
const CALLS_OVER: Duration = Duration::from_millis(800);
const REGISTERS_OVER: Duration = Duration::from_millis(400);
const BEFORE: Duration = Duration::from_millis(700);
/// Our clock and the instant of the test are read one after the other, in whole milliseconds.
const CLOCK: Duration = Duration::from_millis(5);

fn work(port: u16) -> Arc<Work> {
    let account = |index: u32| SipCredentials {
        username: format!("u{index}"),
        secret: "secret".to_owned(),
        realm: String::new(),
    };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let offer = SipOffer {
        registrar: Some(SipRegistrar {
            domain: "lab.example".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            ..SipRegistrar::default()
        }),
        accounts: (0..ENDPOINTS).map(account).collect(),
        targets: vec!["sip:bob@lab.example".to_owned(); ENDPOINTS as usize],
        codecs: vec![SipCodec::Pcmu.into()],
        register_before_ms: Some(millis(BEFORE)),
        register_buildup_ms: millis(REGISTERS_OVER),
        ..SipOffer::default()
    };
    let work = Work::from_offer(Offer {
        run_id: "r".to_owned(),
        epoch: 1,
        group: "callers".to_owned(),
        endpoints: ENDPOINTS,
        group_endpoints: ENDPOINTS,
        buildup_ms: i64::try_from(millis(CALLS_OVER)).unwrap(),
        duration_ms: 1_000,
        executor: Some(Spec::Sip(offer)),
        ..Offer::default()
    });
    Arc::new(work.unwrap())
}

/// The first requests of every endpoint: REGISTER is answered with 200, INVITE with 486.
fn heard(peer: &UdpSocket) -> (Vec<Instant>, Vec<Instant>) {
    let (mut registers, mut invites) = (Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    let mut buffer = [0; 8192];
    while invites.len() < ENDPOINTS as usize {
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        let now = Instant::now();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let line = |name: &str| {
            text.lines()
                .find(|line| line.to_lowercase().starts_with(name))
                .unwrap_or_default()
        };
        let user = line("from:")
            .split([':', '@'])
            .find(|part| part.starts_with('u'))
            .unwrap_or_default();
        let method = text.split(' ').next().unwrap().to_owned();
        let is_first = seen.insert((method.clone(), user.to_owned()));
        match method.as_str() {
            "REGISTER" => {
                let answer = answer(&text, "200 OK");
                let answer = answer.replace(
                    "Content-Length",
                    &format!("{}\r\nContent-Length", line("contact:")),
                );
                peer.send_to(answer.as_bytes(), from).unwrap();
                registers.extend(is_first.then_some(now));
            }
            "INVITE" => {
                peer.send_to(answer(&text, "486 Busy Here").as_bytes(), from)
                    .unwrap();
                invites.extend(is_first.then_some(now));
            }
            _ => {}
        }
    }
    (registers, invites)
}

/// Half of all are no later than this.
fn median_lateness(heard: &[Instant], begin: Instant, over: Duration) -> Duration {
    let planned = (0..).map(|index| begin + over * index / ENDPOINTS);
    let mut late: Vec<Duration> = heard
        .iter()
        .zip(planned)
        .map(|(at, planned)| {
            assert!(*at + CLOCK >= planned, "nobody comes before its slot");
            at.saturating_duration_since(planned)
        })
        .collect();
    late.sort_unstable();
    late[late.len() / 2]
}

/// Covers: R145.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_side_sees_registrations_first_and_then_calls_in_their_slots() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (sink, mut events) = EventSink::channel();
    let clock = Clock::start();
    let sip = Sip::new(clock.clone(), sink, None);
    let work = work(peer.local_addr().unwrap().port());
    sip.prepare(&work);
    until_ready(&mut events).await;
    let start = clock.now().after(BEFORE + Duration::from_millis(100));
    let calls = Instant::now() + BEFORE + Duration::from_millis(100);
    sip.start(&work.key, start);
    let (registers, invites) = tokio::task::spawn_blocking(move || heard(&peer)).await.unwrap();
    assert_eq!(registers.len(), ENDPOINTS as usize);
    assert!(
        registers.last() < invites.first(),
        "everybody is registered before the first call"
    );
    let late = [
        median_lateness(&registers, calls - BEFORE, REGISTERS_OVER),
        median_lateness(&invites, calls, CALLS_OVER),
    ];
    assert!(
        late.iter().all(|late| *late < Duration::from_millis(50)),
        "{late:?}"
    );
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        if let Event::Changed(_, _, changes) = event {
            told += changes
                .iter()
                .filter(|change| change.phase == Phase::Calling)
                .count();
        }
    }
    assert_eq!(told, ENDPOINTS as usize);
}
