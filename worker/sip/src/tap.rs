//! What an endpoint sent and received, byte by byte, and when: the trace, and the times that follow from it.
//!
//! Filled by the socket or the connection, so that times are those of the wire and bytes those that were on it, also of messages that the stack
//! above never shows: retransmissions, and what it answers by itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::head::Head;

/// Most messages of one endpoint that are kept.
pub const MOST_MESSAGES: u32 = 200;
/// Most bytes of one message that are kept.
pub const MOST_BYTES: usize = 64 * 1024;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From us.
    Sent,
    /// To us.
    Received,
}

/// How a message travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// Within a stream.
    Tcp,
    /// Within a stream, and that within TLS. What is kept is the plain text.
    Tls,
}

impl Transport {
    /// In the stack's terms.
    pub(crate) fn word(self) -> rsipstack::sip::Transport {
        match self {
            Self::Udp => rsipstack::sip::Transport::Udp,
            Self::Tcp => rsipstack::sip::Transport::Tcp,
            Self::Tls => rsipstack::sip::Transport::Tls,
        }
    }
}

/// Whose fault it is that a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This machine's: no descriptors are left, there is no route.
    Ours,
    /// The peer's: it refuses connections, or its certificate is not good.
    Theirs,
    /// The peer's, which says nothing at all.
    Silence,
}

/// Why a message could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Whose fault it is.
    pub fault: Fault,
    /// In words.
    pub why: String,
}

/// One message of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// From 0, without gaps but for those that were dropped.
    pub seq: u32,
    /// Wall clock, nanoseconds since 1970.
    pub wall_ns: i64,
    /// Since the endpoint's tap was made.
    pub since: Duration,
    /// Sent or received.
    pub way: Way,
    /// Our address.
    pub local: SocketAddr,
    /// The other's.
    pub remote: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// What was on the wire, or its first [`MOST_BYTES`].
    pub bytes: Vec<u8>,
    /// It was longer.
    pub truncated: bool,
    /// It repeats that one.
    pub repeats: Option<u32>,
}

/// When what was on the wire, for the first time. `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// REGISTER, sent.
    pub register: Option<Instant>,
    /// 2xx to REGISTER, received.
    pub registered: Option<Instant>,
    /// INVITE: sent by callers, received by receivers.
    pub invite: Option<Instant>,
    /// INVITE with credentials.
    pub invite_again: Option<Instant>,
    /// 100.
    pub trying: Option<Instant>,
    /// 101 to 199 with a To tag.
    pub ringing: Option<Instant>,
    /// 2xx to INVITE.
    pub answered: Option<Instant>,
    /// Any final response to INVITE, but a challenge that was met.
    pub last_final: Option<Instant>,
    /// ACK.
    pub ack: Option<Instant>,
    /// CANCEL.
    pub cancel: Option<Instant>,
    /// BYE, sent by us.
    pub bye_sent: Option<Instant>,
    /// BYE, received.
    pub bye_received: Option<Instant>,
}

/// Last codes of final responses that really were on the wire: the stack makes some of its own, which look the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// To REGISTER.
    pub register: Option<u16>,
    /// To INVITE.
    pub invite: Option<u16>,
    /// To BYE.
    pub bye: Option<u16>,
}

#[derive(Debug, Default)]
struct Record {
    messages: Vec<Message>,
    seen: Vec<(u64, u32)>,
    next: u32,
    dropped: u32,
    repeated: u32,
    times: Times,
    codes: Codes,
    /// By method, until one of that method is sent.
    unsent: Vec<(String, Unsent)>,
}

/// The tap of one endpoint.
#[derive(Debug)]
pub struct Tap {
    made: Instant,
    record: Mutex<Record>,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            made: Instant::now(),
            record: Mutex::default(),
        }
    }
}

/// A message as the socket saw it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Sent or received.
    pub way: Way,
    /// When.
    pub at: Instant,
    /// Our address.
    pub local: SocketAddr,
    /// The other's.
    pub remote: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// All of it.
    pub bytes: &'a [u8],
}

impl Tap {
    /// Takes a message in.
    pub fn note(&self, seen: &Seen<'_>, head: &Head<'_>) {
        let mut record = self.record.lock();
        let seq = record.next;
        let mut hasher = DefaultHasher::new();
        (seen.way, head.start, head.branch, head.cseq, head.method).hash(&mut hasher);
        let identity = hasher.finish();
        if let (Way::Sent, Some(sent)) = (seen.way, head.request()) {
            record.unsent.retain(|(method, _)| method != sent);
        }
        let repeats = record
            .seen
            .iter()
            .find(|(known, _)| *known == identity)
            .map(|(_, seq)| *seq);
        if repeats.is_some() {
            record.repeated += 1;
        } else {
            record.happened(seen, head);
        }
        record.next += 1;
        if seq >= MOST_MESSAGES {
            record.dropped += 1;
            return;
        }
        if repeats.is_none() {
            record.seen.push((identity, seq));
        }
        record.messages.push(Message {
            seq,
            wall_ns: wall_ns(),
            since: seen.at.saturating_duration_since(self.made),
            way: seen.way,
            local: seen.local,
            remote: seen.remote,
            transport: seen.transport,
            bytes: seen.bytes[..seen.bytes.len().min(MOST_BYTES)].to_vec(),
            truncated: seen.bytes.len() > MOST_BYTES,
            repeats,
        });
    }

    /// Messages since this was asked last.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.record.lock().messages)
    }

    /// Messages that were not kept, because there were more than [`MOST_MESSAGES`].
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.record.lock().dropped
    }

    /// Messages that repeated another.
    #[must_use]
    pub fn repeated(&self) -> u32 {
        self.record.lock().repeated
    }

    /// A request could not be sent. That of responses is not kept: no answer to them is waited for.
    pub fn unsent(&self, head: &Head<'_>, why: &Unsent) {
        let Some(method) = head.request() else {
            return;
        };
        let unsent = &mut self.record.lock().unsent;
        unsent.retain(|(known, _)| known != method);
        unsent.push((method.to_owned(), why.clone()));
    }

    /// Why the last request with this method could not be sent. `None`: it was sent.
    #[must_use]
    pub fn why_unsent(&self, method: &str) -> Option<Unsent> {
        let record = self.record.lock();
        let mut unsent = record.unsent.iter();
        unsent
            .find(|(known, _)| known == method)
            .map(|(_, why)| why.clone())
    }

    /// When what was on the wire.
    #[must_use]
    pub fn times(&self) -> Times {
        self.record.lock().times
    }

    /// Which final responses were on the wire.
    #[must_use]
    pub fn codes(&self) -> Codes {
        self.record.lock().codes
    }
}

impl Record {
    fn happened(&mut self, seen: &Seen<'_>, head: &Head<'_>) {
        match (head.request(), head.status()) {
            (Some(method), _) => self.request(seen, head, method),
            (None, Some(code)) => self.response(seen, head, code),
            (None, None) => {}
        }
    }

    fn request(&mut self, seen: &Seen<'_>, head: &Head<'_>, method: &str) {
        let times = &mut self.times;
        let slot = match (method, seen.way) {
            ("REGISTER", Way::Sent) => &mut times.register,
            // A re-INVITE has a To tag; one with credentials has none.
            ("INVITE", _) if !head.to_tag && times.invite.is_some() => &mut times.invite_again,
            ("INVITE", _) if !head.to_tag => &mut times.invite,
            ("ACK", _) if times.answered.is_some() => &mut times.ack,
            ("CANCEL", _) => &mut times.cancel,
            ("BYE", Way::Sent) => &mut times.bye_sent,
            ("BYE", Way::Received) => &mut times.bye_received,
            _ => return,
        };
        slot.get_or_insert(seen.at);
    }

    fn response(&mut self, seen: &Seen<'_>, head: &Head<'_>, code: u16) {
        let (times, codes) = (&mut self.times, &mut self.codes);
        match head.method {
            "REGISTER" if code >= 200 => {
                codes.register = Some(code);
                if code < 300 {
                    times.registered.get_or_insert(seen.at);
                }
            }
            "INVITE" if code == 100 => {
                times.trying.get_or_insert(seen.at);
            }
            "INVITE" if code < 200 && head.to_tag => {
                times.ringing.get_or_insert(seen.at);
            }
            // Answers of re-INVITEs come after the first 2xx and change nothing.
            "INVITE" if code >= 200 && times.answered.is_none() => {
                codes.invite = Some(code);
                times.last_final = Some(seen.at);
                if code < 300 {
                    times.answered = Some(seen.at);
                }
            }
            "BYE" if code >= 200 => codes.bye = Some(code),
            _ => {}
        }
    }
}

fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
