//! How a session ends, and what the worker is told. The one place where that becomes a gRPC status.

use reeve_store::{ProposeError, UnavailableReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::decode::BadField;
use crate::error::DOMAIN;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The worker went away, or said Goodbye; there is nobody to tell or nothing to say.
    Left,
    /// The same process connected again: its old stream ends without a word.
    Replaced,
    /// Another process of the worker connected.
    Superseded,
    /// The session was declared over (the worker was silent too long): it says Hello again.
    Over,
    /// No worker has this token, or not any more.
    TokenRejected,
    /// The worker's token ran out.
    TokenExpired,
    /// The worker was deleted.
    Deleted,
    /// Nothing was committed: another node may do better.
    NoLeader,
    /// The node's queue is full.
    Overloaded,
    /// No quorum acknowledges this node.
    Shedding,
    /// The node stops.
    ShuttingDown,
    /// The connection said no Hello in time.
    HelloTimeout,
    /// This node has as many sessions as it may.
    TooManySessions,
    /// This node has as many connections without a Hello as it may.
    TooManyConnections,
    /// The worker sent far more heartbeats than it should.
    Flood,
    /// A message that no correct worker sends.
    Bad(BadField),
    /// The state machine refused what it should not: a bug on our side.
    Unexpected(String),
}

impl SessionEnd {
    /// What ends the stream; `None`: it ends in order.
    pub fn status(&self) -> Option<Status> {
        let (code, reason, message) = match self {
            Self::Left | Self::Replaced => return None,
            Self::Superseded => (
                Code::Aborted,
                "SESSION_SUPERSEDED",
                "another process connected as this worker".to_owned(),
            ),
            Self::Over => (
                Code::Unavailable,
                "SESSION_OVER",
                "this session is over; say Hello again".to_owned(),
            ),
            Self::TokenRejected => (
                Code::Unauthenticated,
                "TOKEN_REJECTED",
                "the token is not valid".to_owned(),
            ),
            Self::TokenExpired => (
                Code::Unauthenticated,
                "TOKEN_EXPIRED",
                "the token has expired; regenerate it".to_owned(),
            ),
            Self::Deleted => (
                Code::FailedPrecondition,
                "WORKER_DELETED",
                "the worker was deleted".to_owned(),
            ),
            Self::NoLeader => (
                Code::Unavailable,
                "NO_LEADER",
                "no leader could be reached; try another node".to_owned(),
            ),
            Self::Overloaded => (
                Code::Unavailable,
                "OVERLOADED",
                "this node has too much to do; try another".to_owned(),
            ),
            Self::Shedding => (
                Code::Unavailable,
                "SHEDDING",
                "this node is cut off from the others; try another".to_owned(),
            ),
            Self::ShuttingDown => (
                Code::Unavailable,
                "SHUTTING_DOWN",
                "this node stops; try another".to_owned(),
            ),
            Self::HelloTimeout => (
                Code::DeadlineExceeded,
                "HELLO_TIMEOUT",
                "no Hello came in time".to_owned(),
            ),
            Self::TooManySessions => (
                Code::ResourceExhausted,
                "TOO_MANY_SESSIONS",
                "this node has as many sessions as it may; try another".to_owned(),
            ),
            Self::TooManyConnections => (
                Code::ResourceExhausted,
                "TOO_MANY_CONNECTIONS",
                "too many connections have not said Hello yet; try another node".to_owned(),
            ),
            Self::Flood => (
                Code::ResourceExhausted,
                "FLOOD",
                "more heartbeats than a worker may send".to_owned(),
            ),
            Self::Bad(bad) => return Some(bad_status(bad)),
            Self::Unexpected(message) => (Code::Internal, "INTERNAL", message.clone()),
        };
        let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
        Some(Status::with_error_details(code, message, details))
    }

    /// Says why a connection did not become a session. Never the token.
    pub(super) fn log_refusal(&self) {
        match self {
            Self::Left => tracing::debug!("a connection ended before its Hello was answered"),
            Self::TokenRejected => tracing::warn!("a worker's token was rejected"),
            Self::TokenExpired => tracing::warn!("a worker's token has expired"),
            Self::Unexpected(message) => tracing::error!(%message, "a Hello was refused"),
            Self::Replaced
            | Self::Superseded
            | Self::Over
            | Self::Deleted
            | Self::NoLeader
            | Self::Overloaded
            | Self::Shedding
            | Self::ShuttingDown
            | Self::HelloTimeout
            | Self::TooManySessions
            | Self::TooManyConnections
            | Self::Flood
            | Self::Bad(_) => tracing::info!(end = ?self, "a connection was refused"),
        }
    }
}

fn bad_status(bad: &BadField) -> Status {
    let mut details = ErrorDetails::with_error_info("INVALID_MESSAGE", DOMAIN, []);
    details.set_bad_request(vec![tonic_types::FieldViolation::new(
        bad.field.clone(),
        bad.rule.clone(),
    )]);
    Status::with_error_details(Code::InvalidArgument, bad.to_string(), details)
}

impl From<ProposeError> for SessionEnd {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Unavailable { reason } => Self::from(reason),
            ProposeError::OutcomeUnknown | ProposeError::NotLeader => Self::NoLeader,
            ProposeError::LaneFull { .. } => Self::Overloaded,
            ProposeError::Fatal(_) => Self::ShuttingDown,
        }
    }
}

impl From<UnavailableReason> for SessionEnd {
    fn from(reason: UnavailableReason) -> Self {
        match reason {
            UnavailableReason::NoLeader | UnavailableReason::NoQuorum => Self::NoLeader,
            UnavailableReason::Overdue => Self::Overloaded,
            UnavailableReason::ShuttingDown => Self::ShuttingDown,
        }
    }
}

impl From<BadField> for SessionEnd {
    fn from(bad: BadField) -> Self {
        Self::Bad(bad)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_the_code_and_reason_of_the_contract() {
        let rows = [
            (SessionEnd::TokenRejected, Code::Unauthenticated, "TOKEN_REJECTED"),
            (SessionEnd::TokenExpired, Code::Unauthenticated, "TOKEN_EXPIRED"),
            (SessionEnd::Superseded, Code::Aborted, "SESSION_SUPERSEDED"),
            (SessionEnd::Over, Code::Unavailable, "SESSION_OVER"),
            (SessionEnd::NoLeader, Code::Unavailable, "NO_LEADER"),
            (SessionEnd::Overloaded, Code::Unavailable, "OVERLOADED"),
            (SessionEnd::Shedding, Code::Unavailable, "SHEDDING"),
            (SessionEnd::ShuttingDown, Code::Unavailable, "SHUTTING_DOWN"),
            (SessionEnd::Deleted, Code::FailedPrecondition, "WORKER_DELETED"),
            (SessionEnd::HelloTimeout, Code::DeadlineExceeded, "HELLO_TIMEOUT"),
            (
                SessionEnd::TooManySessions,
                Code::ResourceExhausted,
                "TOO_MANY_SESSIONS",
            ),
            (
                SessionEnd::TooManyConnections,
                Code::ResourceExhausted,
                "TOO_MANY_CONNECTIONS",
            ),
            (SessionEnd::Flood, Code::ResourceExhausted, "FLOOD"),
            (
                SessionEnd::Bad(BadField::new("f", "r")),
                Code::InvalidArgument,
                "INVALID_MESSAGE",
            ),
        ];
        for (end, code, reason) in rows {
            let status = end.status().unwrap();
            assert_eq!(status.code(), code, "{end:?}");
            assert_eq!(status.get_error_details().error_info().unwrap().reason, reason);
        }
        assert!(SessionEnd::Left.status().is_none());
        assert!(SessionEnd::Replaced.status().is_none());
    }
}
