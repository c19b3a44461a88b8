//! What a call sends and where to.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clip::Source;

/// Sound in one packet.
pub const PTIME: Duration = Duration::from_millis(20);
/// Samples in one packet, which are its bytes and its ticks of the RTP clock too.
pub const SAMPLES_PER_PACKET: u32 = 160;
/// Samples, and ticks of the RTP clock, in a second.
pub const SAMPLE_RATE: u32 = 8_000;

/// One call's media, as offer and answer settled it.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Where RTP is sent. What comes may come from elsewhere: the first valid packet's source is latched.
    pub remote_rtp: SocketAddr,
    /// Where RTCP is sent.
    pub remote_rtcp: SocketAddr,
    /// How sound is encoded, both ways.
    pub codec: Codec,
    /// The codec's payload type, 0 to 127, both ways.
    pub payload_type: u8,
    /// The payload type of telephone-event (RFC 4733), both ways. `None`: digits cannot be sent and are counted as refused.
    pub dtmf_payload_type: Option<u8>,
    /// What is sent, again and again.
    pub source: Source,
    /// Whether the receiving side conceals lost packets: the E-model's Bpl is 25.1 with it and 4.3 without.
    pub plc: bool,
}

/// The two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// µ-law, static payload type 0.
    Pcmu,
    /// A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// The payload type that RFC 3551 gives it.
    #[must_use]
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }
}

/// Which ways media flows, seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send, nothing is expected: we hold the other side.
    SendOnly,
    /// Nothing is sent: the other side holds us.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether packets are sent.
    #[must_use]
    pub fn sends(self) -> bool {
        match self {
            Self::SendRecv | Self::SendOnly => true,
            Self::RecvOnly | Self::Inactive => false,
        }
    }

    /// Whether packets are expected. Those that come anyway are counted.
    #[must_use]
    pub fn receives(self) -> bool {
        match self {
            Self::SendRecv | Self::RecvOnly => true,
            Self::SendOnly | Self::Inactive => false,
        }
    }
}
