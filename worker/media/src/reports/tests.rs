use super::*;
use crate::rtcp::LARGEST;
use crate::rtp::Header;

const PEER: &str = "192.0.2.7:4000";

fn receiver(numbers: impl IntoIterator<Item = u16>) -> Receiver {
    let from = PEER.parse().unwrap();
    let mut receiver = Receiver::new(from, 0, None, Duration::from_millis(60));
    for sequence in numbers {
        let header = Header {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 22,
        };
        receiver.receive(from, &header.bytes(), Mono(u64::from(sequence) * 20_000_000));
    }
    receiver
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn sent(packets: u64) -> Sent {
    Sent {
        packets,
        octets: packets * 160,
        bytes: packets * 172,
    }
}

fn write(report: &Report) -> Vec<u8> {
    let mut into = [0; LARGEST];
    let len = report.write(&mut into);
    into[..len].to_vec()
}

/// Two sides, and what each receives of the other.
struct Pair {
    clock: Clock,
    ours: Reports,
    theirs: Reports,
    from_them: Receiver,
    from_us: Receiver,
}

fn pair() -> Pair {
    Pair {
        clock: Clock::start(),
        ours: Reports::new(11, "us".into()),
        theirs: Reports::new(22, "them".into()),
        from_them: receiver([]),
        from_us: receiver([]),
    }
}

impl Pair {
    /// We report at 0; it takes `there`; they answer after `wait`, and that takes `back`.
    fn round_trip(&mut self, there_ms: u64, wait_ms: u64, back_ms: u64) {
        let report = self
            .ours
            .report(ms(1_000), &self.clock, sent(50), 8_000, &self.from_them, false);
        let bytes = write(&report);
        let at = 1_000 + there_ms;
        self.theirs.receive(&bytes, ms(at), &self.clock, &self.from_us);
        let at = at + wait_ms;
        let report = self
            .theirs
            .report(ms(at), &self.clock, sent(50), 8_000, &self.from_us, false);
        let bytes = write(&report);
        self.ours
            .receive(&bytes, ms(at + back_ms), &self.clock, &self.from_them);
    }
}

/// The peer receives a stream whose source is ours.
fn hears_us(pair: &mut Pair) {
    let from = PEER.parse().unwrap();
    let header = Header {
        payload_type: 0,
        marker: false,
        sequence: 1,
        timestamp: 0,
        ssrc: 11,
    };
    pair.from_us.receive(from, &header.bytes(), Mono(0));
}

#[test]
fn the_round_trip_is_what_is_left_without_the_peers_own_delay() {
    let mut pair = pair();
    hears_us(&mut pair);
    pair.round_trip(30, 700, 50);
    let heard = pair.ours.take();
    let rtt = heard.rtt.get().unwrap();
    assert!(
        rtt.abs_diff(Duration::from_millis(80)) < Duration::from_micros(50),
        "{rtt:?}"
    );
    assert!(!heard.rtt_negative);
    assert_eq!(pair.ours.take().rtt.get(), None, "told once");
}

#[test]
fn a_negative_round_trip_counts_as_zero_and_is_flagged_unless_rounding_explains_it() {
    // The peer says that it waited for 100 ms and some 65,536ths.
    for (units, flagged) in [(0, false), (4, false), (7, true), (65_536, true)] {
        let mut pair = pair();
        let lies = Report {
            ssrc: 22,
            sender: None,
            block: Some(Block {
                ssrc: 11,
                last_report: pair.clock.ntp(ms(1_000)).middle(),
                delay: 6_553 + units,
                ..Block::default()
            }),
            cname: "them",
            bye: false,
        };
        pair.ours
            .receive(&write(&lies), ms(1_100), &pair.clock, &pair.from_them);
        let heard = pair.ours.take();
        assert!(heard.rtt.get().unwrap() < Duration::from_micros(31), "{units}");
        assert_eq!(heard.rtt_negative, flagged, "{units}");
    }
}

#[test]
fn a_report_of_another_source_says_nothing_of_us() {
    let mut pair = pair();
    let other = Report {
        ssrc: 22,
        sender: None,
        block: Some(Block {
            ssrc: 12,
            lost: 9,
            last_report: 1,
            ..Block::default()
        }),
        cname: "them",
        bye: false,
    };
    pair.ours
        .receive(&write(&other), ms(1_900), &pair.clock, &pair.from_them);
    let heard = pair.ours.take();
    assert_eq!((heard.remote_lost, heard.rtt.get()), (None, None));
    assert!(heard.any);
}

#[test]
fn the_peers_block_says_what_it_lost_and_its_jitter_in_ticks_of_125_us() {
    let mut pair = pair();
    let report = Report {
        ssrc: 22,
        sender: None,
        block: Some(Block {
            ssrc: 11,
            lost: -3,
            jitter: 80,
            ..Block::default()
        }),
        cname: "them",
        bye: false,
    };
    pair.ours
        .receive(&write(&report), ms(1_900), &pair.clock, &pair.from_them);
    let heard = pair.ours.take();
    assert_eq!(
        (heard.remote_jitter_us, heard.remote_lost),
        (Some(10_000), Some(-3))
    );
    assert_eq!(heard.rtt.get(), None, "it has had no report of ours");
    let later = pair.ours.take();
    assert_eq!((later.remote_jitter_us, later.remote_lost), (None, Some(-3)));
}

#[test]
fn our_block_says_what_was_lost_since_the_last_one_and_in_all() {
    let mut theirs = Reports::new(22, "them".into());
    let mut from_us = receiver((0..64).filter(|n| n % 4 != 1));
    let clock = Clock::start();
    let block = theirs
        .report(ms(2_000), &clock, Sent::default(), 0, &from_us, false)
        .block
        .unwrap();
    assert_eq!((block.ssrc, block.lost, block.fraction_lost), (22, 16, 64));
    assert_eq!((block.highest, block.last_report, block.delay), (63, 0, 0));
    for sequence in 64..96 {
        let header = Header {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp: 0,
            ssrc: 22,
        };
        from_us.receive(PEER.parse().unwrap(), &header.bytes(), ms(3_000));
    }
    let report = theirs.report(ms(3_000), &clock, Sent::default(), 0, &from_us, false);
    let block = report.block.unwrap();
    assert_eq!((block.lost, block.fraction_lost), (16, 0));
    assert_eq!(report.sender, None, "nothing was sent");
}

#[test]
fn what_the_peer_sent_is_compared_with_what_sequence_numbers_show() {
    let mut ours = Reports::new(11, "us".into());
    let mut theirs = Reports::new(22, "them".into());
    let (clock, nothing) = (Clock::start(), receiver([]));
    // The first two and the last one of 50 are lost, and one between.
    let from_them = receiver((2..49).filter(|n| *n != 30));
    let report = theirs.report(ms(1_000), &clock, sent(50), 8_000, &nothing, true);
    ours.receive(&write(&report), ms(1_001), &clock, &from_them);
    let heard = ours.take();
    assert_eq!((heard.peer_sent, heard.unseen), (Some(50), Some(3)));
    assert!(heard.bye);
}

#[test]
fn sender_reports_and_byes_of_others_are_passed_over() {
    let mut ours = Reports::new(11, "us".into());
    let mut stranger = Reports::new(33, "stranger".into());
    let (clock, nothing) = (Clock::start(), receiver([]));
    let report = stranger.report(ms(1_000), &clock, sent(50), 8_000, &nothing, true);
    ours.receive(&write(&report), ms(1_001), &clock, &receiver([5]));
    assert_eq!((ours.heard().peer_sent, ours.heard().bye), (None, false));
}
