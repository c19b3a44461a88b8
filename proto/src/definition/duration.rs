//! Durations as people write them: `20s`, `200ms`, `1m30s`, and ranges of them.

use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use prost_types::Duration;

static PARSER: SpanParser = SpanParser::new();
static PRINTER: SpanPrinter = SpanPrinter::new()
    .designator(Designator::Compact)
    .spacing(Spacing::None);

const EXAMPLES: &str = "write it like 20s, 200ms or 1m30s";

/// Reads one duration.
///
/// # Errors
/// A sentence saying what is wrong: no number, no unit, or less than zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.parse::<f64>().is_ok() {
        return Err(format!("{text} has no unit; {EXAMPLES}"));
    }
    let duration = PARSER
        .parse_duration(text)
        .map_err(|_| format!("{text:?} is not a duration; {EXAMPLES}"))?;
    if duration.is_negative() {
        return Err(format!("{text:?} is less than zero"));
    }
    Ok(Duration {
        seconds: duration.as_secs(),
        nanos: duration.subsec_nanos(),
    })
}

/// Reads `FROM..TO`, or one duration as both ends.
pub(super) fn parse_range(text: &str) -> Result<(Duration, Duration), String> {
    let Some((from, to)) = text.split_once("..") else {
        let both = parse_duration(text)?;
        return Ok((both, both));
    };
    let (from, to) = (parse_duration(from)?, parse_duration(to)?);
    if (from.seconds, from.nanos) > (to.seconds, to.nanos) {
        return Err(format!("{text:?} is a range whose end comes before its start"));
    }
    Ok((from, to))
}

/// Writes a duration in the form that [`parse_duration`] reads.
pub fn format_duration(duration: &Duration) -> String {
    PRINTER.duration_to_string(&SignedDuration::new(
        duration.seconds,
        duration.nanos.clamp(0, 999_999_999),
    ))
}

pub(super) fn format_range(from: &Duration, to: &Duration) -> String {
    if from == to {
        format_duration(from)
    } else {
        format!("{}..{}", format_duration(from), format_duration(to))
    }
}
