//! What comes: whose it is, and what it says of the network.

pub mod jitter;
pub mod playout;
pub mod sequence;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::jitter::Jitter;
use self::playout::Playout;
use self::sequence::{Counts, Outcome, Sequence};
use crate::clock::Mono;
use crate::dtmf::TelephoneEvent;
use crate::rtp::Packet;

/// One tick of the 8 kHz clock.
pub const TICK_NS: i64 = 125_000;

/// Everything that is counted of what comes, since the call began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// By sequence numbers, of all sources one after the other.
    pub counts: Counts,
    /// Bytes of the packets in `counts.rx`.
    pub bytes: u64,
    /// Too late for the playout buffer.
    pub discarded: u64,
    /// From elsewhere, or not RTP of this call.
    pub foreign: u64,
    /// Digits.
    pub digits: u32,
}

/// The receiving side of one call.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where the peer said it is.
    signalled: Address,
    /// Where it is.
    latched: Option<Address>,
    payload_type: u8,
    dtmf_payload_type: Option<u8>,
    buffer: Duration,
    source: Option<Source>,
    /// The first packet of another source at the same address; the second makes it ours.
    candidate: Option<Candidate>,
    /// Of sources that are over.
    past: Counts,
    /// All but the counts of the present source.
    received: Received,
    last_digit: Option<u32>,
}

type Address = (IpAddr, u16);

#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    sequence: Sequence,
    jitter: Jitter,
    playout: Playout,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    ssrc: u32,
    sequence: u16,
    bytes: u64,
}

impl Receiver {
    /// Nothing came yet. `signalled`: where it should come from.
    #[must_use]
    pub fn new(
        signalled: SocketAddr,
        payload_type: u8,
        dtmf_payload_type: Option<u8>,
        buffer: Duration,
    ) -> Self {
        Self {
            signalled: address(signalled),
            latched: None,
            payload_type,
            dtmf_payload_type,
            buffer,
            source: None,
            candidate: None,
            past: Counts::default(),
            received: Received::default(),
            last_digit: None,
        }
    }

    /// The peer says it is elsewhere now.
    pub fn retarget(&mut self, signalled: SocketAddr) {
        if self.signalled != address(signalled) {
            self.signalled = address(signalled);
            self.latched = None;
        }
    }

    /// Takes a datagram.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], arrival: Mono) {
        let packet = Packet::parse(datagram).filter(|packet| self.is_ours(address(from), packet));
        let Some(packet) = packet else {
            self.received.foreign += 1;
            return;
        };
        let bytes = datagram.len() as u64;
        let known = self
            .source
            .as_ref()
            .is_some_and(|source| source.ssrc == packet.ssrc);
        if !known && !self.adopt(&packet, bytes) {
            return;
        }
        if known {
            self.candidate = None;
            if !self.count(packet.sequence, bytes) {
                return;
            }
        }
        self.measure(&packet, arrival);
    }

    /// So far.
    #[must_use]
    pub fn received(&self) -> Received {
        let present = self.source.as_ref().map(|source| source.sequence.counts());
        Received {
            counts: self.past.plus(present.unwrap_or_default()),
            ..self.received
        }
    }

    /// Nothing more is coming: what has not come is lost.
    pub fn flush(&mut self) {
        if let Some(source) = &mut self.source {
            source.sequence.flush();
        }
    }

    /// Who sends, if anything came.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// The present source's numbers.
    #[must_use]
    pub fn sequence(&self) -> Option<&Sequence> {
        self.source.as_ref().map(|source| &source.sequence)
    }

    /// The present source's jitter.
    #[must_use]
    pub fn jitter(&self) -> Option<&Jitter> {
        self.source.as_ref().map(|source| &source.jitter)
    }

    /// Whether it comes from the latched address, or latches it. Where the peer said it is, it is believed to be, whoever was heard
    /// before: it may have been an old call.
    fn is_ours(&mut self, from: Address, packet: &Packet) -> bool {
        if self.latched == Some(from) {
            return true;
        }
        let fits =
            packet.payload_type == self.payload_type || Some(packet.payload_type) == self.dtmf_payload_type;
        let latches = fits && (self.latched.is_none() || from == self.signalled);
        if latches {
            self.latched = Some(from);
        }
        latches
    }

    /// A packet of another source than the present one: whether it is the present one now. A single stray packet must not end the
    /// counting of a source.
    fn adopt(&mut self, packet: &Packet, bytes: u64) -> bool {
        let first = self.source.is_none();
        let confirmed = self.candidate.filter(|candidate| {
            candidate.ssrc == packet.ssrc && candidate.sequence.wrapping_add(1) == packet.sequence
        });
        if !first && confirmed.is_none() {
            self.candidate = Some(Candidate {
                ssrc: packet.ssrc,
                sequence: packet.sequence,
                bytes,
            });
            return false;
        }
        let start = confirmed.map_or(packet.sequence, |candidate| candidate.sequence);
        self.start(packet.ssrc, start);
        self.received.bytes += bytes + confirmed.map_or(0, |candidate| candidate.bytes);
        if let (Some(source), Some(_)) = (&mut self.source, confirmed) {
            source.sequence.observe(packet.sequence);
        }
        true
    }

    /// Begins a source, or a numbering, and settles the one before.
    fn start(&mut self, ssrc: u32, sequence: u16) {
        self.flush();
        self.past = self.received().counts;
        self.candidate = None;
        self.source = Some(Source {
            ssrc,
            sequence: Sequence::new(sequence),
            jitter: Jitter::default(),
            playout: Playout::new(self.buffer),
        });
    }

    /// Counts a packet of the present source: whether it is a new one.
    fn count(&mut self, number: u16, bytes: u64) -> bool {
        let Some(source) = &mut self.source else {
            return false;
        };
        match source.sequence.observe(number) {
            Outcome::Newest | Outcome::Reordered => self.received.bytes += bytes,
            Outcome::Duplicate => return false,
            Outcome::Astray => {
                self.received.foreign += 1;
                return false;
            }
            Outcome::Restarted => {
                let ssrc = source.ssrc;
                self.start(ssrc, number.wrapping_sub(1));
                // The one before was taken for a stray.
                self.received.foreign = self.received.foreign.saturating_sub(1);
                self.received.bytes += bytes * 2;
                if let Some(source) = &mut self.source {
                    source.sequence.observe(number);
                }
            }
        }
        true
    }

    fn measure(&mut self, packet: &Packet, arrival: Mono) {
        let Some(source) = &mut self.source else {
            return;
        };
        if Some(packet.payload_type) == self.dtmf_payload_type {
            // All packets of an event have its first moment as their timestamp: they say nothing of jitter.
            let digit = TelephoneEvent::parse(packet.payload).is_some_and(|event| event.event <= 15);
            if digit && self.last_digit != Some(packet.timestamp) {
                self.last_digit = Some(packet.timestamp);
                self.received.digits += 1;
            }
            return;
        }
        source.jitter.observe(arrival, packet.timestamp);
        if !source.playout.observe(arrival, packet.timestamp) {
            self.received.discarded += 1;
        }
    }
}

/// An address as it is compared: an IPv4 address in its IPv6 form is the IPv4 address, and scopes do not count.
fn address(of: SocketAddr) -> Address {
    (of.ip().to_canonical(), of.port())
}

#[cfg(test)]
mod tests;
