//! Digits as telephone events (RFC 4733).

use thiserror::Error;

/// Ticks of the RTP clock for which a digit sounds: 160 ms.
pub const DIGIT_TICKS: u16 = 1_280;
/// How often the last packet of a digit is sent (RFC 4733, 2.5.1.4).
pub const END_PACKETS: u8 = 3;
/// Packets of sound between two digits, so that they are heard as two: 60 ms.
pub const PAUSE_PACKETS: u8 = 3;
/// Of each event in dBm0, without the sign.
pub const VOLUME: u8 = 10;
/// Bytes of an event.
pub const PAYLOAD: usize = 4;

/// A key: 0-9, *, #, A-D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digit(u8);

/// Not a key of a telephone.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a digit: only 0-9, A-D, * and #")]
pub struct NotADigit(pub char);

impl Digit {
    /// The event of RFC 4733, 0 to 15.
    #[must_use]
    pub fn event(self) -> u8 {
        self.0
    }
}

impl TryFrom<char> for Digit {
    type Error = NotADigit;

    fn try_from(key: char) -> Result<Self, NotADigit> {
        let event = "0123456789*#ABCD".find(key.to_ascii_uppercase());
        event
            .and_then(|event| u8::try_from(event).ok())
            .map(Self)
            .ok_or(NotADigit(key))
    }
}

/// The payload of one packet of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 15 are digits.
    pub event: u8,
    /// The event is over.
    pub end: bool,
    /// dBm0 without the sign, 0 to 63.
    pub volume: u8,
    /// Ticks since the event's RTP timestamp.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload. `None`: it is too short.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload's bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; PAYLOAD] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.event,
            u8::from(self.end) << 7 | self.volume & 0x3f,
            high,
            low,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_the_event_of_rfc_4733() {
        for (event, key) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(usize::from(Digit::try_from(key).unwrap().event()), event);
        }
        assert_eq!(Digit::try_from('d'), Digit::try_from('D'));
    }

    #[test]
    fn what_is_no_key_is_named() {
        for key in ['E', ' ', 'é', '+'] {
            assert_eq!(Digit::try_from(key), Err(NotADigit(key)));
        }
        assert_eq!(
            NotADigit('x').to_string(),
            "'x' is not a digit: only 0-9, A-D, * and #"
        );
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let event = TelephoneEvent {
            event: 11,
            end: true,
            volume: 10,
            duration: 0x0520,
        };
        assert_eq!(event.bytes(), [11, 0x8a, 0x05, 0x20]);
        assert_eq!(TelephoneEvent::parse(&event.bytes()), Some(event));
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }
}
