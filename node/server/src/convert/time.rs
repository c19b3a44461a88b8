//! Times and spans.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use reeve_state::time::{Millis, Time};

/// Cluster time on the wire.
pub fn timestamp(time: Time) -> Timestamp {
    from_unix_ms(i64::try_from(time.0).unwrap_or(i64::MAX))
}

/// A span on the wire.
pub fn duration(span: Millis) -> prost_types::Duration {
    let seconds = i64::try_from(span.0 / 1_000).unwrap_or(i64::MAX);
    // Below 1e9 by construction.
    let nanos = i32::try_from(span.0 % 1_000 * 1_000_000).unwrap_or(0);
    prost_types::Duration { seconds, nanos }
}

/// A span of the state; milliseconds that do not fit are cut to the most there is.
pub fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds on the wire; what does not fit is cut.
pub fn wire_ms(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// The wall clock, so long ago.
pub fn wall_ago(age: Duration) -> Timestamp {
    let then = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
    let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn from_unix_ms(ms: i64) -> Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    Timestamp {
        seconds: ms.div_euclid(1_000),
        nanos,
    }
}
