//! What the failure of a call means for a ping worker. Pure.

use tonic::Code;

use super::client::CallError;
use crate::cause::{Cause, CauseKind};

/// What to do about it.
#[derive(Debug)]
pub enum Judgement {
    /// The worker is not registered (any more): register (R348).
    RegisterAgain,
    /// What we say of ourselves will not be taken, however often we say it.
    Hopeless(String),
    /// The name is that of a worker that is ONLINE: wait (D4a).
    NameTaken(Cause),
    /// The key does not do, on any node: try again slowly.
    Refused(Cause),
    /// Another node may do better.
    NextNode(Cause),
}

/// Judges a failed registration.
pub fn registration(error: CallError) -> Judgement {
    match error {
        CallError::Answered(status) if status.code() == Code::InvalidArgument => {
            Judgement::Hopeless(status.message().to_owned())
        }
        CallError::Answered(status) if status.code() == Code::AlreadyExists => {
            Judgement::NameTaken(Cause::new(CauseKind::NameTaken, status.message()))
        }
        CallError::Answered(status) => of_cause(Cause::from(*status)),
        CallError::NoAnswer(cause) => of_cause(cause),
    }
}

/// Judges a failed ping.
pub fn ping(error: CallError) -> Judgement {
    match error {
        CallError::Answered(status) if status.code() == Code::NotFound => Judgement::RegisterAgain,
        CallError::Answered(status) => of_cause(Cause::from(*status)),
        CallError::NoAnswer(cause) => of_cause(cause),
    }
}

fn of_cause(cause: Cause) -> Judgement {
    // Without a token the node cannot mean one.
    let cause = if cause.kind == CauseKind::TokenRejected {
        Cause::new(CauseKind::KeyRejected, cause.detail)
    } else {
        cause
    };
    if cause.kind.is_refusal() {
        Judgement::Refused(cause)
    } else {
        Judgement::NextNode(cause)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    fn named(judgement: &Judgement) -> String {
        match judgement {
            Judgement::RegisterAgain => "register again".to_owned(),
            Judgement::Hopeless(message) => format!("hopeless: {message}"),
            Judgement::NameTaken(_) => "name taken".to_owned(),
            Judgement::Refused(cause) => format!("refused: {}", cause.kind.label()),
            Judgement::NextNode(cause) => format!("next node: {}", cause.kind.label()),
        }
    }

    // Covers: R348, R353, D4a
    #[test]
    fn each_failure_has_one_meaning() {
        let answered = |code, words: &str| CallError::Answered(Box::new(Status::new(code, words)));
        let table = [
            (
                Code::InvalidArgument,
                "name: too long",
                "hopeless: name: too long",
                "next node: other",
            ),
            (Code::AlreadyExists, "", "name taken", "next node: other"),
            (Code::NotFound, "", "next node: other", "register again"),
            (
                Code::Unauthenticated,
                "",
                "refused: key_rejected",
                "refused: key_rejected",
            ),
            (
                Code::PermissionDenied,
                "",
                "refused: role_too_low",
                "refused: role_too_low",
            ),
            (
                Code::Unavailable,
                "NO_LEADER",
                "next node: no_leader",
                "next node: no_leader",
            ),
            (
                Code::Unavailable,
                "SHUTTING_DOWN",
                "next node: leaving",
                "next node: leaving",
            ),
            (
                Code::DeadlineExceeded,
                "OUTCOME_UNKNOWN",
                "next node: other",
                "next node: other",
            ),
        ];
        for (code, words, of_registration, of_ping) in table {
            assert_eq!(named(&registration(answered(code, words))), of_registration);
            assert_eq!(named(&ping(answered(code, words))), of_ping);
        }
        let silence = || CallError::NoAnswer(Cause::new(CauseKind::TimedOut, ""));
        assert_eq!(named(&registration(silence())), "next node: timed_out");
        assert_eq!(named(&ping(silence())), "next node: timed_out");
    }
}
