//! The whole engine, with real sockets. These machines may be busy: what is asked of figures here is what a wrong formula would miss by far;
//! exact figures are in the tests of [`crate::call`].

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::testkit::{Brake, Path, Relay};
use crate::{Codec, Digit, Direction, Interval, Source, Stream, Totals};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine, and what it has told so far.
struct Rig {
    engine: Engine,
    events: Receiver<Event>,
    brake: Brake,
    rows: HashMap<SessionId, Vec<Interval>>,
    totals: HashMap<SessionId, Totals>,
}

fn rig(ports: RangeInclusive<u16>) -> Rig {
    let (tell, events) = channel();
    let brake = Brake::default();
    let config = EngineConfig {
        ports,
        brake: brake.clone(),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config, move |event| {
        let _ = tell.send(event);
    });
    Rig {
        engine: engine.unwrap(),
        events,
        brake,
        rows: HashMap::new(),
        totals: HashMap::new(),
    }
}

impl Rig {
    /// Takes events until this is so.
    fn until(&mut self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !so(self) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let event = self.events.recv_timeout(left);
            match event.unwrap_or_else(|_| panic!("never: {what}")) {
                Event::Interval(id, row) => self.rows.entry(id).or_default().push(row),
                Event::Ended(id, totals) => {
                    assert!(self.totals.insert(id, totals).is_none(), "{id} ended twice")
                }
            }
        }
    }

    fn rows(&self, session: &Session) -> &[Interval] {
        self.rows.get(&session.id()).map_or(&[], Vec::as_slice)
    }

    fn valid(&self, session: &Session) -> usize {
        self.rows(session).iter().filter(|row| row.mos.is_some()).count()
    }

    fn end(&mut self, session: &Session) -> Totals {
        session.end();
        self.until("the end", |rig| rig.totals.contains_key(&session.id()));
        self.totals[&session.id()].clone()
    }
}

fn above(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

fn to((remote_rtp, remote_rtcp): (SocketAddr, SocketAddr)) -> Stream {
    Stream {
        remote_rtp,
        remote_rtcp,
        codec: Codec::Pcma,
        payload_type: 8,
        dtmf_payload_type: Some(101),
        source: Source::Tone,
        plc: true,
    }
}

fn directly(peer: &Session) -> Stream {
    to((peer.local(), above(peer.local())))
}

/// Two calls of one engine that talk to each other.
fn pair(rig: &Rig) -> [Session; 2] {
    let [a, b] = [rig.engine.open(HERE).unwrap(), rig.engine.open(HERE).unwrap()];
    a.begin(directly(&b));
    b.begin(directly(&a));
    [a, b]
}

/// Whatever the machine did: a row is valid exactly if everything was sent in time, and only valid rows have figures.
fn assert_honest(rows: &[Interval]) {
    for row in rows {
        let in_time = row.tx_sent == row.tx_due && row.tx_late_max_us <= 20_000;
        assert!(in_time || !row.valid, "{row:?}");
        let figures = [row.jitter_us, row.rtt_us, row.remote_jitter_us];
        let none = figures.iter().all(Option::is_none) && row.r.is_none() && row.mos.is_none();
        assert!(row.valid || none, "{row:?}");
    }
}

#[test]
fn two_calls_hear_each_other_and_their_ends() {
    let mut rig = rig(23_000..=23_019);
    let [a, b] = pair(&rig);
    rig.until("three good rows", |rig| rig.valid(&a) >= 3);
    a.dtmf(Digit::try_from('7').unwrap());
    let before = rig.rows(&a).len();
    rig.until("a second's packets more", |rig| {
        let rows = rig.rows(&a).iter().skip(before + 1);
        rows.map(|row| row.tx_sent).sum::<u32>() >= 50
    });
    let of_a = rig.end(&a);
    // The BYE is on the wire before the end is told.
    let of_b = rig.end(&b);
    assert_eq!((of_a.dtmf_sent, of_b.dtmf_received), (1, 1));
    assert!(of_b.peer_bye && !of_a.peer_bye);
    assert!(of_a.rtcp_seen && of_b.rtcp_seen && !of_a.one_way);
    assert_eq!(
        of_b.rx, of_a.tx_sent,
        "loopback loses nothing, and everything was read"
    );
    assert_eq!((of_b.lost, of_b.unseen, of_b.foreign), (0, Some(0), 0));
    assert_eq!(of_b.peer_sent.map(u64::from), Some(of_a.tx_sent));
    for session in [&a, &b] {
        assert_honest(rig.rows(session));
        let rows = rig.rows(session);
        assert!(rows.iter().enumerate().all(|(n, row)| row.seq as usize == n));
    }
    // Health goes on without calls.
    let start = Instant::now();
    while rig.engine.health().calls > 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    let health = rig.engine.health();
    assert_eq!(health.sent, of_a.tx_sent + of_b.tx_sent);
    assert_eq!(health.due, health.sent + health.skipped + health.refused);
}

#[test]
fn a_path_of_30_and_50_ms_is_measured_as_80() {
    let path = |ms| Path {
        delay: Duration::from_millis(ms),
        ..Path::default()
    };
    let relay = Relay::start(path(30), path(50), 1).unwrap();
    let mut rig = rig(23_020..=23_039);
    let [a, b] = through(&relay, &rig);
    rig.until("rows with round trips", |rig| {
        let rtts = |session| {
            rig.rows(session)
                .iter()
                .filter(|row| row.rtt_us.is_some())
                .count()
        };
        rtts(&a) >= 5 && rtts(&b) >= 5
    });
    for session in [&a, &b] {
        let rtt = rig.end(session).rtt_us.unwrap();
        // The relay waits at least that long, and on a busy machine sometimes longer.
        assert!(rtt.min >= 79_900.0 && rtt.min < 88_000.0, "{rtt:?}");
        println!("round trips of 80 ms: {rtt:?}");
        assert_honest(rig.rows(session));
    }
}

#[test]
fn loss_is_the_relays_own_count_and_jitter_and_score_are_near_theory() {
    let path = Path {
        jitter: Duration::from_millis(30),
        loss: 0.05,
        duplicates: 0.02,
        ..Path::default()
    };
    let relay = Relay::start(path, Path::default(), 2).unwrap();
    let mut rig = rig(23_040..=23_059);
    let [a, b] = through(&relay, &rig);
    rig.until("good rows", |rig| rig.valid(&b) >= 10);
    // A goes silent, so that nothing of it is under way when B ends.
    a.direct(Direction::Inactive);
    let rows = rig.rows(&b).len() + 2;
    rig.until("two rows more", |rig| rig.rows(&b).len() >= rows);
    let of_b = rig.end(&b);
    let counted = relay.counted()[0];
    assert_eq!(of_b.rx, counted.came - counted.lost);
    assert_eq!(of_b.dup, counted.doubled);
    // What sequence numbers do not show, the sender's count does: packets lost before the first or after the last that came.
    assert_eq!(of_b.lost + i64::from(of_b.unseen.unwrap()), counted.lost as i64);
    assert!(counted.lost > 5 && counted.doubled > 2, "{counted:?}");
    assert_eq!(rig.end(&a).tx_sent, counted.came);
    let jitter = of_b.jitter_us.unwrap();
    println!("jitter of 10 ms: {jitter:?}");
    assert!((7_500.0..14_000.0).contains(&jitter.mean), "{jitter:?}");
    let mos = of_b.mos.unwrap();
    println!("score of 5 % (3.92): {mos:?}");
    assert!((3.4..4.3).contains(&mos.mean), "{mos:?}");
    assert_honest(rig.rows(&b));
}

fn through(relay: &Relay, rig: &Rig) -> [Session; 2] {
    let [a, b] = [rig.engine.open(HERE).unwrap(), rig.engine.open(HERE).unwrap()];
    relay.connect(a.local(), b.local());
    a.begin(to(relay.for_a().unwrap()));
    b.begin(to(relay.for_b().unwrap()));
    [a, b]
}

#[test]
fn an_engine_that_is_held_up_publishes_no_quality_figure_of_that_time() {
    let mut rig = rig(23_060..=23_099);
    let pairs: Vec<_> = (0..8).map(|_| pair(&rig)).collect();
    let sessions: Vec<_> = pairs.iter().flatten().collect();
    for round in 1..=3 {
        let good = |rig: &Rig| rig.valid(sessions[0]) >= round;
        rig.until("good rows", good);
        // Longer than a second and a half: of each call, one whole row at least lies in it.
        rig.brake.pull(Duration::from_millis(2_500));
        let held = |rig: &Rig, session: &Session| {
            let over = |row: &&Interval| row.tx_sent == 0 && !row.valid;
            rig.rows(session).iter().filter(over).count() >= round
        };
        rig.until("rows of that time", |rig| {
            sessions.iter().all(|session| held(rig, session))
        });
    }
    let health = rig.engine.health();
    for session in &sessions {
        let totals = rig.end(session);
        assert!(
            totals.invalid_intervals >= 6 && totals.tx_skipped >= 300,
            "{totals:?}"
        );
        assert!(!totals.one_way, "it was we who did not listen");
        assert_eq!(totals.tx_due, totals.tx_sent + totals.tx_skipped);
        assert!(totals.tx_late_max_us >= 2_400_000);
        assert_honest(rig.rows(session));
    }
    assert!(
        health.running && health.calls == 16 && health.skipped > 0,
        "{health:?}"
    );
}

#[test]
fn a_call_on_hold_expects_nothing_and_a_silent_peer_is_one_way_audio() {
    let mut rig = rig(23_100..=23_119);
    let [a, b] = pair(&rig);
    a.direct(Direction::SendOnly);
    b.direct(Direction::RecvOnly);
    rig.until("rows on hold", |rig| {
        rig.rows(&a).iter().filter(|row| row.rx == 0).count() >= 2
    });
    assert!(rig.rows(&a).iter().all(|row| !row.expecting));
    // Resumed, and B stays silent.
    let before = rig.rows(&a).len();
    a.direct(Direction::SendRecv);
    rig.until("a valid row that hears nothing", |rig| {
        rig.rows(&a)[before..]
            .iter()
            .any(|row| row.valid && row.expecting && row.rx == 0)
    });
    assert!(rig.end(&a).one_way);
    assert!(!rig.end(&b).one_way);
}

#[test]
fn a_new_target_gets_what_is_sent_and_strangers_are_foreign() {
    let mut rig = rig(23_120..=23_139);
    let [a, b] = pair(&rig);
    rig.until("a row", |rig| rig.valid(&a) >= 1);
    let stranger = UdpSocket::bind((HERE, 0)).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger.send_to(b"\x80\x08stranger than RTP", a.local()).unwrap();
    rig.until("a foreign packet", |rig| {
        rig.rows(&a).iter().any(|row| row.foreign == 1)
    });
    let target = stranger.local_addr().unwrap();
    a.retarget(target, above(target));
    let mut buffer = [0; 2_048];
    let (len, from) = stranger.recv_from(&mut buffer).unwrap();
    assert_eq!((len, from), (172, a.local()));
    drop(b);
}

#[test]
fn dropping_a_session_tells_its_totals_and_frees_its_ports() {
    let mut rig = rig(23_140..=23_143);
    let [a, b] = pair(&rig);
    rig.until("a row", |rig| !rig.rows(&a).is_empty());
    let error = rig.engine.open(HERE).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let (id, local) = (a.id(), a.local());
    drop(a);
    rig.until("the end", |rig| rig.totals.contains_key(&id));
    let start = Instant::now();
    // The event comes just before the sockets are closed.
    let again = loop {
        match rig.engine.open(HERE) {
            Ok(again) => break again,
            Err(_) if start.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(again.local(), local);
    let never_begun = rig.end(&again);
    assert_eq!(never_begun, Totals::default());
    assert!(rig.totals[&id].duration > Duration::ZERO);
    drop(b);
}

#[test]
fn dropping_the_engine_ends_all_calls_and_the_thread() {
    let Rig { engine, events, .. } = rig(23_160..=23_179);
    let [a, b] = [engine.open(HERE).unwrap(), engine.open(HERE).unwrap()];
    a.begin(directly(&b));
    drop(engine.clone());
    assert!(engine.health().running);
    drop(engine);
    let mut ended = Vec::new();
    // The channel ends with the thread, although sessions are left.
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        if let Event::Ended(id, _) = event {
            ended.push(id);
        }
    }
    ended.sort();
    assert_eq!(ended, [a.id(), b.id()]);
    a.end();
}

#[test]
fn handles_can_be_sent_and_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<Session>();
}

#[test]
fn a_range_of_ports_without_a_pair_starts_nothing() {
    let config = EngineConfig {
        ports: 9..=9,
        ..EngineConfig::default()
    };
    let error = Engine::start(config, drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("ports: 9-9"), "{error}");
}
