//! SIP traces, put together from their parts.

use std::cmp::Ordering;

use crate::v1::{RunTracePart, TraceMessage};

/// The first line of a message; bytes that are no text are replaced.
pub fn start_line(raw: &[u8]) -> String {
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// Adds a part.
pub fn add(trace: &mut RunTracePart, part: RunTracePart) {
    trace.messages.extend(part.messages);
    trace.endings.extend(part.endings);
    trace.gaps.extend(part.gaps);
}

/// By group and endpoint, and in the order in which each endpoint sent and received.
pub fn sort_by_endpoint(trace: &mut RunTracePart) {
    let by_endpoint = |one: &TraceMessage, other: &TraceMessage| -> Ordering {
        (&one.group, one.endpoint, one.seq).cmp(&(&other.group, other.endpoint, other.seq))
    };
    trace.messages.sort_by(by_endpoint);
    trace
        .endings
        .sort_by(|one, other| (&one.group, one.endpoint).cmp(&(&other.group, other.endpoint)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_anything_is_a_line() {
        assert_eq!(start_line(b"SIP/2.0 200 OK\r\nVia: x\r\n"), "SIP/2.0 200 OK");
        assert_eq!(start_line(b""), "");
        assert_eq!(start_line(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}
