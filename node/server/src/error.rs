//! Every error of the API, and the one place that maps it to gRPC and to REST.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reeve_proto::json::{ErrorBodyJson, ErrorDetailsJson, ErrorFieldJson, ErrorJson};
use reeve_state::command::{FieldViolation, ObjectKind, Refusal};
use reeve_state::id::Revision;
use reeve_store::{AdminError, ProposeError, ReadError, UnavailableReason};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `domain` of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "reeve";

/// gRPC sends an error in its trailers, and clients refuse trailers of more than a few kilobytes: then nothing of it is seen.
const MAX_MESSAGE_BYTES: usize = 1_024;
const MAX_VALUE_BYTES: usize = 256;
const MAX_VIOLATION_BYTES: usize = 3_000;
/// REST could say more, but nobody reads more.
const MAX_JSON_VIOLATION_BYTES: usize = 64 << 10;

/// How long a caller should wait for a leader; elections end well before.
const RETRY_ELECTION: Duration = Duration::from_millis(500);

/// Anything a call can answer instead of what was asked for.
#[derive(Clone, Debug, Error)]
pub enum ApiError {
    /// Fields that break rules, all of them.
    #[error("{}", describe_violations(.0))]
    Invalid(Vec<FieldViolation>),
    /// A body that is not JSON, or not of the expected form.
    #[error("the body cannot be read: {0}")]
    Malformed(String),
    /// There is no such object, as of a read that asked the cluster or was told to be local.
    #[error("no {} {id}", kind.name())]
    NotFound {
        /// Of which kind.
        kind: ObjectKind,
        /// The id or name asked for.
        id: String,
    },
    /// The call names no key, or something that is none.
    #[error("an API key is needed: send `authorization: Bearer cmk_…`")]
    KeyMissing,
    /// The state refused the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command did not get through.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The members could not be changed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The changes asked for are gone.
    #[error("revision {asked} is compacted, the oldest one kept is {oldest}; list again")]
    Compacted {
        /// After which changes were asked for.
        asked: Revision,
        /// The oldest that is kept.
        oldest: Revision,
    },
    /// A revision that this node has not reached in time.
    #[error("this node is at revision {at} and has not reached {asked} in time; try another node")]
    Behind {
        /// The revision asked for.
        asked: Revision,
        /// Where the node is.
        at: Revision,
    },
    /// A body that is larger than any request has to be.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most, bytes.
        limit: usize,
    },
    /// The node stops.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The node is cut off from the others.
    #[error("this node is cut off from the others; try another")]
    Shedding,
    /// REST: nothing is served at this path.
    #[error("nothing is served at {0}")]
    NoSuchPath(String),
    /// REST: the path has other methods.
    #[error("{path} does not accept {method}")]
    MethodNotAllowed {
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// Too many questions read evidence.
    #[error("too many questions read evidence at once; try again")]
    EvidenceBusy,
    /// The evidence of a run is too much for one call.
    #[error(
        "the evidence of the run is {bytes} bytes, a call reads at most {most}; read the objects themselves"
    )]
    EvidenceTooLarge {
        /// What it is.
        bytes: u64,
        /// What a call reads.
        most: u64,
    },
    /// Secrets of SIP accounts cannot be kept.
    #[error(
        "this node has no cluster secret, so it cannot keep secrets of accounts: set REEVE_CLUSTER_SECRET (at least 32 characters, the same on every node)"
    )]
    NoClusterSecret,
    /// A media file is not held by most nodes.
    #[error("{held} of {members} nodes hold the file, {needed} have to; try again when more of them answer")]
    TooFewCopies {
        /// How many hold it.
        held: usize,
        /// How many have to.
        needed: usize,
        /// How many there are.
        members: usize,
    },
    /// A bug: the answer of the state does not fit the question.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl ApiError {
    /// One field that breaks one rule.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldViolation {
            field: field.into(),
            rule: rule.into(),
        }])
    }
}

/// What programs read of an error: the same for gRPC and REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Broad class.
    pub code: Code,
    /// Stable word, UPPER_CASE.
    pub reason: Cow<'static, str>,
    /// Facts about it, by name.
    pub metadata: BTreeMap<&'static str, String>,
    /// Fields that break rules.
    pub violations: Vec<FieldViolation>,
    /// Repeating the call may help after this time.
    pub retry_after: Option<Duration>,
}

impl Description {
    fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.insert(key, value.to_string());
        self
    }

    fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    fn fields(mut self, violations: &[FieldViolation]) -> Self {
        self.violations = violations.to_vec();
        self
    }
}

impl ApiError {
    /// Code, reason and details.
    pub fn describe(&self) -> Description {
        match self {
            Self::Invalid(violations) => invalid(violations),
            Self::Malformed(_) => Description::new(Code::InvalidArgument, "MALFORMED_BODY"),
            Self::NotFound { kind, id } => not_found(*kind, id),
            Self::KeyMissing => Description::new(Code::Unauthenticated, "KEY_MISSING"),
            Self::Refused(refusal) => describe_refusal(refusal),
            Self::Propose(error) => describe_propose(error),
            Self::Read(ReadError::Unavailable { reason }) => unavailable(*reason),
            Self::Read(ReadError::Fatal(_)) => fatal(),
            Self::Admin(error) => describe_admin(error),
            Self::Compacted { asked, oldest } => Description::new(Code::OutOfRange, "REVISION_COMPACTED")
                .with("asked", asked)
                .with("oldest", oldest),
            Self::Behind { asked, at } => Description::new(Code::Unavailable, "NODE_BEHIND")
                .with("asked", asked)
                .with("at", at)
                .retry(Duration::ZERO),
            Self::TooLarge { limit } => {
                Description::new(Code::ResourceExhausted, "BODY_TOO_LARGE").with("limitBytes", limit)
            }
            Self::Shedding => Description::new(Code::Unavailable, "SHEDDING").retry(Duration::ZERO),
            Self::ShuttingDown => unavailable(UnavailableReason::ShuttingDown),
            Self::NoSuchPath(path) => Description::new(Code::NotFound, "NO_SUCH_PATH").with("path", path),
            Self::MethodNotAllowed { method, path } => {
                Description::new(Code::Unimplemented, "METHOD_NOT_ALLOWED")
                    .with("method", method)
                    .with("path", path)
            }
            Self::EvidenceBusy => {
                Description::new(Code::ResourceExhausted, "EVIDENCE_BUSY").retry(Duration::from_secs(1))
            }
            Self::EvidenceTooLarge { bytes, most } => {
                Description::new(Code::FailedPrecondition, "EVIDENCE_TOO_LARGE")
                    .with("bytes", bytes)
                    .with("most", most)
            }
            Self::NoClusterSecret => Description::new(Code::FailedPrecondition, "NO_CLUSTER_SECRET"),
            Self::TooFewCopies {
                held,
                needed,
                members,
            } => Description::new(Code::Unavailable, "TOO_FEW_COPIES")
                .with("held", held)
                .with("needed", needed)
                .with("members", members)
                .retry(Duration::from_secs(1)),
            Self::Internal(_) => Description::new(Code::Internal, "INTERNAL"),
        }
    }
}

fn invalid(violations: &[FieldViolation]) -> Description {
    Description::new(Code::InvalidArgument, "INVALID_FIELDS").fields(violations)
}

fn not_found(kind: ObjectKind, id: &str) -> Description {
    let reason = match kind {
        ObjectKind::Test => "TEST_NOT_FOUND",
        ObjectKind::Run => "RUN_NOT_FOUND",
        ObjectKind::Worker => "WORKER_NOT_FOUND",
        ObjectKind::Assignment => "ASSIGNMENT_NOT_FOUND",
        ObjectKind::Key => "KEY_NOT_FOUND",
        ObjectKind::Probe => "PROBE_NOT_FOUND",
        ObjectKind::Evidence => "EVIDENCE_NOT_FOUND",
        ObjectKind::Summary => "SUMMARY_NOT_FOUND",
        ObjectKind::Project => "PROJECT_NOT_FOUND",
        ObjectKind::Webhook => "WEBHOOK_NOT_FOUND",
        ObjectKind::Delivery => "DELIVERY_NOT_FOUND",
        ObjectKind::Registrar => "REGISTRAR_NOT_FOUND",
        ObjectKind::AccountPool => "ACCOUNT_POOL_NOT_FOUND",
        ObjectKind::Account => "ACCOUNT_NOT_FOUND",
        ObjectKind::Media => "MEDIA_NOT_FOUND",
    };
    Description::new(Code::NotFound, reason).with("id", id)
}

/// Certainly not proposed: may be repeated freely.
fn unavailable(reason: UnavailableReason) -> Description {
    let after = match reason {
        UnavailableReason::NoLeader | UnavailableReason::NoQuorum => RETRY_ELECTION,
        // Another node answers at once, and so does this one if it has time.
        UnavailableReason::ShuttingDown | UnavailableReason::Overdue => Duration::ZERO,
    };
    Description::new(Code::Unavailable, reason.name()).retry(after)
}

/// May yet commit: repeat it only under the same request id.
fn outcome_unknown() -> Description {
    Description::new(Code::DeadlineExceeded, "OUTCOME_UNKNOWN")
}

fn fatal() -> Description {
    Description::new(Code::Internal, "NODE_FAILED")
}

fn describe_propose(error: &ProposeError) -> Description {
    match error {
        ProposeError::Unavailable { reason } => unavailable(*reason),
        ProposeError::OutcomeUnknown => outcome_unknown(),
        ProposeError::LaneFull { retry_after } => {
            Description::new(Code::ResourceExhausted, "LANE_FULL").retry(*retry_after)
        }
        ProposeError::NotLeader => Description::new(Code::Unavailable, "NOT_LEADER").retry(RETRY_ELECTION),
        ProposeError::Fatal(_) => fatal(),
    }
}

fn describe_admin(error: &AdminError) -> Description {
    match error {
        AdminError::Unavailable => outcome_unknown(),
        AdminError::Refused(_) => Description::new(Code::FailedPrecondition, "MEMBERSHIP_REFUSED"),
        AdminError::Fatal(_) => fatal(),
    }
}

fn describe_refusal(refusal: &Refusal) -> Description {
    let precondition = |reason: &'static str| Description::new(Code::FailedPrecondition, reason);
    match refusal {
        Refusal::NotFound { kind, id } => not_found(*kind, id),
        Refusal::AlreadyExists { kind, name } => Description::new(Code::AlreadyExists, "NAME_TAKEN")
            .with("kind", kind.name())
            .with("name", name),
        Refusal::RequestIdReused { request_id } => {
            Description::new(Code::AlreadyExists, "REQUEST_ID_REUSED").with("requestId", request_id)
        }
        Refusal::Invalid { violations } => invalid(violations),
        Refusal::WrongStatus {
            kind,
            id,
            status,
            allowed,
        } => {
            let reason = format!("{}_{status}", kind.name().to_uppercase());
            Description::new(Code::FailedPrecondition, reason)
                .with("id", id)
                .with("status", status)
                .with("allowed", allowed.join(","))
        }
        Refusal::TestInUse { id, runs } => precondition("TEST_IN_USE").with("id", id).with("runs", runs),
        Refusal::TestProbed { id, probe } => precondition("TEST_IN_USE").with("id", id).with("probe", probe),
        Refusal::SlotNotOpen { probe, slot, cursor } => precondition("SLOT_NOT_OPEN")
            .with("probe", probe)
            .with("slot", slot.0)
            .with("cursor", cursor.0),
        Refusal::Stale {
            kind: _,
            id,
            planned,
            actual,
        } => Description::new(Code::Aborted, "STALE_REVISION")
            .with("id", id)
            .with("planned", planned)
            .with("actual", actual),
        Refusal::StaleTerm { fence_term, term } => Description::new(Code::Aborted, "STALE_TERM")
            .with("fenceTerm", fence_term)
            .with("term", term),
        Refusal::SessionOver { worker, epoch } => precondition("SESSION_OVER")
            .with("worker", worker)
            .with("epoch", epoch.0),
        Refusal::TokenRejected => Description::new(Code::Unauthenticated, "TOKEN_REJECTED"),
        Refusal::TokenExpired { worker } => {
            Description::new(Code::Unauthenticated, "TOKEN_EXPIRED").with("worker", worker)
        }
        Refusal::KeyRejected { reason: _ } => Description::new(Code::Unauthenticated, "KEY_REJECTED"),
        Refusal::RoleTooLow { role, needs } => Description::new(Code::PermissionDenied, "ROLE_TOO_LOW")
            .with("role", role)
            .with("needs", needs.roles()),
        Refusal::KeysExist => precondition("KEYS_EXIST"),
        Refusal::LastAdminKey { id } => precondition("LAST_ADMIN_KEY").with("id", id),
        Refusal::WorkerBusy { worker, assignments } => precondition("WORKER_BUSY")
            .with("worker", worker)
            .with("assignments", assignments),
        Refusal::WorkerOfAnotherKey { worker } => {
            Description::new(Code::PermissionDenied, "WORKER_OF_ANOTHER_KEY").with("worker", worker)
        }
        Refusal::OverPlan(_) => precondition("OVER_PLAN"),
        Refusal::SipUnavailable(_) => precondition("SIP_UNAVAILABLE"),
        Refusal::InUse { kind, name, by: _ } => {
            let reason = format!("{}_IN_USE", kind.name().to_uppercase().replace(' ', "_"));
            Description::new(Code::FailedPrecondition, reason).with("name", name)
        }
        Refusal::ProjectInUse {
            project,
            tests,
            runs,
            keys,
        } => precondition("PROJECT_IN_USE")
            .with("project", project)
            .with("tests", tests)
            .with("runs", runs)
            .with("keys", keys),
        Refusal::OtherProject { project, of_key } => {
            Description::new(Code::PermissionDenied, "OTHER_PROJECT")
                .with("project", project)
                .with("ofKey", of_key)
        }
        Refusal::WrongProfile { worker, is, wanted } => precondition("WRONG_PROFILE")
            .with("worker", worker)
            .with("is", is)
            .with("wanted", wanted),
        Refusal::EpochOver {
            run,
            epoch,
            confirm: _,
            acked_seq,
        } => precondition("EPOCH_OVER")
            .with("run", run)
            .with("epoch", epoch.0)
            .with("ackedSeq", acked_seq),
        Refusal::ReportOutOfOrder { seq, expected } => precondition("REPORT_OUT_OF_ORDER")
            .with("seq", seq)
            .with("expected", expected),
        Refusal::ReportInvalid { rule: _ } => Description::new(Code::InvalidArgument, "REPORT_INVALID"),
        Refusal::Placement(_) => precondition("PLACEMENT_REFUSED"),
        Refusal::NotYet { run, rule: _ } => precondition("NOT_YET").with("run", run),
        Refusal::ClusterVersion {
            version,
            in_force,
            known,
        } => precondition("CLUSTER_VERSION")
            .with("version", version)
            .with("inForce", in_force)
            .with("known", known),
    }
}

fn describe_violations(violations: &[FieldViolation]) -> String {
    let each: Vec<_> = violations
        .iter()
        .map(|v| format!("{}: {}", v.field, v.rule))
        .collect();
    format!("invalid: {}", each.join("; "))
}

/// The first violations, as many as fit, and how many there are more.
fn told(violations: &[FieldViolation], most: usize) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let fit = violations.iter().take_while(|violation| {
        bytes += violation.field.len() + violation.rule.len();
        bytes <= most
    });
    let mut told: Vec<_> = fit.cloned().collect();
    if told.is_empty()
        && let Some(first) = violations.first()
    {
        told.push(FieldViolation {
            field: cut(&first.field, MAX_VALUE_BYTES),
            rule: cut(&first.rule, MAX_VALUE_BYTES),
        });
    }
    let more = violations.len() - told.len();
    if more > 0 {
        told.push(FieldViolation {
            field: String::new(),
            rule: format!("and {more} more"),
        });
    }
    told
}

/// The text, or its beginning.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let description = error.describe();
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = description
            .metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), cut(value, MAX_VALUE_BYTES)))
            .collect();
        details.set_error_info(description.reason.clone(), DOMAIN, metadata);
        for violation in told(&description.violations, MAX_VIOLATION_BYTES) {
            details.add_bad_request_violation(&violation.field, &violation.rule);
        }
        if let Some(after) = description.retry_after {
            details.set_retry_info(Some(after));
        }
        Self::with_error_details(
            description.code,
            cut(&error.to_string(), MAX_MESSAGE_BYTES),
            details,
        )
    }
}

/// The code of an answered error, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredCode(pub Code);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let description = self.describe();
        // The only cases in which HTTP has a more telling status than the one of the code.
        let status = match &self {
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_)
            | Self::Malformed(_)
            | Self::NotFound { .. }
            | Self::KeyMissing
            | Self::Refused(_)
            | Self::Propose(_)
            | Self::Read(_)
            | Self::Admin(_)
            | Self::Compacted { .. }
            | Self::Behind { .. }
            | Self::ShuttingDown
            | Self::Shedding
            | Self::NoSuchPath(_)
            | Self::EvidenceBusy
            | Self::EvidenceTooLarge { .. }
            | Self::NoClusterSecret
            | Self::TooFewCopies { .. }
            | Self::Internal(_) => http_status(description.code),
        };
        let body = self.to_json();
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(AnsweredCode(description.code));
        response
    }
}

impl ApiError {
    /// The body of the answer.
    pub fn to_json(&self) -> ErrorJson {
        let description = self.describe();
        let details = ErrorDetailsJson {
            metadata: description
                .metadata
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            fields: told(&description.violations, MAX_JSON_VIOLATION_BYTES)
                .into_iter()
                .map(|violation| ErrorFieldJson {
                    field: violation.field,
                    rule: violation.rule,
                })
                .collect(),
            retry_after_ms: description
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        };
        ErrorJson {
            error: ErrorBodyJson {
                code: code_name(description.code).to_owned(),
                reason: description.reason.into_owned(),
                message: cut(&self.to_string(), MAX_JSON_VIOLATION_BYTES),
                details,
            },
        }
    }
}

/// The HTTP status that google.rpc.Code documents for a code.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // 499, which the http crate has no name for.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The name of a code, as in google.rpc.Code.
pub const fn code_name(code: Code) -> &'static str {
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
