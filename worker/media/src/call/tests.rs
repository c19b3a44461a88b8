//! Two calls and a path between them, in time that only the test moves: what is measured is what the path did.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::dtmf::TelephoneEvent;
use crate::rtp::Packet;
use crate::stream::Codec;

const A: usize = 0;
const B: usize = 1;
const MS: u64 = 1_000_000;
const LATE: Duration = Duration::from_millis(20);

/// What a direction does.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    delay_us: u64,
    /// Uniform, from 0 to this.
    jitter_us: u64,
    loss: f64,
}

struct World {
    calls: [Call; 2],
    pulses: [Pulse; 2],
    /// What A and B send goes this way.
    paths: [Path; 2],
    random: StdRng,
    now: u64,
    /// By arrival, with a number that keeps them apart: to whom, whether RTCP, what.
    passing: BTreeMap<(u64, u64), (usize, bool, Vec<u8>)>,
    count: u64,
    lost: [u64; 2],
    /// Everything that each side sent as RTP.
    wire: [Vec<Vec<u8>>; 2],
    told: [Vec<Interval>; 2],
    /// Ends of a time in which a side is not visited.
    stalled_until: [u64; 2],
}

fn address(side: usize, rtcp: bool) -> SocketAddr {
    let port = 4_000 + 2 * side as u16 + u16::from(rtcp);
    ([192, 0, 2, 1], port).into()
}

fn call(side: usize, plc: bool) -> Call {
    let stream = Stream {
        remote_rtp: address(1 - side, false),
        remote_rtcp: address(1 - side, true),
        codec: Codec::Pcmu,
        payload_type: 0,
        dtmf_payload_type: Some(101),
        source: crate::Source::Tone,
        plc,
    };
    let identity = Identity {
        start: Start {
            ssrc: 100 + side as u32,
            sequence: 65_500,
            timestamp: u32::MAX - 7_000,
        },
        cname: format!("side-{side}"),
        phase: 7 + side as u64 * 20,
    };
    let sound = stream.source.encoded(stream.codec);
    let begin = Mono((100 + side as u64 * 7) * MS);
    let limits = (LATE, Duration::from_millis(60));
    Call::new(
        &stream,
        sound,
        identity,
        Direction::SendRecv,
        limits,
        (begin, Clock::start()),
    )
}

impl World {
    fn new(there: Path, back: Path, plc: bool) -> Self {
        Self {
            calls: [call(A, plc), call(B, plc)],
            pulses: Default::default(),
            paths: [there, back],
            random: StdRng::seed_from_u64(4),
            now: 100 * MS,
            passing: BTreeMap::new(),
            count: 0,
            lost: [0; 2],
            wire: Default::default(),
            told: Default::default(),
            stalled_until: [0; 2],
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration.as_nanos() as u64;
        while self.now < end {
            self.now += MS;
            self.deliver();
            for side in [A, B] {
                if self.now >= self.stalled_until[side] {
                    self.poll(side);
                }
            }
        }
    }

    fn stall(&mut self, side: usize, duration: Duration) {
        self.stalled_until[side] = self.now + duration.as_nanos() as u64;
    }

    /// What has arrived. A stalled side does not read either, but the kernel stamps.
    fn deliver(&mut self) {
        let mut later = BTreeMap::new();
        while let Some(entry) = self
            .passing
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let key = *entry.key();
            let (to, rtcp, bytes) = entry.remove();
            if self.now < self.stalled_until[to] {
                later.insert(key, (to, rtcp, bytes));
            } else if rtcp {
                self.calls[to].receive_report(&bytes, Mono(key.0));
            } else {
                self.calls[to].receive(address(1 - to, false), &bytes, Mono(key.0));
            }
        }
        self.passing.append(&mut later);
    }

    fn poll(&mut self, side: usize) {
        let now = Mono(self.now);
        loop {
            let pulse = &mut self.pulses[side];
            let (bytes, rtcp) = match self.calls[side].poll(now, SystemTime::UNIX_EPOCH, pulse) {
                Step::Packet(bytes, to) => {
                    assert_eq!(to, address(1 - side, false));
                    (bytes.to_vec(), false)
                }
                Step::Report(bytes, to) => {
                    assert_eq!(to, address(1 - side, true));
                    (bytes.to_vec(), true)
                }
                Step::Interval(interval) => {
                    self.told[side].push(interval);
                    continue;
                }
                Step::Wait => return,
            };
            if !rtcp {
                self.calls[side].sent(Ok(()), now, &mut self.pulses[side]);
                self.wire[side].push(bytes.clone());
            }
            self.pass(side, rtcp, bytes);
        }
    }

    fn pass(&mut self, from: usize, rtcp: bool, bytes: Vec<u8>) {
        let path = self.paths[from];
        // The first one is not lost: a receiver cannot miss what it does not know of.
        if !rtcp && self.wire[from].len() > 1 && self.random.random_bool(path.loss) {
            self.lost[from] += 1;
            return;
        }
        let jitter = if rtcp {
            0
        } else {
            self.random.random_range(0..=path.jitter_us)
        };
        let at = self.now + (path.delay_us + jitter) * 1_000;
        self.count += 1;
        self.passing.insert((at, self.count), (1 - from, rtcp, bytes));
    }

    /// Lets what is under way arrive, then ends a side.
    fn finish(&mut self, side: usize) -> Totals {
        self.calls[side].direct(Direction::Inactive);
        self.calls[1 - side].direct(Direction::Inactive);
        self.run(Duration::from_millis(1_100));
        let (last, totals) = self.calls[side].finish(Mono(self.now), &mut self.pulses[side]);
        self.told[side].extend(last);
        totals
    }
}

fn world(delay_ms: [u64; 2]) -> World {
    let [there, back] = delay_ms.map(|ms| Path {
        delay_us: ms * 1_000,
        ..Path::default()
    });
    World::new(there, back, true)
}

#[track_caller]
fn near(found: f64, wanted: f64, by: f64) {
    assert!((found - wanted).abs() <= by, "{found}, not {wanted}");
}

#[test]
fn a_clean_call_is_measured_as_one() {
    let mut world = world([0, 0]);
    world.run(Duration::from_secs(10));
    assert_eq!(world.told[A].len(), 10);
    for (n, interval) in (0..).zip(&world.told[A]) {
        assert_eq!((interval.seq, interval.since_begin), (n, INTERVAL * (n + 1)));
        assert_eq!((interval.tx_due, interval.tx_sent), (50, 50));
        assert_eq!(
            (interval.lost, interval.dup, interval.ooo, interval.discarded),
            (0, 0, 0, 0)
        );
        assert!(interval.valid && interval.expecting);
        near(interval.mos.unwrap(), 4.409, 5e-4);
        assert_eq!(interval.tx_bytes, 50 * 172);
    }
    let totals = world.finish(A);
    assert!(!totals.one_way && totals.rtcp_seen && !totals.rtt_negative);
    assert_eq!(totals.rx, world.wire[B].len() as u64);
    assert_eq!((totals.expected, totals.lost), (totals.rx, 0));
    assert_eq!(totals.unseen, Some(0));
    assert_eq!(totals.invalid_intervals, 0);
}

#[test]
fn the_round_trip_is_both_delays_within_a_tenth_of_a_millisecond() {
    for delay_ms in [[20, 20], [200, 200], [5, 90], [0, 1]] {
        let mut world = world(delay_ms);
        world.run(Duration::from_secs(10));
        let wanted_us = (delay_ms[0] + delay_ms[1]) as f64 * 1e3;
        for side in [A, B] {
            let rtts: Vec<_> = world.told[side]
                .iter()
                .filter_map(|interval| interval.rtt_us)
                .collect();
            assert!(rtts.len() >= 7, "a figure a second: {rtts:?}");
            for rtt in rtts {
                near(rtt.into(), wanted_us, 100.0);
            }
        }
    }
}

#[test]
fn a_round_trip_of_400_ms_scores_4_134() {
    let mut world = world([200, 200]);
    world.run(Duration::from_secs(10));
    near(world.told[A].last().unwrap().mos.unwrap(), 4.134, 0.001);
}

#[test]
fn loss_is_exactly_what_the_path_lost() {
    for (plc, theory) in [(true, 3.92), (false, 2.17)] {
        let path = Path {
            loss: 0.05,
            jitter_us: 30_000,
            ..Path::default()
        };
        let mut world = World::new(path, path, plc);
        world.run(Duration::from_secs(300));
        for side in [A, B] {
            let mos: Vec<_> = world.told[side]
                .iter()
                .filter_map(|interval| interval.mos)
                .collect();
            // Rows of 50 packets score above and below 5 %; what is exact is the score of their mean loss.
            assert!(mos.len() > 290);
            let rows = &world.told[side];
            let loss = rows.iter().map(|row| row.lost as f64).sum::<f64>()
                / rows.iter().map(|row| f64::from(row.expected)).sum::<f64>();
            near(loss, 0.05, 0.01);
            near(
                emodel::score(loss, Duration::ZERO, Duration::ZERO, emodel::bpl(plc)).mos,
                theory,
                0.2,
            );
        }
        let totals = world.finish(A);
        assert_eq!(
            totals.lost + i64::from(totals.unseen.unwrap()),
            world.lost[B] as i64
        );
        assert_eq!(totals.rx + world.lost[B], world.wire[B].len() as u64);
        assert_eq!((totals.dup, totals.discarded), (0, 0));
        assert!(totals.ooo > 0, "jitter beyond 20 ms changes the order");
        let remote = world.calls[A].reports.heard().remote_lost.unwrap();
        near(remote as f64, world.lost[A] as f64, 2.0);
    }
}

#[test]
fn every_row_scores_as_the_formula_says_of_its_own_counts() {
    let path = Path {
        delay_us: 60_000,
        loss: 0.03,
        jitter_us: 10_000,
    };
    let mut world = World::new(path, path, true);
    world.run(Duration::from_secs(60));
    for row in &world.told[B] {
        let loss = (row.lost.max(0) as f64 + f64::from(row.discarded)) / f64::from(row.expected);
        // 120 ms there and back, 20 ms of sound, 40 ms of buffer: just above what costs nothing.
        let theory = 93.2 - 95.0 * (loss * 100.0) / (loss * 100.0 + 25.1);
        near(row.r.unwrap(), theory, 0.5);
        near(row.mos.unwrap(), emodel::mos(theory), 0.05);
    }
}

#[test]
fn uniform_jitter_of_30_ms_is_measured_as_10() {
    let path = Path {
        jitter_us: 30_000,
        ..Path::default()
    };
    let mut world = World::new(path, Path::default(), true);
    world.run(Duration::from_secs(300));
    let mean = |side: usize| {
        let rows: Vec<_> = world.told[side].iter().filter_map(|row| row.jitter_us).collect();
        rows.iter().map(|us| f64::from(*us)).sum::<f64>() / rows.len() as f64
    };
    near(mean(B), 10_000.0, 500.0);
    near(mean(A), 0.0, 1.0);
    let told = world.told[A].iter().filter_map(|row| row.remote_jitter_us);
    let told: Vec<_> = told.map(f64::from).collect();
    near(told.iter().sum::<f64>() / told.len() as f64, 10_000.0, 500.0);
}

#[test]
fn what_jitter_makes_later_than_the_playout_buffer_is_discarded_and_scored() {
    let path = Path {
        jitter_us: 100_000,
        ..Path::default()
    };
    let mut world = World::new(path, Path::default(), true);
    world.run(Duration::from_secs(100));
    let discarded: u32 = world.told[B].iter().map(|row| row.discarded).sum();
    let rx: u32 = world.told[B].iter().map(|row| row.rx).sum();
    near(f64::from(discarded) / f64::from(rx), 0.4, 0.02);
    assert_eq!(world.told[B].iter().map(|row| row.lost).sum::<i64>(), 0);
    let summary = world.finish(B).mos.unwrap();
    assert!(summary.mean < 3.0, "{summary:?}");
}

#[test]
fn an_interval_in_which_the_generator_was_late_has_no_quality_figure() {
    let mut world = world([20, 20]);
    world.run(Duration::from_millis(2_500));
    world.stall(A, Duration::from_millis(150));
    world.run(Duration::from_millis(3_400));
    let rows = &world.told[A];
    let found: Vec<_> = rows.iter().map(|row| row.valid).collect();
    assert_eq!(found, [true, true, false, true, true]);
    let row = &rows[2];
    assert!(row.tx_skipped >= 6 && row.tx_late_max_us >= 130_000, "{row:?}");
    assert_eq!(row.tx_due, row.tx_sent + row.tx_skipped);
    assert_eq!((row.r, row.mos), (None, None));
    assert_eq!(
        (row.jitter_us, row.rtt_us, row.remote_jitter_us, row.remote_lost),
        (None, None, None, None)
    );
    assert!(rows[3].mos.is_some() && rows[3].rtt_us.is_some());
    // Nothing drifted: the packet after the delay has the timestamp of its time, and the next number.
    let packets: Vec<_> = world.wire[A]
        .iter()
        .map(|bytes| Packet::parse(bytes).unwrap())
        .collect();
    let jump = packets
        .windows(2)
        .find(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) != 160)
        .unwrap();
    assert_eq!(jump[1].sequence, jump[0].sequence.wrapping_add(1));
    assert_eq!(
        jump[1].timestamp.wrapping_sub(jump[0].timestamp),
        160 * (row.tx_skipped + 1)
    );
    let totals = world.finish(A);
    assert_eq!(totals.invalid_intervals, 1);
    assert_eq!(
        totals.mos.unwrap().count + 2,
        totals.intervals,
        "the last one is not whole"
    );
}

#[test]
fn whole_seconds_without_the_thread_are_told_as_invalid_rows_and_not_as_one_way() {
    let mut world = world([0, 0]);
    world.run(Duration::from_millis(1_500));
    world.stall(A, Duration::from_millis(3_200));
    world.run(Duration::from_millis(5_000));
    let found: Vec<_> = world.told[A]
        .iter()
        .map(|row| (row.seq, row.valid, row.mos.is_some()))
        .collect();
    let no = |seq| (seq, false, false);
    assert_eq!(
        found,
        [(0, true, true), no(1), no(2), no(3), no(4), (5, true, true)]
    );
    assert!(world.told[A].iter().all(|row| row.tx_due == 50));
    let totals = world.finish(A);
    assert!(!totals.one_way, "it was we who did not listen");
    assert_eq!(totals.lost, 0);
}

#[test]
fn a_starved_peer_that_sends_a_few_late_packets_is_not_scored() {
    let mut world = world([0, 0]);
    world.run(Duration::from_millis(1_950));
    world.stall(B, Duration::from_millis(950));
    world.run(Duration::from_millis(1_050));
    // What it sends next is late by more than any playout buffer has room for.
    world.paths[B].delay_us = 100_000;
    world.run(Duration::from_millis(20));
    world.paths[B].delay_us = 0;
    world.stall(B, Duration::from_millis(2_000));
    world.run(Duration::from_millis(2_000));
    let rows: Vec<_> = world.told[A].iter().filter(|row| row.expected < 10).collect();
    assert!(rows.iter().any(|row| row.discarded > 0), "{rows:?}");
    assert!(
        rows.iter()
            .all(|row| row.valid && row.r.is_none() && row.mos.is_none())
    );
}

#[test]
fn a_packet_that_the_kernel_refuses_makes_the_interval_invalid_and_no_loss() {
    let mut world = world([0, 0]);
    world.run(Duration::from_millis(500));
    // By hand: the next packet of A is refused.
    world.now = world.calls[A].next().0;
    let (now, pulse) = (Mono(world.now), &mut world.pulses[A]);
    assert!(matches!(
        world.calls[A].poll(now, SystemTime::UNIX_EPOCH, pulse),
        Step::Packet(..)
    ));
    world.calls[A].sent(Err(105), now, pulse);
    world.run(Duration::from_millis(1_500));
    let row = &world.told[A][0];
    assert_eq!(
        (row.tx_due, row.tx_sent, row.tx_refused, row.valid, row.mos),
        (50, 49, 1, false, None)
    );
    assert_eq!(world.finish(A).send_error, Some(105));
    let (_, totals) = world.calls[B].finish(Mono(world.now), &mut world.pulses[B]);
    assert_eq!(totals.lost, 0);
}

#[test]
fn a_silent_peer_is_one_way_audio_but_not_on_hold_or_after_its_bye() {
    // B never sends.
    let mut silent = world([0, 0]);
    silent.calls[B].direct(Direction::RecvOnly);
    silent.run(Duration::from_millis(2_500));
    assert!(silent.told[A].iter().all(|row| row.mos.is_none() && row.rx == 0));
    assert!(silent.finish(A).one_way);

    let mut held = world([0, 0]);
    held.calls[A].direct(Direction::SendOnly);
    held.calls[B].direct(Direction::RecvOnly);
    held.run(Duration::from_millis(3_500));
    assert!(held.told[A].iter().all(|row| !row.expecting && row.rx == 0));
    assert!(held.told[B].iter().all(|row| row.tx_due == 0 && row.valid));
    held.calls[A].direct(Direction::SendRecv);
    held.calls[B].direct(Direction::SendRecv);
    held.run(Duration::from_secs(3));
    assert!(held.told[A].last().unwrap().expecting);
    assert!(!held.finish(A).one_way);

    let mut gone = world([0, 0]);
    gone.run(Duration::from_millis(1_500));
    let now = Mono(gone.now);
    let bye = gone.calls[B].bye(now).0.to_vec();
    gone.calls[B].direct(Direction::Inactive);
    gone.calls[A].receive_report(&bye, now);
    gone.run(Duration::from_millis(3_000));
    let totals = gone.finish(A);
    assert!(!totals.one_way && totals.peer_bye);
}

#[test]
fn digits_are_heard_at_the_other_end_and_cost_no_sound_quality() {
    let mut world = world([30, 30]);
    world.run(Duration::from_millis(1_500));
    for key in "12#".chars() {
        world.calls[A].dial(Digit::try_from(key).unwrap());
    }
    world.run(Duration::from_secs(3));
    let mut events = Vec::new();
    for bytes in &world.wire[A] {
        let packet = Packet::parse(bytes).unwrap();
        if packet.payload_type == 101 {
            events.push(TelephoneEvent::parse(packet.payload).unwrap().event);
        }
    }
    events.dedup();
    assert_eq!(events, [1, 2, 11]);
    for row in &world.told[B] {
        assert_eq!((row.lost, row.discarded), (0, 0));
        assert!(row.jitter_us.unwrap() < 10, "{row:?}");
    }
    assert_eq!(world.finish(A).dtmf_sent, 3);
    let (_, totals) = world.calls[B].finish(Mono(world.now), &mut world.pulses[B]);
    assert_eq!(totals.dtmf_received, 3);
}

#[test]
fn packets_from_long_before_the_call_are_not_of_it() {
    let mut call = call(A, true);
    let packet = |sequence: u16| {
        let header = crate::rtp::Header {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 5,
        };
        header.bytes().to_vec()
    };
    let mut call_begun_late = {
        call.begin = Mono(10_000 * MS);
        call
    };
    // Early media, of which the socket kept only the oldest.
    for n in 0..100 {
        call_begun_late.receive(address(B, false), &packet(n), Mono(u64::from(n) * 20 * MS));
    }
    for n in 495..510 {
        call_begun_late.receive(address(B, false), &packet(n), Mono(u64::from(n) * 20 * MS));
    }
    let (_, totals) = call_begun_late.finish(Mono(10_200 * MS), &mut Pulse::default());
    assert_eq!((totals.rx, totals.expected, totals.lost), (15, 15, 0));
}
