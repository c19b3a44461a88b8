//! What can go wrong, as one clear message on stderr, and the exit code that goes with it.

use std::fmt::Write;

use reeve_proto::definition::FieldViolation;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Exit code of an error.
pub(crate) const EXIT_ERROR: u8 = 1;
/// The run ended in CANNOT_RUN_FOR_NOW.
pub(crate) const EXIT_CANNOT_RUN: u8 = 2;
/// The run ended in FAILED.
pub(crate) const EXIT_FAILED: u8 = 3;
/// What was waited for did not happen in time.
pub(crate) const EXIT_TIMED_OUT: u8 = 4;

/// Ctrl-C while something was followed, which goes on: what shells make of SIGINT.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A node answered with an error.
    #[error("{}: {}", code_name(.0.code()), .0.message())]
    Status(Box<Status>),
    /// No node could be reached: addresses with reasons.
    #[error("no node could be reached")]
    Unreachable(Vec<(String, String)>),
    /// A definition file that is wrong in itself.
    #[error("{file} is not a valid test definition")]
    Definition {
        /// The file, or `stdin`.
        file: String,
        /// Every rule that it breaks.
        violations: Vec<FieldViolation>,
    },
    /// Waited long enough.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// Anything else, said in one sentence.
    #[error("{0}")]
    Message(String),
    /// Input or output.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl CliError {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::TimedOut(_) => EXIT_TIMED_OUT,
            // Whoever read our output has seen enough.
            Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Self::Status(_)
            | Self::Unreachable(_)
            | Self::Definition { .. }
            | Self::Message(_)
            | Self::Io(_) => EXIT_ERROR,
        }
    }

    /// The text for stderr; `None` where silence is right.
    pub(crate) fn render(&self) -> Option<String> {
        match self {
            Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => None,
            Self::Status(status) => Some(render_status(status)),
            Self::Unreachable(tried) => Some(render_unreachable(tried)),
            Self::Definition { violations, .. } => {
                let mut text = format!("error: {self}");
                for FieldViolation { field, description } in violations {
                    violation_line(&mut text, field, description);
                }
                Some(text)
            }
            Self::TimedOut(_) | Self::Message(_) | Self::Io(_) => Some(format!("error: {self}")),
        }
    }
}

/// `error: NOT_FOUND (RUN_NOT_FOUND): no run with id …`, and field violations one per line.
fn render_status(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map(|info| format!(" ({})", info.reason))
        .unwrap_or_default();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    let mut text = format!("error: {}{reason}", code_name(status.code()));
    // The message may be nothing but the violations on one line.
    let said_twice = violations
        .first()
        .is_some_and(|first| status.message().contains(&first.description));
    if !said_twice {
        let _ = write!(text, ": {}", status.message());
    }
    for violation in violations {
        violation_line(&mut text, &violation.field, &violation.description);
    }
    if let Some(hint) = details.error_info().and_then(|info| what_to_do(&info.reason)) {
        let _ = write!(text, "\n  {hint}");
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let _ = write!(text, "\n  try again in {} ms", delay.as_millis());
    }
    text
}

/// What a caller whose key does not do can do about it.
fn what_to_do(reason: &str) -> Option<&'static str> {
    match reason {
        "KEY_MISSING" => {
            Some("set REEVE_API_KEY or --api-key; on a new cluster `reeve key bootstrap` makes the first key")
        }
        "KEY_REJECTED" => Some(
            "REEVE_API_KEY or --api-key has a key that is unknown here, revoked or expired; an admin makes another with `reeve key create`",
        ),
        "ROLE_TOO_LOW" => Some(
            "`reeve key whoami` shows your role; an admin makes a key of another with `reeve key create --role ROLE`",
        ),
        "OTHER_PROJECT" => Some(
            "`reeve key whoami` shows your project; an admin makes a key of another with `reeve key create --project NAME`",
        ),
        "PROJECT_NOT_FOUND" => Some("`reeve project list` shows those that you may see"),
        "PROJECT_IN_USE" => Some(
            "`reeve test list --project NAME`, `reeve run list --project NAME` and `reeve key list` show what is of it",
        ),
        "KEYS_EXIST" => {
            Some("use a key that the cluster has; an admin makes another with `reeve key create`")
        }
        _ => None,
    }
}

fn violation_line(text: &mut String, field: &str, description: &str) {
    // Writing to a String cannot fail.
    let _ = if field.is_empty() {
        write!(text, "\n  {description}")
    } else {
        write!(text, "\n  {field}: {description}")
    };
}

fn render_unreachable(tried: &[(String, String)]) -> String {
    let mut text = "error: no node could be reached".to_owned();
    for (address, reason) in tried {
        let _ = write!(text, "\n  {address}: {reason}");
    }
    text.push_str(
        "\n  is a cluster running? `reeve dev` starts one; --addr or REEVE_ADDR says where to look",
    );
    text
}

/// The name of a code as google.rpc.Code spells it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_is_one_line_with_code_and_reason() {
        let details = ErrorDetails::with_error_info("RUN_NOT_FOUND", "reeve", HashMap::new());
        let status = Status::with_error_details(Code::NotFound, "no run with id 7", details);
        let error = CliError::from(status);
        assert_eq!(
            error.render().unwrap(),
            "error: NOT_FOUND (RUN_NOT_FOUND): no run with id 7"
        );
        assert_eq!(error.exit_code(), EXIT_ERROR);
        let bare = CliError::from(Status::internal("broken"));
        assert_eq!(bare.render().unwrap(), "error: INTERNAL: broken");
    }

    #[test]
    fn a_caller_whose_key_does_not_do_is_told_in_one_line_what_to_do() {
        for (code, reason, words) in [
            (
                Code::Unauthenticated,
                "KEY_MISSING",
                "set REEVE_API_KEY or --api-key",
            ),
            (Code::Unauthenticated, "KEY_MISSING", "`reeve key bootstrap`"),
            (Code::Unauthenticated, "KEY_REJECTED", "`reeve key create`"),
            (Code::PermissionDenied, "ROLE_TOO_LOW", "`reeve key whoami`"),
            (Code::PermissionDenied, "OTHER_PROJECT", "`reeve key whoami`"),
            (Code::FailedPrecondition, "PROJECT_IN_USE", "`reeve key list`"),
            (Code::FailedPrecondition, "KEYS_EXIST", "use a key"),
        ] {
            let details = ErrorDetails::with_error_info(reason, "reeve", HashMap::new());
            let status = Status::with_error_details(code, "no", details);
            let text = CliError::from(status).render().unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].contains(reason) && lines[1].contains(words), "{text}");
        }
    }

    #[test]
    fn field_violations_follow_one_per_line() {
        let mut details = ErrorDetails::with_error_info("INVALID_DEFINITION", "reeve", HashMap::new());
        details
            .add_bad_request_violation("groups[0].endpoints", "must be at least 1")
            .add_bad_request_violation("duration", "must be at most 24h");
        let status =
            Status::with_error_details(Code::InvalidArgument, "the definition is not valid", details);
        assert_eq!(
            CliError::from(status).render().unwrap(),
            "error: INVALID_ARGUMENT (INVALID_DEFINITION): the definition is not valid\n  \
             groups[0].endpoints: must be at least 1\n  duration: must be at most 24h"
        );
    }

    #[test]
    fn a_message_that_repeats_its_violations_is_left_out() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELDS", "reeve", HashMap::new());
        details.add_bad_request_violation("id", "is required");
        let status = Status::with_error_details(Code::InvalidArgument, "invalid: id: is required", details);
        assert_eq!(
            CliError::from(status).render().unwrap(),
            "error: INVALID_ARGUMENT (INVALID_FIELDS)\n  id: is required"
        );
    }

    #[test]
    fn unreachable_says_what_was_tried_and_what_to_do() {
        let text = CliError::Unreachable(vec![("127.0.0.1:1".into(), "connection refused".into())])
            .render()
            .unwrap();
        assert!(
            text.contains("127.0.0.1:1: connection refused") && text.contains("reeve dev"),
            "{text}"
        );
    }

    #[test]
    fn a_closed_pipe_is_silent() {
        let error = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((error.render(), error.exit_code()), (None, 0));
    }

    #[test]
    fn waiting_too_long_has_its_own_exit_code() {
        assert_eq!(CliError::TimedOut("the run".into()).exit_code(), EXIT_TIMED_OUT);
    }
}
