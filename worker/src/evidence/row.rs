//! One row, as a line of JSON. Written by hand: it is the same few fields a hundred thousand times a second.

use std::io::Write;

use reeve_proto::names::Named;
use reeve_proto::response::Response;
use reeve_proto::v1::{EndpointOutcome, EndpointPhase};

use super::{Milli, trace_row};
use crate::trace::TraceItem;

/// What the rows of an assignment have in common.
#[derive(Debug)]
pub struct Rows {
    /// `,"group":"callers","endpoint":`
    group: String,
    /// Index within the group of the assignment's first endpoint.
    first: u32,
    /// Whether what is measured is scripted (D14a).
    simulated: bool,
}

impl Rows {
    pub fn new(group: &str, first: u32, simulated: bool) -> Self {
        // A string always has a form in JSON.
        let name = serde_json::to_string(group).unwrap_or_default();
        Self {
            group: format!(",\"group\":{name},\"endpoint\":"),
            first,
            simulated,
        }
    }

    /// Figures of an endpoint at one instant.
    pub fn sample<'a>(
        &self,
        line: &mut Vec<u8>,
        at_ms: i64,
        offset: u32,
        figures: impl Iterator<Item = (&'a str, Milli)>,
        responses: &[Response],
    ) {
        self.begin(line, at_ms, offset);
        for (number, response) in responses.iter().enumerate() {
            let before = if number == 0 { ",\"responses\":[" } else { "," };
            let _ = write!(line, "{before}\"{response}\"");
        }
        if !responses.is_empty() {
            line.push(b']');
        }
        for (metric, value) in figures {
            let _ = write!(line, ",\"{metric}\":");
            milli(line, value);
        }
        if self.simulated {
            line.extend_from_slice(b",\"simulated\":true");
        }
        line.extend_from_slice(b"}\n");
    }

    /// A change of an endpoint.
    pub fn event(
        &self,
        line: &mut Vec<u8>,
        at_ms: i64,
        offset: u32,
        phase: EndpointPhase,
        outcome: EndpointOutcome,
    ) {
        self.begin(line, at_ms, offset);
        let _ = write!(line, ",\"phase\":\"{}\"", phase.name());
        if outcome != EndpointOutcome::Unspecified {
            let _ = write!(line, ",\"outcome\":\"{}\"", outcome.name());
        }
        line.extend_from_slice(b"}\n");
    }

    /// A row of an endpoint's trace.
    pub fn trace(&self, line: &mut Vec<u8>, at_ms: i64, offset: u32, item: &TraceItem) {
        self.begin(line, at_ms, offset);
        line.push(b',');
        line.extend_from_slice(trace_row::fields(item).trim_start_matches('{').as_bytes());
        line.push(b'\n');
    }

    // Writing to a vector does not fail.
    fn begin(&self, line: &mut Vec<u8>, at_ms: i64, offset: u32) {
        let _ = write!(
            line,
            "{{\"at\":{at_ms}{}{}",
            self.group,
            u64::from(self.first) + u64::from(offset)
        );
    }
}

/// Thousandths as a decimal number, without zeros at its end.
fn milli(line: &mut Vec<u8>, value: Milli) {
    let (whole, part) = (value.unsigned_abs() / 1_000, value.unsigned_abs() % 1_000);
    if value < 0 {
        line.push(b'-');
    }
    let _ = write!(line, "{whole}");
    if part > 0 {
        let digits = format!(".{part:03}");
        line.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_that_says_who_when_and_what() {
        let rows = Rows::new("a \"b\"", 100, true);
        let mut line = Vec::new();
        rows.sample(
            &mut line,
            5,
            7,
            [("mos", 4_120), ("jitter_ms", -5), ("rtt_ms", 3_000)].into_iter(),
            &[],
        );
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"at": 5, "group": "a \"b\"", "endpoint": 107, "mos": 4.12, "jitter_ms": -0.005,
                "rtt_ms": 3, "simulated": true})
        );
        line.clear();
        let rows = Rows::new("g", 0, false);
        let responses = ["REGISTER 200", "INVITE no response"].map(|name| name.parse().unwrap());
        rows.sample(&mut line, 5, 7, [("asr", 0)].into_iter(), &responses);
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"at": 5, "group": "g", "endpoint": 7, "asr": 0, "responses": ["REGISTER 200", "INVITE no response"]})
        );
        line.clear();
        rows.event(&mut line, 5, 7, EndpointPhase::Closed, EndpointOutcome::Success);
        rows.event(
            &mut line,
            6,
            7,
            EndpointPhase::Incall,
            EndpointOutcome::Unspecified,
        );
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"at\":5,\"group\":\"g\",\"endpoint\":7,\"phase\":\"CLOSED\",\"outcome\":\"SUCCESS\"}\n\
             {\"at\":6,\"group\":\"g\",\"endpoint\":7,\"phase\":\"INCALL\"}\n"
        );
    }
}
