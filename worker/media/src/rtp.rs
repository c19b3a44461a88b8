//! RTP packets (RFC 3550, 5.1).

/// Bytes of the header that we send.
pub const HEADER: usize = 12;
/// The version in every packet.
const VERSION: u8 = 2;

/// A packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    /// Of the first packet of a stretch of sound.
    pub marker: bool,
    /// One higher with each packet, modulo 65,536.
    pub sequence: u16,
    /// Of the first sample.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// Without header, extension and padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram. `None`: it is not RTP, because of its version, because a part is cut off, or because it is RTCP (payload types
    /// 72 to 76, RFC 5761).
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_first_chunk::<HEADER>()?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *header;
        let payload_type = kind & 0x7f;
        if flags >> 6 != VERSION || (72..=76).contains(&payload_type) {
            return None;
        }
        let contributors = usize::from(flags & 0x0f) * 4;
        rest = rest.get(contributors..)?;
        if flags & 0x10 != 0 {
            let ([_, _, high, low], after) = rest.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([*high, *low]));
            rest = after.get(words * 4..)?;
        }
        if flags & 0x20 != 0 {
            // The last byte counts the padding, itself included.
            let padding = usize::from(*rest.last()?);
            let keep = rest.len().checked_sub(padding).filter(|_| padding > 0)?;
            rest = &rest[..keep];
        }
        Some(Self {
            payload_type,
            marker: kind & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            payload: rest,
        })
    }
}

/// The header of a packet to send: no contributors, extension or padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 to 127.
    pub payload_type: u8,
    /// Of the first packet of a stretch of sound.
    pub marker: bool,
    /// One higher with each packet.
    pub sequence: u16,
    /// Of the first sample.
    pub timestamp: u32,
    /// Us.
    pub ssrc: u32,
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = VERSION << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Header = Header {
        payload_type: 8,
        marker: true,
        sequence: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: 0xa0b0_c0d0,
    };

    fn packet(flags: u8, after_header: &[u8]) -> Vec<u8> {
        let mut bytes = PLAIN.bytes().to_vec();
        bytes[0] = flags;
        bytes.extend(after_header);
        bytes
    }

    fn payload(bytes: &[u8]) -> Option<&[u8]> {
        Packet::parse(bytes).map(|packet| packet.payload)
    }

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let bytes = packet(0x80, b"sound");
        let wanted = Packet {
            payload_type: 8,
            marker: true,
            sequence: 0xfffe,
            timestamp: 0x0102_0304,
            ssrc: 0xa0b0_c0d0,
            payload: b"sound",
        };
        assert_eq!(Packet::parse(&bytes), Some(wanted));
    }

    #[test]
    fn contributors_extension_and_padding_are_taken_off() {
        assert_eq!(payload(&packet(0x82, b"aaaabbbbsound")), Some(&b"sound"[..]));
        assert_eq!(
            payload(&packet(0x90, b"\xbe\xde\0\x01eeeesound")),
            Some(&b"sound"[..])
        );
        assert_eq!(payload(&packet(0xa0, b"sound\0\0\x03")), Some(&b"sound"[..]));
        assert_eq!(
            payload(&packet(0xb1, b"aaaa\xbe\xde\0\0sound\x01")),
            Some(&b"sound"[..])
        );
        assert_eq!(payload(&packet(0xa0, b"\x01")), Some(&b""[..]), "only padding");
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_not_rtp() {
        for (why, bytes) in [
            ("short", PLAIN.bytes()[..11].to_vec()),
            ("version 1", packet(0x40, b"sound")),
            ("contributors", packet(0x82, b"aaaabbb")),
            ("extension's head", packet(0x90, b"\xbe\xde\0")),
            ("extension", packet(0x90, b"\xbe\xde\0\x01eee")),
            ("more padding than bytes", packet(0xa0, b"\x02")),
            ("padding of 0", packet(0xa0, b"sound\0")),
            ("padding without a byte", packet(0xa0, b"")),
        ] {
            assert_eq!(Packet::parse(&bytes), None, "{why}");
        }
        let mut rtcp = packet(0x80, b"");
        for kind in 200..=204 {
            rtcp[1] = kind;
            assert_eq!(Packet::parse(&rtcp), None, "RTCP {kind}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn nothing_of_an_rtp_packet_is_invented(
            flags in 0x80..0xc0_u8, rest in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let bytes = packet(flags, &rest);
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() <= rest.len());
                prop_assert_eq!(packet.ssrc, PLAIN.ssrc);
            }
        }
    }
}
