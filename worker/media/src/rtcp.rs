//! RTCP packets (RFC 3550, 6): sender and receiver reports, CNAME, BYE. Others are passed over.

use crate::clock::Ntp;

/// Room for any packet that we write.
pub const LARGEST: usize = 128;

const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
/// Of a report block.
const BLOCK: usize = 24;
/// Of the name that we give ourselves.
const CNAME_ITEM: u8 = 1;

/// What one packet of a compound says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Of a participant that sends.
    Sender {
        /// Who.
        ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// What it receives.
        blocks: Blocks<'a>,
    },
    /// Of one that does not.
    Receiver {
        /// Who.
        ssrc: u32,
        /// What it receives.
        blocks: Blocks<'a>,
    },
    /// These have left.
    Bye(Sources<'a>),
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: Ntp,
    /// The same moment on the RTP clock.
    pub timestamp: u32,
    /// Packets sent since it began.
    pub packets: u32,
    /// Bytes of payload.
    pub octets: u32,
}

/// What a receiver says of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The source.
    pub ssrc: u32,
    /// Share lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning; duplicates can make it negative. 24 bits.
    pub lost: i32,
    /// The highest sequence number, with its cycles above.
    pub highest: u32,
    /// In ticks of the RTP clock.
    pub jitter: u32,
    /// The middle of the last sender report's NTP stamp; 0: none came.
    pub last_report: u32,
    /// Since that came, in 1/65,536 s.
    pub delay: u32,
}

impl Block {
    fn parse(bytes: &[u8; BLOCK]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        // The sign is in the highest of 24 bits.
        let lost = i32::from_be_bytes([bytes[5], bytes[6], bytes[7], 0]) >> 8;
        Self {
            ssrc: word(0),
            fraction_lost: bytes[4],
            lost,
            highest: word(8),
            jitter: word(12),
            last_report: word(16),
            delay: word(20),
        }
    }

    fn bytes(self) -> [u8; BLOCK] {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        let words = [
            self.ssrc,
            u32::from_be_bytes([self.fraction_lost, lost[1], lost[2], lost[3]]),
            self.highest,
            self.jitter,
            self.last_report,
            self.delay,
        ];
        let mut bytes = [0; BLOCK];
        for (part, word) in bytes.chunks_exact_mut(4).zip(words) {
            part.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

/// The blocks of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let (first, rest) = self.0.split_first_chunk::<BLOCK>()?;
        self.0 = rest;
        Some(Block::parse(first))
    }
}

/// Numbers of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources<'a>(&'a [u8]);

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }
}

/// The messages of a datagram, up to the first packet that is not well formed.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Reads a datagram. It need not begin with a report, as RFC 3550 wants it: some peers send a lone BYE.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        loop {
            let ([flags, kind, high, low], rest) = self.0.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([*high, *low]));
            let (body, after) = rest.split_at_checked(words * 4)?;
            if flags >> 6 != VERSION {
                return None;
            }
            self.0 = after;
            if let Some(message) = message(*kind, usize::from(flags & 0x1f), body) {
                return Some(message);
            }
        }
    }
}

/// What one packet says, if it is of a kind that we read and has what it says it has.
fn message(kind: u8, count: usize, body: &[u8]) -> Option<Message<'_>> {
    match kind {
        SENDER_REPORT => {
            let (ssrc, rest) = split_word(body)?;
            let (info, rest) = rest.split_first_chunk::<20>()?;
            let word = |at: usize| u32::from_be_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
            let info = SenderInfo {
                ntp: Ntp(u64::from(word(0)) << 32 | u64::from(word(4))),
                timestamp: word(8),
                packets: word(12),
                octets: word(16),
            };
            let blocks = Blocks(rest.get(..count * BLOCK)?);
            Some(Message::Sender { ssrc, info, blocks })
        }
        RECEIVER_REPORT => {
            let (ssrc, rest) = split_word(body)?;
            let blocks = Blocks(rest.get(..count * BLOCK)?);
            Some(Message::Receiver { ssrc, blocks })
        }
        BYE => Some(Message::Bye(Sources(body.get(..count * 4)?))),
        _ => None,
    }
}

fn split_word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}

/// A compound to send: a report, our name, and at the end of a call a BYE.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Us.
    pub ssrc: u32,
    /// If something was sent; it makes this a sender report.
    pub sender: Option<SenderInfo>,
    /// If something came.
    pub block: Option<Block>,
    /// At most 32 bytes of it are sent.
    pub cname: &'a str,
    /// The call is over.
    pub bye: bool,
}

impl Report<'_> {
    /// Writes it; the number of bytes.
    pub fn write(&self, into: &mut [u8; LARGEST]) -> usize {
        let mut out = Writer { into, len: 0 };
        let blocks = u8::from(self.block.is_some());
        let kind = if self.sender.is_some() {
            SENDER_REPORT
        } else {
            RECEIVER_REPORT
        };
        out.packet(kind, blocks, |out| {
            out.word(self.ssrc);
            if let Some(info) = self.sender {
                out.bytes(&info.ntp.0.to_be_bytes());
                out.word(info.timestamp);
                out.word(info.packets);
                out.word(info.octets);
            }
            if let Some(block) = self.block {
                out.bytes(&block.bytes());
            }
        });
        out.packet(DESCRIPTION, 1, |out| {
            let name = self.cname.as_bytes();
            let name = &name[..name.len().min(32)];
            out.word(self.ssrc);
            out.bytes(&[CNAME_ITEM, name.len().to_le_bytes()[0]]);
            out.bytes(name);
            // The end of the list: at least one zero.
            out.bytes(&[0]);
        });
        if self.bye {
            out.packet(BYE, 1, |out| out.word(self.ssrc));
        }
        out.len
    }
}

/// Writes packets one after the other. [`LARGEST`] has room for all that [`Report`] writes; more would be cut off.
struct Writer<'a> {
    into: &'a mut [u8; LARGEST],
    len: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        for (to, from) in self.into[self.len..].iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len = (self.len + bytes.len()).min(LARGEST);
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    /// Head, body and zeros up to a whole word.
    fn packet(&mut self, kind: u8, count: u8, body: impl FnOnce(&mut Self)) {
        let start = self.len;
        self.bytes(&[VERSION << 6 | count, kind, 0, 0]);
        body(self);
        while !self.len.is_multiple_of(4) {
            self.bytes(&[0]);
        }
        let words = ((self.len - start) / 4).saturating_sub(1) as u16;
        self.into[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
