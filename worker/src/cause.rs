//! Why a session could not be had or ended, sorted by what to do about it and by what to tell the operator.

use std::error::Error as _;
use std::io;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The kinds that are told apart. Each is logged once until a session stands again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// The node's name does not resolve.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No connection, or no Welcome, in time.
    TimedOut,
    /// The connection stands and the node does not answer.
    Silent,
    /// The stream broke or ended.
    Broken,
    /// The node cannot reach a leader.
    NoLeader,
    /// The node sends its sessions elsewhere.
    Leaving,
    /// The credential is wrong.
    TokenRejected,
    /// The worker was deleted.
    WorkerDeleted,
    /// A newer session of this worker exists.
    Superseded,
    /// Anything else.
    Other,
}

impl CauseKind {
    /// Label of the metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::NoLeader => "no_leader",
            Self::Leaving => "leaving",
            Self::TokenRejected => "token_rejected",
            Self::WorkerDeleted => "worker_deleted",
            Self::Superseded => "superseded",
            Self::Other => "other",
        }
    }

    /// What the operator reads.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Dns => "the name of the node does not resolve",
            Self::Refused => "nothing listens at the node's address",
            Self::TimedOut => "the node did not answer in time",
            Self::Silent => "the node went silent",
            Self::Broken => "the session broke",
            Self::NoLeader => "the node has no leader",
            Self::Leaving => "the node sends its sessions elsewhere",
            Self::TokenRejected => {
                "authentication failed: the token is not that of a worker; regenerate it and restart with the new one"
            }
            Self::WorkerDeleted => "the worker was deleted from the cluster",
            Self::Superseded => "a newer process holds the session of this worker",
            Self::Other => "the session failed",
        }
    }

    /// Whether the answer holds on every node until somebody acts.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::TokenRejected | Self::WorkerDeleted)
    }
}

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
                } else if io.kind() == io::ErrorKind::TimedOut {
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

impl From<Status> for Cause {
    fn from(status: Status) -> Self {
        let reason = status
            .get_details_error_info()
            .map(|info| info.reason)
            .unwrap_or_default();
        let is = |word: &str| reason == word || (reason.is_empty() && status.message().contains(word));
        let kind = match status.code() {
            Code::Unauthenticated => CauseKind::TokenRejected,
            Code::Aborted if reason.is_empty() || is("SESSION_SUPERSEDED") => CauseKind::Superseded,
            Code::FailedPrecondition if is("WORKER_DELETED") => CauseKind::WorkerDeleted,
            _ if is("NO_LEADER") => CauseKind::NoLeader,
            _ if is("SHEDDING") || is("SHUTTING_DOWN") => CauseKind::Leaving,
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal => CauseKind::Broken,
            Code::Ok
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
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
        assert_eq!(kind(Code::Aborted, "SESSION_SUPERSEDED"), CauseKind::Superseded);
        assert_eq!(
            kind(Code::Aborted, "SAY_HELLO"),
            CauseKind::Other,
            "only the contract's reason ends a process"
        );
        assert_eq!(kind(Code::Unavailable, "NO_LEADER"), CauseKind::NoLeader);
        assert_eq!(kind(Code::Unavailable, "SHEDDING"), CauseKind::Leaving);
        assert_eq!(kind(Code::Unavailable, "SHUTTING_DOWN"), CauseKind::Leaving);
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
