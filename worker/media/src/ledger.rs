//! The books of one call: what the present second has, and what all of them had.

use std::time::{Duration, SystemTime};

use crate::emodel;
use crate::interval::{Interval, Summary, Totals};
use crate::receive::{Received, Receiver};
use crate::reports::Reports;
use crate::send::packets::{Packets, Sent};

/// Of a full interval.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Fewer packets are not scored. A peer that sends so few is silent, or starved: one late packet of three is no quality of the network.
pub const SCORED: u32 = 10;

/// What the quality of an interval is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A visit later than this makes an interval invalid.
    pub late: Duration,
    /// The simulated playout buffer.
    pub buffer: Duration,
    /// The E-model's robustness against loss.
    pub bpl: f64,
}

/// How sending went in the present second.
#[derive(Clone, Copy, Debug, Default)]
struct Sending {
    due: u32,
    sent: u32,
    skipped: u32,
    refused: u32,
    late_max: Duration,
    /// More came than could be read at once: it may belong to the interval before.
    backlog: bool,
}

/// The books.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    now: Sending,
    /// Packets were expected from the beginning of the interval on.
    expecting: bool,
    seq: u32,
    /// The counts when the interval began.
    received: Received,
    sent: Sent,
    remote_lost: i64,
    totals: Totals,
}

/// The end of an interval.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// By the wall clock.
    pub at: SystemTime,
    /// Since the call began.
    pub since_begin: Duration,
    /// Of the interval.
    pub duration: Duration,
    /// It is a whole one. The last one of a call is not, and has no quality figures.
    pub full: bool,
    /// Packets are expected now.
    pub expecting: bool,
}

impl Ledger {
    /// Of a call that begins.
    #[must_use]
    pub fn new(limits: Limits, expecting: bool) -> Self {
        Self {
            limits,
            now: Sending::default(),
            expecting,
            seq: 0,
            received: Received::default(),
            sent: Sent::default(),
            remote_lost: 0,
            totals: Totals {
                bpl: limits.bpl,
                jitter_buffer: limits.buffer,
                ..Totals::default()
            },
        }
    }

    /// A visit so late: whether it was too late.
    pub fn visit(&mut self, late: Duration) -> bool {
        self.now.late_max = self.now.late_max.max(late);
        late > self.limits.late
    }

    /// A packet was due.
    pub fn due(&mut self) {
        self.now.due += 1;
    }

    /// It was sent.
    pub fn sent(&mut self) {
        self.now.sent += 1;
    }

    /// Its time was over.
    pub fn skipped(&mut self) {
        self.now.skipped += 1;
    }

    /// The kernel refused it with this error.
    pub fn refused(&mut self, errno: i32) {
        self.now.refused += 1;
        self.totals.send_error = Some(errno);
    }

    /// Not all that had come could be read.
    pub fn backlog(&mut self) {
        self.now.backlog = true;
    }

    /// From here on nothing is expected, or it was not until here: the present interval says nothing of a silent peer.
    pub fn not_expecting(&mut self) {
        self.expecting = false;
    }

    /// Ends the interval.
    pub fn close(
        &mut self,
        closing: Closing,
        receiver: &Receiver,
        reports: &mut Reports,
        packets: &Packets,
    ) -> Interval {
        let interval = self.interval(closing, receiver, reports, packets);
        self.add(&interval, closing.full);
        self.now = Sending::default();
        self.expecting = closing.expecting;
        self.seq += 1;
        self.received = receiver.received();
        self.sent = packets.counts();
        interval
    }

    /// The totals, once the last interval is closed.
    #[must_use]
    pub fn totals(&self, duration: Duration, reports: &Reports, packets: &Packets) -> Totals {
        let heard = reports.heard();
        let digits = packets.digits();
        Totals {
            duration,
            rtcp_seen: heard.any,
            rtt_negative: heard.rtt_negative,
            peer_bye: heard.bye,
            peer_sent: heard.peer_sent,
            unseen: heard.unseen,
            remote_lost: heard.remote_lost,
            dtmf_sent: digits.sent,
            dtmf_refused: digits.refused,
            dtmf_received: self.received.digits,
            ..self.totals.clone()
        }
    }

    fn interval(
        &mut self,
        closing: Closing,
        receiver: &Receiver,
        reports: &mut Reports,
        packets: &Packets,
    ) -> Interval {
        let (received, before) = (receiver.received(), self.received);
        let (counts, counts_before) = (received.counts, before.counts);
        let heard = reports.take();
        let Sending {
            due,
            sent,
            skipped,
            refused,
            late_max,
            backlog,
        } = self.now;
        let valid = skipped == 0 && refused == 0 && late_max <= self.limits.late && !backlog;
        let quality = valid && closing.full;
        let rx = less(counts.rx, counts_before.rx);
        let jitter = receiver.jitter().map(|jitter| jitter.estimate());
        let jitter = jitter.filter(|_| rx > 0);
        let expected = less(counts.expected, counts_before.expected);
        let lost = counts.lost - counts_before.lost;
        let discarded = less(received.discarded, before.discarded);
        let score = (quality && expected >= SCORED).then(|| {
            let missed = lost.max(0) as f64 + f64::from(discarded);
            emodel::score(
                missed / f64::from(expected),
                heard.last_rtt.unwrap_or_default(),
                jitter.unwrap_or_default(),
                self.limits.bpl,
            )
        });
        let reported = heard.remote_jitter_us.filter(|_| quality);
        let remote_lost = heard.remote_lost.map(|lost| lost - self.remote_lost);
        self.remote_lost = heard.remote_lost.unwrap_or(self.remote_lost);
        Interval {
            seq: self.seq,
            at: closing.at,
            since_begin: closing.since_begin,
            duration: closing.duration,
            tx_due: due,
            tx_sent: sent,
            tx_skipped: skipped,
            tx_refused: refused,
            tx_late_max_us: us(late_max),
            tx_bytes: packets.counts().bytes - self.sent.bytes,
            rx,
            rx_bytes: received.bytes - before.bytes,
            expected,
            lost,
            dup: less(counts.dup, counts_before.dup),
            ooo: less(counts.ooo, counts_before.ooo),
            discarded,
            foreign: less(received.foreign, before.foreign),
            jitter_us: jitter.filter(|_| quality).map(us_u32),
            rtt_us: heard.rtt.get().filter(|_| quality).map(us_u32),
            remote_jitter_us: reported,
            remote_lost: remote_lost.filter(|_| reported.is_some()),
            peer_sent: heard.peer_sent,
            r: score.map(|score| score.r),
            mos: score.map(|score| score.mos),
            valid,
            expecting: self.expecting && closing.expecting,
        }
    }

    fn add(&mut self, interval: &Interval, full: bool) {
        let totals = &mut self.totals;
        totals.intervals += 1;
        totals.invalid_intervals += u32::from(!interval.valid);
        totals.tx_due += u64::from(interval.tx_due);
        totals.tx_sent += u64::from(interval.tx_sent);
        totals.tx_skipped += u64::from(interval.tx_skipped);
        totals.tx_refused += u64::from(interval.tx_refused);
        totals.tx_late_max_us = totals.tx_late_max_us.max(interval.tx_late_max_us);
        totals.tx_bytes += interval.tx_bytes;
        totals.rx += u64::from(interval.rx);
        totals.rx_bytes += interval.rx_bytes;
        totals.expected += u64::from(interval.expected);
        totals.lost += interval.lost;
        totals.dup += u64::from(interval.dup);
        totals.ooo += u64::from(interval.ooo);
        totals.discarded += u64::from(interval.discarded);
        totals.foreign += u64::from(interval.foreign);
        totals.one_way |= full && interval.valid && interval.expecting && interval.rx == 0;
        for (summary, value) in [
            (&mut totals.rtt_us, interval.rtt_us.map(f64::from)),
            (&mut totals.jitter_us, interval.jitter_us.map(f64::from)),
            (&mut totals.mos, interval.mos),
        ] {
            if let Some(value) = value {
                *summary = Some(Summary::and(*summary, value));
            }
        }
    }
}

/// How much more there is than before.
fn less(now: impl Into<u64>, before: impl Into<u64>) -> u32 {
    u32::try_from(now.into().saturating_sub(before.into())).unwrap_or(u32::MAX)
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn us_u32(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
