//! Offers and answers: one audio stream, G.711, and telephone-event if the other side has it (RFC 3264, RFC 4566, RFC 4733).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use reeve_media::{Codec, Direction};
use thiserror::Error;

/// The dynamic payload type that our offers give to telephone-event.
const EVENTS: u8 = 101;

/// One side's description of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where it wants RTP.
    pub rtp: SocketAddr,
    /// Where it wants RTCP: the next port, unless it says otherwise.
    pub rtcp: SocketAddr,
    /// Payload types with their codecs, in its order; those that we do not speak are left out.
    pub codecs: Vec<(u8, Codec)>,
    /// The payload type of telephone-event.
    pub events: Option<u8>,
    /// What it does: hold is `SendOnly` or `Inactive`.
    pub direction: Direction,
}

/// Why a description is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// There is none.
    #[error("no session description")]
    Missing,
    /// It cannot be read.
    #[error("the session description cannot be read: {0}")]
    Rubbish(&'static str),
    /// There is no audio, or its port is 0.
    #[error("audio was refused (port 0) or is not there")]
    NoAudio,
    /// Nothing that both sides speak.
    #[error("no common codec")]
    NoCodec,
}

/// Reads a description.
///
/// # Errors
/// Says why it is of no use. A description without a codec that we speak is [`Unusable::NoCodec`].
pub fn parse(body: &[u8]) -> Result<Description, Unusable> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Unusable::Missing);
    }
    let text = std::str::from_utf8(body).map_err(|_| Unusable::Rubbish("it is not UTF-8"))?;
    let mut reader = Reader::default();
    for line in text.lines() {
        let line = line.trim_end();
        match line.split_once('=') {
            Some((kind, value)) => reader.line(kind, value)?,
            None if line.is_empty() => {}
            None => return Err(Unusable::Rubbish("a line has no =")),
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    version: bool,
    session_address: Option<IpAddr>,
    session_direction: Option<Direction>,
    audio: Option<Audio>,
    /// In a media section that is not the audio which was chosen.
    elsewhere: bool,
}

struct Audio {
    port: u16,
    address: Option<IpAddr>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    types: Vec<u8>,
    maps: Vec<(u8, String)>,
    direction: Option<Direction>,
}

impl Reader {
    fn line(&mut self, kind: &str, value: &str) -> Result<(), Unusable> {
        match kind {
            "v" => self.version = true,
            "m" => self.media(value)?,
            "c" if !self.elsewhere => {
                let address = address(value)?;
                match &mut self.audio {
                    Some(audio) => audio.address = Some(address),
                    None => self.session_address = Some(address),
                }
            }
            "a" if !self.elsewhere => self.attribute(value),
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, value: &str) -> Result<(), Unusable> {
        let mut words = value.split_whitespace();
        let audio = words.next() == Some("audio");
        let port = words
            .next()
            .and_then(|port| port.split('/').next()?.parse::<u16>().ok());
        let port = port.ok_or(Unusable::Rubbish("the port of m= is no port"))?;
        let profile = words.next().unwrap_or_default();
        let chosen = audio && self.audio.is_none() && matches!(profile, "RTP/AVP" | "RTP/AVPF");
        self.elsewhere = !chosen;
        if chosen {
            self.audio = Some(Audio {
                port,
                address: None,
                rtcp: None,
                types: words.filter_map(|word| word.parse().ok()).collect(),
                maps: Vec::new(),
                direction: None,
            });
        }
        Ok(())
    }

    fn attribute(&mut self, value: &str) {
        let direction = match value {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        let Some(audio) = &mut self.audio else {
            self.session_direction = direction.or(self.session_direction);
            return;
        };
        audio.direction = direction.or(audio.direction);
        if let Some(map) = value.strip_prefix("rtpmap:")
            && let Some((number, name)) = map.split_once(' ')
            && let Ok(number) = number.trim().parse()
        {
            audio.maps.push((number, name.trim().to_ascii_uppercase()));
        }
        if let Some(rtcp) = value.strip_prefix("rtcp:") {
            let (port, rest) = rtcp.split_once(' ').unwrap_or((rtcp, ""));
            audio.rtcp = port.parse().ok().map(|port| (port, address(rest).ok()));
        }
    }

    fn finish(self) -> Result<Description, Unusable> {
        if !self.version {
            return Err(Unusable::Rubbish("it does not begin with v="));
        }
        let audio = self
            .audio
            .filter(|audio| audio.port != 0)
            .ok_or(Unusable::NoAudio)?;
        let host = audio.address.or(self.session_address);
        let host = host.ok_or(Unusable::Rubbish("no c= says where to send"))?;
        let (rtcp_port, rtcp_host) = audio.rtcp.unwrap_or((audio.port.saturating_add(1), None));
        let codecs: Vec<(u8, Codec)> = audio
            .types
            .iter()
            .filter_map(|kind| Some((*kind, audio.codec(*kind)?)))
            .collect();
        if codecs.is_empty() {
            return Err(Unusable::NoCodec);
        }
        let events = audio
            .types
            .iter()
            .copied()
            .find(|kind| audio.named(*kind, "TELEPHONE-EVENT/8000"));
        Ok(Description {
            rtp: SocketAddr::new(host, audio.port),
            rtcp: SocketAddr::new(rtcp_host.unwrap_or(host), rtcp_port),
            codecs,
            events,
            direction: audio
                .direction
                .or(self.session_direction)
                .unwrap_or(Direction::SendRecv),
        })
    }
}

impl Audio {
    fn named(&self, kind: u8, name: &str) -> bool {
        self.maps
            .iter()
            .any(|(number, map)| *number == kind && (map == name || *map == format!("{name}/1")))
    }

    /// A map counts before the static meaning of the number.
    fn codec(&self, kind: u8) -> Option<Codec> {
        let mapped = self.maps.iter().any(|(number, _)| *number == kind);
        if self.named(kind, "PCMU/8000") || (kind == 0 && !mapped) {
            Some(Codec::Pcmu)
        } else if self.named(kind, "PCMA/8000") || (kind == 8 && !mapped) {
            Some(Codec::Pcma)
        } else {
            None
        }
    }
}

fn address(value: &str) -> Result<IpAddr, Unusable> {
    let host = value.split_whitespace().nth(2).unwrap_or_default();
    let host = host.split('/').next().unwrap_or(host);
    host.parse()
        .map_err(|_| Unusable::Rubbish("c= names no IP address"))
}

/// The stream that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// How it is coded.
    pub codec: Codec,
    /// Under which payload type.
    pub payload_type: u8,
    /// Payload type of telephone-event, if both have it.
    pub events: Option<u8>,
}

/// The first codec of `theirs` that is among `ours`: the one who answers follows the order of the one who offered.
///
/// # Errors
/// [`Unusable::NoCodec`].
pub fn agree(theirs: &Description, ours: &[Codec]) -> Result<Agreed, Unusable> {
    let common = theirs.codecs.iter().find(|(_, codec)| ours.contains(codec));
    let (payload_type, codec) = *common.ok_or(Unusable::NoCodec)?;
    Ok(Agreed {
        codec,
        payload_type,
        events: theirs.events,
    })
}

/// What the other side does means the opposite for us.
#[must_use]
pub fn mirror(theirs: Direction) -> Direction {
    match theirs {
        Direction::SendRecv => Direction::SendRecv,
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::Inactive => Direction::Inactive,
    }
}

/// Our side in words.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Where we want RTP; RTCP is on the next port.
    pub rtp: SocketAddr,
    /// Identifies the session; the same in each description of a call.
    pub session: u64,
    /// Rises with each description of a call.
    pub version: u64,
    /// What we do.
    pub direction: Direction,
    /// Payload types and codecs, in our order.
    pub codecs: &'a [(u8, Codec)],
    /// Payload type of telephone-event.
    pub events: Option<u8>,
}

/// Everything that we speak, for an offer.
#[must_use]
pub fn offered(codecs: &[Codec]) -> (Vec<(u8, Codec)>, Option<u8>) {
    let types = codecs.iter().map(|codec| (static_type(*codec), *codec)).collect();
    (types, Some(EVENTS))
}

fn static_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
    }
}

impl Local<'_> {
    /// The description as it is sent.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let host = self.rtp.ip();
        let family = if host.is_ipv4() { "IP4" } else { "IP6" };
        let mut text = format!(
            "v=0\r\no=reeve {} {} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\nm=audio {} RTP/AVP",
            self.session,
            self.version,
            self.rtp.port(),
        );
        let kinds = self.codecs.iter().map(|(kind, _)| *kind).chain(self.events);
        // Writing into a string does not fail.
        for kind in kinds {
            let _ = write!(text, " {kind}");
        }
        text.push_str("\r\n");
        for (kind, codec) in self.codecs {
            let _ = write!(text, "a=rtpmap:{kind} {}/8000\r\n", name(*codec));
        }
        if let Some(events) = self.events {
            let _ = write!(
                text,
                "a=rtpmap:{events} telephone-event/8000\r\na=fmtp:{events} 0-15\r\n"
            );
        }
        let direction = match self.direction {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        };
        let _ = write!(text, "a=ptime:20\r\na={direction}\r\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests;
