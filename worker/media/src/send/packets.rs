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
mod tests {
    use super::*;
    use crate::rtp::Packet;

    const START: Start = Start {
        ssrc: 9,
        sequence: 65_534,
        timestamp: u32::MAX - 159,
    };

    fn packets(sound: Vec<u8>) -> Packets {
        Packets::new(START, 8, Some(101), sound.into())
    }

    /// Sends one: payload type, marker, number, timestamp, payload.
    fn send(packets: &mut Packets) -> (u8, bool, u16, u32, Vec<u8>) {
        let mut into = [0; LARGEST];
        let len = packets.write(&mut into);
        packets.sent(len);
        let packet = Packet::parse(&into[..len]).unwrap();
        assert_eq!(packet.ssrc, 9);
        (
            packet.payload_type,
            packet.marker,
            packet.sequence,
            packet.timestamp,
            packet.payload.to_vec(),
        )
    }

    #[test]
    fn numbers_and_timestamps_go_on_by_1_and_160_and_only_the_first_is_marked() {
        let mut packets = packets(vec![7; 160]);
        let found: Vec<_> = (0..4)
            .map(|_| send(&mut packets))
            .map(|p| (p.0, p.1, p.2, p.3))
            .collect();
        assert_eq!(
            found,
            [
                (8, true, 65_534, u32::MAX - 159),
                (8, false, 65_535, 0),
                (8, false, 0, 160),
                (8, false, 1, 320)
            ]
        );
        let wanted = Sent {
            packets: 4,
            octets: 640,
            bytes: 688,
        };
        assert_eq!(packets.counts(), wanted);
    }

    #[test]
    fn sound_is_played_round_and_round_whatever_its_length() {
        for len in [1, 3, 159, 160, 161, 200, 500] {
            let sound: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let mut packets = packets(sound.clone());
            let played: Vec<u8> = (0..10).flat_map(|_| send(&mut packets).4).collect();
            let wanted: Vec<u8> = sound.iter().copied().cycle().take(1_600).collect();
            assert_eq!(played, wanted, "{len}");
        }
    }

    #[test]
    fn a_slot_that_passes_moves_time_and_sound_but_not_the_numbers() {
        let mut packets = packets((0..=249).collect());
        send(&mut packets);
        packets.pass();
        let (_, marker, sequence, timestamp, payload) = send(&mut packets);
        assert_eq!((marker, sequence, timestamp), (true, 65_535, 160));
        assert_eq!(payload[0], (320 % 250) as u8);
        let mut into = [0; LARGEST];
        packets.write(&mut into);
        packets.refused();
        let (_, marker, sequence, timestamp, _) = send(&mut packets);
        assert_eq!((marker, sequence, timestamp), (true, 0, 480));
        assert_eq!(packets.counts().packets, 3);
    }

    #[test]
    fn a_digit_takes_ten_packets_with_one_timestamp_and_the_end_is_sent_three_times() {
        let mut packets = packets(vec![7; 160]);
        send(&mut packets);
        packets.dial(Digit::try_from('#').unwrap());
        packets.dial(Digit::try_from('1').unwrap());
        let events: Vec<_> = (0..10).map(|_| send(&mut packets)).collect();
        for (n, (payload_type, marker, _, timestamp, payload)) in (1_u16..).zip(&events) {
            let event = TelephoneEvent::parse(payload).unwrap();
            assert_eq!((*payload_type, *marker, *timestamp), (101, n == 1, 0));
            assert_eq!(
                (event.event, event.duration, event.end),
                (11, (n * 160).min(1_280), n >= 8)
            );
        }
        let after: Vec<_> = (0..4)
            .map(|_| send(&mut packets))
            .map(|p| (p.0, p.1, p.3))
            .collect();
        assert_eq!(
            after,
            [
                (8, true, 1_600),
                (8, false, 1_760),
                (8, false, 1_920),
                (101, true, 2_080)
            ]
        );
        assert_eq!(packets.digits(), Digits { sent: 1, refused: 0 });
        packets.finish();
        assert_eq!(packets.digits(), Digits { sent: 1, refused: 1 });
    }

    #[test]
    fn digits_without_a_payload_type_or_beyond_the_queue_are_refused() {
        let digit = Digit::try_from('5').unwrap();
        let mut none = Packets::new(START, 0, None, vec![0; 160].into());
        none.dial(digit);
        assert_eq!(none.digits().refused, 1);
        assert_eq!(send(&mut none).0, 0);
        let mut full = packets(vec![0; 160]);
        for _ in 0..70 {
            full.dial(digit);
        }
        assert_eq!(full.digits().refused, 6);
    }
}
