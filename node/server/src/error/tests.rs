//! The mapping of errors, as a table over every variant.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use axum::body::to_bytes;
use reeve_state::command::PlacementFault;
use reeve_state::id::{AssignmentEpoch, RunId, SessionEpoch, WorkerId};
use reeve_store::FatalError;

use super::*;

const RUN: RunId = RunId::from_bytes([1; 16]);
const WORKER: WorkerId = WorkerId::from_bytes([2; 16]);
const RETRY: Duration = Duration::from_millis(70);

fn violations() -> Vec<FieldViolation> {
    vec![
        FieldViolation {
            field: "duration".into(),
            rule: "is required".into(),
        },
        FieldViolation {
            field: "groups[0].endpoints".into(),
            rule: "must be at least 1".into(),
        },
    ]
}

fn wrong_status(kind: ObjectKind, status: &str) -> Refusal {
    Refusal::WrongStatus {
        kind,
        id: "x".into(),
        status: status.into(),
        allowed: vec!["ONLINE".into()],
    }
}

fn missing(kind: ObjectKind) -> Refusal {
    Refusal::NotFound { kind, id: "x".into() }
}

fn refusals() -> Vec<(Refusal, Code, &'static str)> {
    use Code::{Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unauthenticated};
    vec![
        (missing(ObjectKind::Test), NotFound, "TEST_NOT_FOUND"),
        (missing(ObjectKind::Run), NotFound, "RUN_NOT_FOUND"),
        (missing(ObjectKind::Worker), NotFound, "WORKER_NOT_FOUND"),
        (missing(ObjectKind::Assignment), NotFound, "ASSIGNMENT_NOT_FOUND"),
        (
            Refusal::AlreadyExists {
                kind: ObjectKind::Test,
                name: "t".into(),
            },
            AlreadyExists,
            "NAME_TAKEN",
        ),
        (
            Refusal::RequestIdReused {
                request_id: "r".into(),
            },
            AlreadyExists,
            "REQUEST_ID_REUSED",
        ),
        (
            Refusal::Invalid {
                violations: violations(),
            },
            InvalidArgument,
            "INVALID_FIELDS",
        ),
        (
            wrong_status(ObjectKind::Worker, "DRAINING"),
            FailedPrecondition,
            "WORKER_DRAINING",
        ),
        (
            wrong_status(ObjectKind::Run, "COMPLETED"),
            FailedPrecondition,
            "RUN_COMPLETED",
        ),
        (
            Refusal::TestInUse {
                id: "x".into(),
                runs: 2,
            },
            FailedPrecondition,
            "TEST_IN_USE",
        ),
        (
            Refusal::Stale {
                kind: ObjectKind::Run,
                id: "x".into(),
                planned: Revision(1),
                actual: Revision(2),
            },
            Aborted,
            "STALE_REVISION",
        ),
        (
            Refusal::StaleTerm {
                fence_term: 1,
                term: 2,
            },
            Aborted,
            "STALE_TERM",
        ),
        (
            Refusal::SessionOver {
                worker: WORKER,
                epoch: SessionEpoch(3),
            },
            FailedPrecondition,
            "SESSION_OVER",
        ),
        (Refusal::TokenRejected, Unauthenticated, "TOKEN_REJECTED"),
        (
            Refusal::EpochOver {
                run: RUN,
                epoch: AssignmentEpoch(4),
                confirm: true,
                acked_seq: 5,
            },
            FailedPrecondition,
            "EPOCH_OVER",
        ),
        (
            Refusal::ReportOutOfOrder { seq: 7, expected: 6 },
            FailedPrecondition,
            "REPORT_OUT_OF_ORDER",
        ),
        (
            Refusal::ReportInvalid { rule: "r".into() },
            InvalidArgument,
            "REPORT_INVALID",
        ),
        (
            Refusal::Placement(PlacementFault::UnknownWorker(WORKER)),
            FailedPrecondition,
            "PLACEMENT_REFUSED",
        ),
        (
            Refusal::NotYet {
                run: RUN,
                rule: "r".into(),
            },
            FailedPrecondition,
            "NOT_YET",
        ),
        (
            Refusal::ClusterVersion {
                version: 9,
                in_force: 1,
                known: 1,
            },
            FailedPrecondition,
            "CLUSTER_VERSION",
        ),
    ]
}

fn table() -> Vec<(ApiError, Code, &'static str)> {
    use UnavailableReason::{NoLeader, NoQuorum, Overdue, ShuttingDown};
    let mut rows: Vec<(ApiError, Code, &'static str)> = refusals()
        .into_iter()
        .map(|(refusal, code, reason)| (refusal.into(), code, reason))
        .collect();
    for (reason, word) in [
        (NoLeader, "NO_LEADER"),
        (NoQuorum, "NO_QUORUM"),
        (ShuttingDown, "SHUTTING_DOWN"),
        (Overdue, "OVERDUE"),
    ] {
        rows.push((
            ProposeError::Unavailable { reason }.into(),
            Code::Unavailable,
            word,
        ));
        rows.push((ReadError::Unavailable { reason }.into(), Code::Unavailable, word));
    }
    rows.extend([
        (
            ApiError::Invalid(violations()),
            Code::InvalidArgument,
            "INVALID_FIELDS",
        ),
        (
            ApiError::Malformed("m".into()),
            Code::InvalidArgument,
            "MALFORMED_BODY",
        ),
        (
            ApiError::TooLarge { limit: 9 },
            Code::ResourceExhausted,
            "BODY_TOO_LARGE",
        ),
        (
            ApiError::NotFound {
                kind: ObjectKind::Run,
                id: "x".into(),
            },
            Code::NotFound,
            "RUN_NOT_FOUND",
        ),
        (
            ProposeError::OutcomeUnknown.into(),
            Code::DeadlineExceeded,
            "OUTCOME_UNKNOWN",
        ),
        (
            ProposeError::LaneFull { retry_after: RETRY }.into(),
            Code::ResourceExhausted,
            "LANE_FULL",
        ),
        (ProposeError::NotLeader.into(), Code::Unavailable, "NOT_LEADER"),
        (
            ProposeError::Fatal(FatalError { message: "f".into() }).into(),
            Code::Internal,
            "NODE_FAILED",
        ),
        (
            ReadError::Fatal(FatalError { message: "f".into() }).into(),
            Code::Internal,
            "NODE_FAILED",
        ),
        (
            AdminError::Refused("last voter".into()).into(),
            Code::FailedPrecondition,
            "MEMBERSHIP_REFUSED",
        ),
        (
            AdminError::Unavailable.into(),
            Code::DeadlineExceeded,
            "OUTCOME_UNKNOWN",
        ),
        (
            AdminError::Fatal(FatalError { message: "f".into() }).into(),
            Code::Internal,
            "NODE_FAILED",
        ),
        (
            ApiError::Compacted {
                asked: Revision(1),
                oldest: Revision(5),
            },
            Code::OutOfRange,
            "REVISION_COMPACTED",
        ),
        (ApiError::ShuttingDown, Code::Unavailable, "SHUTTING_DOWN"),
        (ApiError::NoSuchPath("/x".into()), Code::NotFound, "NO_SUCH_PATH"),
        (
            ApiError::MethodNotAllowed {
                method: "PUT".into(),
                path: "/tests".into(),
            },
            Code::Unimplemented,
            "METHOD_NOT_ALLOWED",
        ),
        (ApiError::Internal("i"), Code::Internal, "INTERNAL"),
    ]);
    rows
}

async fn body(error: ApiError) -> (StatusCode, serde_json::Value) {
    let response = error.into_response();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn grpc_and_rest_say_the_same_of_every_error() {
    for (error, code, reason) in table() {
        let status = Status::from(error.clone());
        assert_eq!(status.code(), code, "{error}");
        assert_eq!(status.message(), error.to_string());
        let info = status.get_details_error_info().expect(reason);
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, DOMAIN));

        let expected = if matches!(error, ApiError::MethodNotAllowed { .. }) {
            StatusCode::METHOD_NOT_ALLOWED
        } else if matches!(error, ApiError::TooLarge { .. }) {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            http_status(code)
        };
        let message = error.to_string();
        let (http, json) = body(error).await;
        assert_eq!(http, expected, "{message}");
        assert_eq!(json["error"]["code"], code_name(code));
        assert_eq!(json["error"]["reason"], reason);
        assert_eq!(json["error"]["message"], message);
        for (key, value) in info.metadata {
            assert_eq!(json["error"]["details"][key], value);
        }
    }
}

#[tokio::test]
async fn every_bad_field_is_named_on_both_roads() {
    for error in [
        ApiError::Invalid(violations()),
        Refusal::Invalid {
            violations: violations(),
        }
        .into(),
    ] {
        let status = Status::from(error.clone());
        let named = status.get_details_bad_request().unwrap().field_violations;
        let named: Vec<_> = named
            .iter()
            .map(|v| (v.field.as_str(), v.description.as_str()))
            .collect();
        let expected = [
            ("duration", "is required"),
            ("groups[0].endpoints", "must be at least 1"),
        ];
        assert_eq!(named, expected);
        let (_, json) = body(error).await;
        let fields = json["error"]["details"]["fields"].as_array().unwrap();
        let fields: Vec<_> = fields
            .iter()
            .map(|f| (f["field"].as_str().unwrap(), f["rule"].as_str().unwrap()))
            .collect();
        assert_eq!(fields, expected);
    }
}

#[tokio::test]
async fn callers_are_told_when_to_try_again() {
    let full = ApiError::from(ProposeError::LaneFull { retry_after: RETRY });
    assert_eq!(
        Status::from(full.clone())
            .get_details_retry_info()
            .unwrap()
            .retry_delay,
        Some(RETRY)
    );
    assert_eq!(body(full).await.1["error"]["details"]["retryAfterMs"], 70);
    // What may yet commit is not to be repeated blindly.
    let unknown = Status::from(ApiError::from(ProposeError::OutcomeUnknown));
    assert!(unknown.get_details_retry_info().is_none());
}

#[test]
fn what_was_certainly_not_proposed_is_unavailable_and_nothing_else_is() {
    for (error, code, _) in table() {
        let certain = matches!(
            error,
            ApiError::Propose(ProposeError::Unavailable { .. } | ProposeError::NotLeader)
                | ApiError::Read(ReadError::Unavailable { .. })
                | ApiError::ShuttingDown
        );
        assert_eq!(code == Code::Unavailable, certain, "{error}");
    }
}

#[test]
fn reasons_have_the_form_that_error_info_asks_for() {
    for (error, _, reason) in table() {
        let form = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(reason.chars().all(form), "{reason}: {error}");
    }
}

#[test]
fn an_error_with_much_to_say_is_cut_to_what_clients_take() {
    let many: Vec<FieldViolation> = (0..2_000)
        .map(|group| FieldViolation {
            field: format!("groups[{group}].executor"),
            rule: "is required".into(),
        })
        .collect();
    let long = ApiError::invalid("é".repeat(10_000), "x".repeat(1 << 20));
    let unknown = ApiError::NotFound {
        kind: ObjectKind::Test,
        id: "é".repeat(1 << 20),
    };
    for error in [ApiError::Invalid(many), long, unknown] {
        let status = Status::from(error);
        let percent_encoded = status.message().len() * 3;
        let base64 = status.details().len() * 4 / 3;
        assert!(percent_encoded + base64 < 12 << 10, "{percent_encoded} {base64}");
        assert!(status.message().ends_with('…'), "{}", status.message());
    }
}
