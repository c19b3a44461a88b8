//! What surrounds a call: who calls, what for, and until when the answer is of use.

use std::time::Duration;

use reeve_state::id::KeyId;
use reeve_state::record::{Access, ApiKey, Role};
use tokio::time::Instant;

/// How long a call may take if the caller does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a caller may ask for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The answer has to leave before the transport cuts the call off, or the caller never learns the reason.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// A call in progress, of a caller whose key allows it as far as this node knows.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls; scopes request ids, and is checked again where the call takes effect.
    pub caller: Caller,
    /// What the caller's role must allow.
    pub access: Access,
    /// No work is begun after it.
    pub deadline: Instant,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key.
    pub key: KeyId,
    /// Its name, for people.
    pub name: String,
    /// What the key allows.
    pub role: Role,
    /// The project that the call is for where it names none.
    pub project: String,
}

impl From<&ApiKey> for Caller {
    fn from(key: &ApiKey) -> Self {
        Self {
            key: key.id,
            name: key.name.clone(),
            role: key.role,
            project: key.project.clone(),
        }
    }
}

/// When work for a call that begins now is to be given up; the time-out is what the caller asked for, within bounds.
pub fn deadline(timeout: Option<Duration>) -> Instant {
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT);
    let margin = ANSWER_MARGIN.min(timeout / 10);
    Instant::now() + timeout - margin
}

/// Reads a `grpc-timeout` header: up to eight digits and a unit.
pub fn parse_grpc_timeout(header: &str) -> Option<Duration> {
    let (digits, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(parse_grpc_timeout("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse_grpc_timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse_grpc_timeout("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse_grpc_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_grpc_timeout("7u"), Some(Duration::from_micros(7)));
        assert_eq!(
            parse_grpc_timeout("99999999n"),
            Some(Duration::from_nanos(99_999_999))
        );
        for wrong in ["", "S", "5", "-1S", "123456789S", "1x", "1é"] {
            assert_eq!(parse_grpc_timeout(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn deadlines_are_bounded_and_leave_time_to_answer() {
        let before = Instant::now();
        let long = deadline(Some(Duration::from_secs(3_600)));
        assert!(long <= Instant::now() + MAX_TIMEOUT - ANSWER_MARGIN);
        assert!(long >= before + MAX_TIMEOUT - ANSWER_MARGIN);
        let short = deadline(Some(Duration::from_millis(100)));
        assert!(short <= Instant::now() + Duration::from_millis(90));
    }
}
