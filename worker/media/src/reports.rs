//! A call's RTCP: what we report, and what the peer's reports say of our stream, of the round trip, and of what it has sent.

use std::time::Duration;

use crate::clock::{Clock, Mono, Ntp};
use crate::receive::Receiver;
use crate::rtcp::{Block, Compound, Message, Report, SenderInfo};
use crate::send::packets::Sent;

/// Round trips down to this below zero, in 1/65,536 s, come of rounding three stamps: 61 µs.
const ROUNDING: i32 = 4;

/// What the peer's reports said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// Round trips since the last [`Reports::take`].
    pub rtt: Mean,
    /// The last round trip.
    pub last_rtt: Option<Duration>,
    /// Some round trip was negative: a coarse clock of the peer.
    pub rtt_negative: bool,
    /// Jitter of our packets at the peer since the last [`Reports::take`], µs.
    pub remote_jitter_us: Option<u32>,
    /// Our packets that the peer misses, since the call began.
    pub remote_lost: Option<i64>,
    /// Packets that the peer has sent, since its call began.
    pub peer_sent: Option<u32>,
    /// Those of them that no sequence number has shown.
    pub unseen: Option<u32>,
    /// A report came.
    pub any: bool,
    /// The peer has left.
    pub bye: bool,
}

/// The mean of some durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    sum: Duration,
    count: u32,
}

impl Mean {
    fn add(&mut self, one: Duration) {
        self.sum += one;
        self.count += 1;
    }

    /// `None` without any.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }
}

/// The RTCP of one call.
#[derive(Clone, Debug)]
pub struct Reports {
    ssrc: u32,
    cname: String,
    /// The last sender report: its stamp, and when it came.
    last_report: Option<(u32, Mono)>,
    /// Expected and received at our last report.
    reported: (u64, u64),
    heard: Heard,
}

impl Reports {
    /// Of a participant with this number.
    #[must_use]
    pub fn new(ssrc: u32, cname: String) -> Self {
        Self {
            ssrc,
            cname,
            last_report: None,
            reported: (0, 0),
            heard: Heard::default(),
        }
    }

    /// Takes a datagram. Whose it is, its numbers say: source addresses are not looked at.
    pub fn receive(&mut self, datagram: &[u8], arrival: Mono, clock: &Clock, receiver: &Receiver) {
        for message in Compound::new(datagram) {
            match message {
                Message::Sender { ssrc, info, blocks } => {
                    self.heard.any = true;
                    self.sender(ssrc, info, arrival, receiver);
                    self.blocks(blocks, clock.ntp(arrival));
                }
                Message::Receiver { blocks, .. } => {
                    self.heard.any = true;
                    self.blocks(blocks, clock.ntp(arrival));
                }
                Message::Bye(mut sources) => {
                    let peer = receiver.ssrc();
                    self.heard.bye |= sources.any(|ssrc| peer.is_none_or(|peer| peer == ssrc));
                }
            }
        }
    }

    /// What was heard. Round trips and jitter are told once.
    pub fn take(&mut self) -> Heard {
        let heard = self.heard;
        self.heard.rtt = Mean::default();
        self.heard.remote_jitter_us = None;
        heard
    }

    /// What was heard, without taking it.
    #[must_use]
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Our report of this moment. `timestamp` is the RTP clock's now.
    pub fn report(
        &mut self,
        now: Mono,
        clock: &Clock,
        sent: Sent,
        timestamp: u32,
        receiver: &Receiver,
        bye: bool,
    ) -> Report<'_> {
        let block = self.block(now, receiver);
        let sender = (sent.packets > 0).then(|| SenderInfo {
            ntp: clock.ntp(now),
            timestamp,
            packets: sent.packets as u32,
            octets: sent.octets as u32,
        });
        Report {
            ssrc: self.ssrc,
            sender,
            block,
            cname: &self.cname,
            bye,
        }
    }

    fn sender(&mut self, ssrc: u32, info: SenderInfo, arrival: Mono, receiver: &Receiver) {
        if receiver.ssrc().is_some_and(|peer| peer != ssrc) {
            return;
        }
        self.last_report = Some((info.ntp.middle(), arrival));
        self.heard.peer_sent = Some(info.packets);
        let shown = receiver.sequence().map_or(0, |sequence| sequence.span());
        self.heard.unseen = Some(info.packets.saturating_sub(shown.try_into().unwrap_or(u32::MAX)));
    }

    fn blocks(&mut self, blocks: impl Iterator<Item = Block>, arrival: Ntp) {
        for block in blocks.filter(|block| block.ssrc == self.ssrc) {
            self.heard.remote_lost = Some(block.lost.into());
            let jitter_us = u64::from(block.jitter) * 125;
            self.heard.remote_jitter_us = Some(jitter_us.try_into().unwrap_or(u32::MAX));
            if block.last_report == 0 {
                continue;
            }
            // All in 1/65,536 s, modulo 18 hours.
            let rtt = arrival
                .middle()
                .wrapping_sub(block.last_report)
                .wrapping_sub(block.delay);
            let rtt = rtt as i32;
            self.heard.rtt_negative |= rtt < -ROUNDING;
            let rtt = Duration::from_secs(u64::from(rtt.max(0).unsigned_abs())) / 65_536;
            self.heard.last_rtt = Some(rtt);
            self.heard.rtt.add(rtt);
        }
    }

    /// What we say of the peer's stream. Loss is by different packets: a duplicate does not make up for a lost one, as it would in RFC 3550.
    fn block(&mut self, now: Mono, receiver: &Receiver) -> Option<Block> {
        let (Some(ssrc), Some(sequence), Some(jitter)) =
            (receiver.ssrc(), receiver.sequence(), receiver.jitter())
        else {
            return None;
        };
        let (expected, came) = (sequence.span(), sequence.counts().rx);
        let (expected_before, came_before) = std::mem::replace(&mut self.reported, (expected, came));
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(came.saturating_sub(came_before));
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        let delay = self.last_report.map_or(0, |(_, at)| {
            let q16 = now.since(at).as_nanos() * 65_536 / 1_000_000_000;
            u32::try_from(q16).unwrap_or(u32::MAX)
        });
        Some(Block {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(expected.saturating_sub(came)).unwrap_or(i32::MAX),
            highest: sequence.extended_highest(),
            jitter: jitter.ticks(),
            last_report: self.last_report.map_or(0, |(stamp, _)| stamp),
            delay,
        })
    }
}

#[cfg(test)]
mod tests;
