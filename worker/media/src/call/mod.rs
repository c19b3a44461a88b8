//! One call, without its sockets: it says what to send and when, and is told what came and what time it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, Mono};
use crate::dtmf::Digit;
use crate::emodel;
use crate::health::Pulse;
use crate::interval::{Interval, Totals};
use crate::ledger::{Closing, INTERVAL, Ledger, Limits};
use crate::receive::Receiver;
use crate::reports::Reports;
use crate::rtcp;
use crate::send::packets::{self, Packets, Start};
use crate::send::schedule::Schedule;
use crate::stream::{Direction, SAMPLE_RATE, Stream};

/// Packets in an interval, and between two of our reports. RFC 3550 would have a report in five seconds, at random times; we want a figure a
/// second.
pub const SLOTS_PER_INTERVAL: u64 = 50;
/// What came this long before the beginning still counts: the peer may begin first. Older packets are of something else.
const HEAD_START: Duration = Duration::from_millis(200);

/// What the call is to itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where its numbers start.
    pub start: Start,
    /// Its name in RTCP.
    pub cname: String,
    /// Which of the 50 slots of a second its reports go out in, so that calls that begin together do not report together.
    pub phase: u64,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Send this as RTP, and say how it went with [`Call::sent`].
    Packet(&'a [u8], SocketAddr),
    /// Send this as RTCP.
    Report(&'a [u8], SocketAddr),
    /// Tell this.
    Interval(Interval),
    /// Nothing until the next slot.
    Wait,
}

/// The call.
#[derive(Debug)]
pub struct Call {
    clock: Clock,
    remote_rtp: SocketAddr,
    remote_rtcp: SocketAddr,
    direction: Direction,
    begin: Mono,
    phase: u64,
    schedule: Schedule,
    packets: Packets,
    receiver: Receiver,
    reports: Reports,
    ledger: Ledger,
    /// Slots that are over, and intervals.
    slots: u64,
    rows: u32,
    /// The packet that was handed out, when it was due, and its length.
    pending: Option<(Mono, usize)>,
    report_due: bool,
    /// Both clocks at the last look.
    wall: (Mono, SystemTime),
    packet: [u8; packets::LARGEST],
    report: [u8; rtcp::LARGEST],
}

impl Call {
    /// A call whose first packet is due at `begin`. `sound` is the stream's source as encoded.
    #[must_use]
    pub fn new(
        stream: &Stream,
        sound: Arc<[u8]>,
        identity: Identity,
        direction: Direction,
        (late, buffer): (Duration, Duration),
        (begin, clock): (Mono, Clock),
    ) -> Self {
        let limits = Limits {
            late,
            buffer,
            bpl: emodel::bpl(stream.plc),
        };
        let Identity { start, cname, phase } = identity;
        let dtmf = stream.dtmf_payload_type;
        Self {
            remote_rtp: stream.remote_rtp,
            remote_rtcp: stream.remote_rtcp,
            direction,
            begin,
            phase: phase % SLOTS_PER_INTERVAL,
            schedule: Schedule::new(begin),
            packets: Packets::new(start, stream.payload_type, dtmf, sound),
            receiver: Receiver::new(stream.remote_rtp, stream.payload_type, dtmf, buffer),
            reports: Reports::new(start.ssrc, cname),
            ledger: Ledger::new(limits, direction.receives()),
            slots: 0,
            rows: 0,
            pending: None,
            report_due: false,
            wall: (begin, SystemTime::now()),
            packet: [0; packets::LARGEST],
            report: [0; rtcp::LARGEST],
            clock,
        }
    }

    /// Hold and resume.
    pub fn direct(&mut self, direction: Direction) {
        self.direction = direction;
        if !direction.receives() {
            self.ledger.not_expecting();
        }
    }

    /// Sends elsewhere from now on.
    pub fn retarget(&mut self, remote_rtp: SocketAddr, remote_rtcp: SocketAddr) {
        self.remote_rtp = remote_rtp;
        self.remote_rtcp = remote_rtcp;
        self.receiver.retarget(remote_rtp);
    }

    /// Puts a digit behind those that wait.
    pub fn dial(&mut self, digit: Digit) {
        self.packets.dial(digit);
    }

    /// Takes what came at the RTP port.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], arrival: Mono) {
        if arrival.plus(HEAD_START) >= self.begin {
            self.receiver.receive(from, datagram, arrival);
        }
    }

    /// Takes what came at the RTCP port.
    pub fn receive_report(&mut self, datagram: &[u8], arrival: Mono) {
        if arrival.plus(HEAD_START) >= self.begin {
            let before = self.reports.heard().bye;
            self.reports
                .receive(datagram, arrival, &self.clock, &self.receiver);
            if self.reports.heard().bye && !before {
                self.ledger.not_expecting();
            }
        }
    }

    /// Not all that had come could be read.
    pub fn backlog(&mut self) {
        self.ledger.backlog();
    }

    /// Slots that are over.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// When the next packet is due.
    #[must_use]
    pub fn next(&self) -> Mono {
        self.schedule.next()
    }

    /// What to do now. To be asked again until it is [`Step::Wait`].
    pub fn poll(&mut self, now: Mono, wall: SystemTime, pulse: &mut Pulse) -> Step<'_> {
        self.wall = (now, wall);
        loop {
            if let Some(interval) = self.close_if_over(now, pulse) {
                return Step::Interval(interval);
            }
            let Some(slot) = self.schedule.take(now) else {
                break;
            };
            let sends = self.direction.sends();
            if sends {
                self.ledger.due();
                pulse.due += 1;
            }
            if sends && !slot.skipped {
                let len = self.packets.write(&mut self.packet);
                self.pending = Some((slot.due, len));
                return Step::Packet(&self.packet[..len], self.remote_rtp);
            }
            self.packets.pass();
            self.ledger.visit(slot.late);
            pulse.lateness.record(slot.late);
            if sends {
                self.ledger.skipped();
                pulse.skipped += 1;
            }
            self.end_slot();
        }
        if self.report_due {
            self.report_due = false;
            let len = self.write_report(now, false);
            return Step::Report(&self.report[..len], self.remote_rtcp);
        }
        Step::Wait
    }

    /// The packet went out, or the operating system did not want it, at this moment.
    pub fn sent(&mut self, result: Result<(), i32>, at: Mono, pulse: &mut Pulse) {
        let Some((due, len)) = self.pending.take() else {
            return;
        };
        let late = at.since(due);
        let too_late = self.ledger.visit(late);
        pulse.lateness.record(late);
        match result {
            Ok(()) => {
                self.packets.sent(len);
                self.ledger.sent();
                pulse.sent += 1;
                pulse.late += u64::from(too_late);
            }
            Err(errno) => {
                self.packets.refused();
                self.ledger.refused(errno);
                pulse.refused += 1;
            }
        }
        self.end_slot();
    }

    /// Ends the call: the last, shorter interval if there is one, and the totals.
    pub fn finish(&mut self, now: Mono, pulse: &mut Pulse) -> (Option<Interval>, Totals) {
        self.receiver.flush();
        self.packets.finish();
        let duration = now.since(self.begin);
        let rest = duration.saturating_sub(INTERVAL * self.rows);
        let last = (!rest.is_zero()).then(|| self.close(duration, rest, false, pulse));
        (last, self.ledger.totals(duration, &self.reports, &self.packets))
    }

    /// The report that says BYE, and where it goes.
    pub fn bye(&mut self, now: Mono) -> (&[u8], SocketAddr) {
        let len = self.write_report(now, true);
        (&self.report[..len], self.remote_rtcp)
    }

    fn end_slot(&mut self) {
        if self.slots % SLOTS_PER_INTERVAL == self.phase {
            self.report_due = true;
        }
        self.slots += 1;
    }

    /// Ends the interval when the first slot of the next one is due.
    fn close_if_over(&mut self, now: Mono, pulse: &mut Pulse) -> Option<Interval> {
        let over = self.slots == SLOTS_PER_INTERVAL * (u64::from(self.rows) + 1);
        let since_begin = self.schedule.next().since(self.begin);
        (over && now >= self.schedule.next()).then(|| self.close(since_begin, INTERVAL, true, pulse))
    }

    fn close(
        &mut self,
        since_begin: Duration,
        duration: Duration,
        full: bool,
        pulse: &mut Pulse,
    ) -> Interval {
        let (now, wall) = self.wall;
        let end = self.begin.plus(since_begin);
        let at = wall.checked_sub(now.since(end)).unwrap_or(wall);
        let closing = Closing {
            at,
            since_begin,
            duration,
            full,
            expecting: self.direction.receives() && !self.reports.heard().bye,
        };
        let interval = self
            .ledger
            .close(closing, &self.receiver, &mut self.reports, &self.packets);
        self.rows += 1;
        pulse.intervals += 1;
        pulse.invalid_intervals += u64::from(!interval.valid);
        interval
    }

    fn write_report(&mut self, now: Mono, bye: bool) -> usize {
        // The timestamp of the next slot, less the time until then.
        let ahead = self.schedule.next().since(now).as_nanos() as i64
            - now.since(self.schedule.next()).as_nanos() as i64;
        let ticks = ahead * i64::from(SAMPLE_RATE) / 1_000_000_000;
        let timestamp = self.packets.timestamp().wrapping_sub(ticks as u32);
        let sent = self.packets.counts();
        let report = self
            .reports
            .report(now, &self.clock, sent, timestamp, &self.receiver, bye);
        report.write(&mut self.report)
    }
}

#[cfg(test)]
mod tests;
