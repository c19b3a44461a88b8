//! What is in the packets of one call: sound, and digits in its place.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dtmf::{DIGIT_TICKS, Digit, END_PACKETS, PAUSE_PACKETS, TelephoneEvent, VOLUME};
use crate::rtp::{HEADER, Header};
use crate::stream::SAMPLES_PER_PACKET;

/// Samples of one packet, and so its bytes.
const SOUND: usize = SAMPLES_PER_PACKET as usize;
/// The largest packet that we send.
pub const LARGEST: usize = HEADER + SOUND;
/// Ticks of one packet.
const TICKS: u16 = SAMPLES_PER_PACKET as u16;
/// Digits that may wait.
const DIGITS: usize = 64;

/// Where numbers start; RFC 3550 wants them drawn by lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Us.
    pub ssrc: u32,
    /// Of the first packet.
    pub sequence: u16,
    /// Of the first packet.
    pub timestamp: u32,
}

/// Makes the packets.
#[derive(Debug)]
pub struct Packets {
    ssrc: u32,
    payload_type: u8,
    dtmf_payload_type: Option<u8>,
    sound: Arc<[u8]>,
    /// Of the sound.
    position: usize,
    sequence: u16,
    /// Of the slot that comes next.
    timestamp: u32,
    /// The next packet begins a stretch of sound.
    marker: bool,
    waiting: VecDeque<Digit>,
    sounding: Option<Sounding>,
    pause: u8,
    digits: Digits,
    sent: Sent,
}

/// A digit that is being sent.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    digit: Digit,
    timestamp: u32,
    duration: u16,
    ends: u8,
}

/// What became of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digits {
    /// Sent to the end.
    pub sent: u32,
    /// There was no way to send them.
    pub refused: u32,
}

/// Counts as sender reports have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Bytes of payload.
    pub octets: u64,
    /// Bytes with headers.
    pub bytes: u64,
}

impl Packets {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(start: Start, payload_type: u8, dtmf_payload_type: Option<u8>, sound: Arc<[u8]>) -> Self {
        Self {
            ssrc: start.ssrc,
            payload_type,
            dtmf_payload_type,
            sound,
            position: 0,
            sequence: start.sequence,
            timestamp: start.timestamp,
            marker: true,
            waiting: VecDeque::with_capacity(DIGITS),
            sounding: None,
            pause: 0,
            digits: Digits::default(),
            sent: Sent::default(),
        }
    }

    /// Puts a digit behind those that wait. At most 64 wait; more are refused.
    pub fn dial(&mut self, digit: Digit) {
        if self.dtmf_payload_type.is_some() && self.waiting.len() < DIGITS {
            self.waiting.push_back(digit);
        } else {
            self.digits.refused += 1;
        }
    }

    /// A slot in which nothing is sent: time goes on. What is heard next begins a new stretch.
    pub fn pass(&mut self) {
        self.next_slot();
        self.marker = true;
    }

    /// Writes the packet of this slot; its length. [`Packets::sent`] or [`Packets::refused`] has to follow.
    pub fn write(&mut self, into: &mut [u8; LARGEST]) -> usize {
        self.begin_digit();
        let (head, body) = into.split_at_mut(HEADER);
        let (payload_type, timestamp, marker, len) = match &mut self.sounding {
            Some(sounding) => {
                let first = sounding.duration == 0;
                let event = sounding.next();
                body[..event.bytes().len()].copy_from_slice(&event.bytes());
                let payload_type = self.dtmf_payload_type.unwrap_or_default();
                (payload_type, sounding.timestamp, first, event.bytes().len())
            }
            None => {
                self.copy_sound(body);
                (self.payload_type, self.timestamp, self.marker, SOUND)
            }
        };
        let header = Header {
            payload_type,
            marker,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        head.copy_from_slice(&header.bytes());
        HEADER + len
    }

    /// The packet of this slot, of so many bytes, has gone out.
    pub fn sent(&mut self, len: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.marker = false;
        self.sent.packets += 1;
        self.sent.bytes += len as u64;
        self.sent.octets += len.saturating_sub(HEADER) as u64;
        self.end_digit();
        self.next_slot();
    }

    /// The packet of this slot could not be sent. Its number is used again: the network has not lost it.
    pub fn refused(&mut self) {
        self.end_digit();
        self.next_slot();
        self.marker = true;
    }

    /// The call is over: no digit that waits is sent any more.
    pub fn finish(&mut self) {
        let left = self.waiting.len() + usize::from(self.sounding.is_some());
        self.digits.refused += left as u32;
        self.waiting.clear();
        self.sounding = None;
    }

    /// So far.
    #[must_use]
    pub fn counts(&self) -> Sent {
        self.sent
    }

    /// So far.
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.digits
    }

    /// The timestamp of the slot that comes next.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Us.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    fn next_slot(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(SAMPLES_PER_PACKET);
        self.position = (self.position + SOUND) % self.sound.len().max(1);
    }

    fn begin_digit(&mut self) {
        if self.sounding.is_some() {
            return;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        self.sounding = self.waiting.pop_front().map(|digit| Sounding {
            digit,
            timestamp: self.timestamp,
            duration: 0,
            ends: 0,
        });
    }

    fn end_digit(&mut self) {
        if self.sounding.is_some_and(|sounding| sounding.ends >= END_PACKETS) {
            self.sounding = None;
            self.pause = PAUSE_PACKETS;
            self.digits.sent += 1;
            self.marker = true;
        }
    }

    fn copy_sound(&self, into: &mut [u8]) {
        let played = self.sound.iter().cycle().skip(self.position);
        if let Some(direct) = self.sound.get(self.position..self.position + SOUND) {
            into[..SOUND].copy_from_slice(direct);
        } else {
            for (to, from) in into.iter_mut().zip(played) {
                *to = *from;
            }
        }
    }
}

impl Sounding {
    /// Its next packet: longer by 20 ms, and at its full length the same three times.
    fn next(&mut self) -> TelephoneEvent {
        self.duration = (self.duration + TICKS).min(DIGIT_TICKS);
        let end = self.duration == DIGIT_TICKS;
        self.ends += u8::from(end);
        TelephoneEvent {
            event: self.digit.event(),
            end,
            volume: VOLUME,
            duration: self.duration,
        }
    }
}

#[cfg(test)]
mod tests;
