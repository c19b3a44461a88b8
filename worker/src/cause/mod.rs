//! Why a session could not be had or ended, sorted by what to do about it and by what to tell the operator.

mod kind;
mod told;

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::{debug, warn};

pub use kind::CauseKind;
pub use told::Told;

/// Why a session ended.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// For the log; never holds a credential.
    pub detail: String,
}

impl Cause {
    /// A kind that needs no further words, or few.
    pub fn new(kind: CauseKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// One line: where, what, and what to do next. What is no news goes to the debug log.
    pub fn log(&self, node: &str, wait: Duration, is_news: bool) {
        let (kind, detail, retry_ms) = (self.kind, &self.detail, wait.as_millis());
        let cause = kind.label();
        if is_news {
            let advice = kind.advice(node);
            warn!(
                cause,
                detail,
                retry_ms,
                "not connected to {node}: {}; {advice}",
                kind.explanation()
            );
        } else {
            debug!(
                cause,
                detail,
                retry_ms,
                "not connected to {node}: {}",
                kind.explanation()
            );
        }
    }
}

impl From<tonic::transport::Error> for Cause {
    fn from(error: tonic::transport::Error) -> Self {
        let mut kind = CauseKind::Other;
        let mut words = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            let text = source.to_string();
            if let Some(io) = source.downcast_ref::<io::Error>() {
                if io.kind() == io::ErrorKind::ConnectionRefused {
                    kind = CauseKind::Refused;
                } else if is_no_way(io.kind()) {
                    kind = CauseKind::TimedOut;
                }
            }
            if text.contains("dns error") {
                kind = CauseKind::Dns;
            }
            words.push(text);
            next = source.source();
        }
        words.dedup();
        Self::new(kind, words.join(": "))
    }
}

/// What a firewall or router says that refuses by a message instead of by silence.
fn is_no_way(kind: io::ErrorKind) -> bool {
    [
        io::ErrorKind::TimedOut,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
    ]
    .contains(&kind)
}

impl From<Status> for Cause {
    fn from(status: Status) -> Self {
        let reason = status
            .get_details_error_info()
            .map(|info| info.reason)
            .unwrap_or_default();
        let is = |word: &str| reason == word || (reason.is_empty() && status.message().contains(word));
        let kind = match status.code() {
            Code::Unauthenticated if is("KEY_REJECTED") => CauseKind::KeyRejected,
            Code::Unauthenticated if is("TOKEN_EXPIRED") => CauseKind::TokenExpired,
            Code::Unauthenticated => CauseKind::TokenRejected,
            Code::PermissionDenied => CauseKind::RoleTooLow,
            Code::Aborted if reason.is_empty() || is("SESSION_SUPERSEDED") => CauseKind::Superseded,
            Code::FailedPrecondition if is("WORKER_DELETED") => CauseKind::WorkerDeleted,
            _ if is("NO_LEADER") => CauseKind::NoLeader,
            _ if is("SHEDDING") || is("SHUTTING_DOWN") => CauseKind::Leaving,
            _ if is("OVERLOADED") => CauseKind::Overloaded,
            Code::ResourceExhausted => CauseKind::Overloaded,
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal => CauseKind::Broken,
            Code::Ok
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss => CauseKind::Other,
        };
        Self::new(kind, format!("{:?} {reason} {}", status.code(), status.message()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn kind(code: Code, reason: &str) -> CauseKind {
        let details = ErrorDetails::with_error_info(reason, "reeve.v1", HashMap::new());
        Cause::from(Status::with_error_details(code, "words", details)).kind
    }

    // Covers: R102
    #[test]
    fn a_status_is_sorted_by_its_reason() {
        assert_eq!(
            kind(Code::Unauthenticated, "TOKEN_REJECTED"),
            CauseKind::TokenRejected
        );
        assert_eq!(
            kind(Code::Unauthenticated, "TOKEN_EXPIRED"),
            CauseKind::TokenExpired
        );
        assert_eq!(
            kind(Code::Unauthenticated, "KEY_REJECTED"),
            CauseKind::KeyRejected
        );
        assert_eq!(
            kind(Code::PermissionDenied, "ROLE_TOO_LOW"),
            CauseKind::RoleTooLow
        );
        assert_eq!(kind(Code::Aborted, "SESSION_SUPERSEDED"), CauseKind::Superseded);
        assert_eq!(
            kind(Code::Aborted, "SAY_HELLO"),
            CauseKind::Other,
            "only the contract's reason ends a process"
        );
        assert_eq!(kind(Code::Unavailable, "NO_LEADER"), CauseKind::NoLeader);
        assert_eq!(kind(Code::Unavailable, "SHEDDING"), CauseKind::Leaving);
        assert_eq!(kind(Code::Unavailable, "SHUTTING_DOWN"), CauseKind::Leaving);
        assert_eq!(kind(Code::Unavailable, "OVERLOADED"), CauseKind::Overloaded);
        assert_eq!(kind(Code::ResourceExhausted, "TOO_MANY"), CauseKind::Overloaded);
        assert_eq!(
            kind(Code::FailedPrecondition, "WORKER_DELETED"),
            CauseKind::WorkerDeleted
        );
        assert_eq!(
            Cause::from(Status::unavailable("tcp reset")).kind,
            CauseKind::Broken
        );
        assert_eq!(
            Cause::from(Status::unavailable("NO_LEADER: none")).kind,
            CauseKind::NoLeader
        );
        assert_eq!(Cause::from(Status::aborted("gone")).kind, CauseKind::Superseded);
    }
}
