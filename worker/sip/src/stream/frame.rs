//! Where one message ends in a stream and the next begins: Content-Length says it (RFC 3261, 18.3).

use thiserror::Error;

/// Most bytes of one message: no datagram is larger either.
const LARGEST_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";

/// Something whole that came by a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A message, every byte of it.
    Message(&'a [u8]),
    /// The other side asks whether we are there (RFC 5626, 3.5.1).
    Ping,
}

/// Why nobody can tell any more where the next message begins: the connection is of no use then.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Lost {
    /// See the message.
    #[error("Content-Length is no number")]
    Length,
    /// See the message.
    #[error("a message has more than {LARGEST_BYTES} bytes")]
    TooLong,
}

/// The bytes of a stream until they are whole messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Those before it were given away.
    begin: usize,
    /// The end of a head is not before it.
    searched: usize,
}

impl Frames {
    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.begin);
        self.searched = self.searched.saturating_sub(self.begin);
        self.begin = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole piece; `None`: more must come first.
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, Lost> {
        let rest = &self.bytes[self.begin..];
        if rest.starts_with(HEAD_END) {
            self.begin += HEAD_END.len();
            return Ok(Some(Piece::Ping));
        }
        // One alone answers a ping of ours. The first half of a ping looks the same; nobody sends it by halves.
        if rest.starts_with(LINE_END) && rest.len() != LINE_END.len() + 1 {
            self.begin += LINE_END.len();
            return self.next();
        }
        let from = self.searched.max(self.begin);
        let Some(head) = find(&self.bytes[from..], HEAD_END).map(|at| from + at + HEAD_END.len()) else {
            if self.bytes.len() - self.begin > LARGEST_BYTES {
                return Err(Lost::TooLong);
            }
            self.searched = self.bytes.len().saturating_sub(HEAD_END.len() - 1);
            return Ok(None);
        };
        // It is found again if the body is not there yet.
        self.searched = head - HEAD_END.len();
        let body = content_length(&self.bytes[self.begin..head])?;
        let end = head.saturating_add(body);
        if end - self.begin > LARGEST_BYTES {
            return Err(Lost::TooLong);
        }
        if self.bytes.len() < end {
            return Ok(None);
        }
        let begin = std::mem::replace(&mut self.begin, end);
        Ok(Some(Piece::Message(&self.bytes[begin..end])))
    }
}

/// 0 where it is missing: some leave it out of messages without a body.
fn content_length(head: &[u8]) -> Result<usize, Lost> {
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        if name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l") {
            let value = std::str::from_utf8(line[colon + 1..].trim_ascii()).map_err(|_| Lost::Length)?;
            return value.parse().map_err(|_| Lost::Length);
        }
    }
    Ok(0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: q\r\n\r\n";
    const INVITE: &[u8] = b"INVITE sip:a SIP/2.0\r\nCONTENT-length : 7 \r\nCall-ID: q\r\n\r\nv=0\r\n\r\n";
    const SHORT: &[u8] = b"SIP/2.0 200 OK\r\nl:2\r\n\r\nab";

    /// Everything that comes of these parts; a ping is empty.
    fn pieces<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Lost> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for part in parts {
            frames.push(part);
            while let Some(piece) = frames.next()? {
                found.push(match piece {
                    Piece::Message(bytes) => bytes.to_vec(),
                    Piece::Ping => Vec::new(),
                });
            }
        }
        Ok(found)
    }

    #[test]
    fn several_messages_in_one_read_are_as_many() {
        let all = [OPTIONS, INVITE, SHORT].concat();
        assert_eq!(pieces([all.as_slice()]).unwrap(), [OPTIONS, INVITE, SHORT]);
    }

    #[test]
    fn blank_lines_between_messages_are_none_of_them() {
        let all = [b"\r\n", INVITE, b"\r\n\r\n", OPTIONS, b"\r\n", SHORT].concat();
        assert_eq!(pieces([all.as_slice()]).unwrap(), [INVITE, b"", OPTIONS, SHORT]);
    }

    #[test]
    fn what_nobody_can_find_the_end_of_ends_the_stream() {
        let wrong = b"INVITE sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n".as_slice();
        assert_eq!(pieces([wrong]), Err(Lost::Length));
        let long = b"INVITE sip:a SIP/2.0\r\nContent-Length: 65536\r\n\r\n".as_slice();
        assert_eq!(pieces([long]), Err(Lost::TooLong));
        let huge = b"INVITE sip:a SIP/2.0\r\nContent-Length: 18446744073709551615\r\n\r\n".as_slice();
        assert_eq!(pieces([huge]), Err(Lost::TooLong));
        let endless = vec![b'x'; LARGEST_BYTES + 1];
        assert_eq!(pieces([endless.as_slice()]), Err(Lost::TooLong));
    }

    proptest! {
        /// Covers: R154.
        #[test]
        fn a_stream_cut_anywhere_gives_the_same_messages(
            picks in prop::collection::vec(0_usize..3, 1..8),
            cuts in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let sent: Vec<&[u8]> = picks.iter().map(|at| [OPTIONS, INVITE, SHORT][*at]).collect();
            let all = sent.concat();
            let mut parts = Vec::new();
            let mut rest = all.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, later) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = later;
            }
            prop_assert_eq!(pieces(parts).unwrap(), sent);
        }

        #[test]
        fn any_bytes_are_taken(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let _ = pieces(parts.iter().map(Vec::as_slice));
        }
    }
}
