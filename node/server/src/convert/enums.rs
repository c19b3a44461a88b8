//! Statuses, reasons and kinds: exhaustive in both directions.

use reeve_proto::v1;
use reeve_state::record::{Role, WorkerEventKind, WorkerKind};
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{AfterDrain, LivenessProfile, WorkerStatus};
use reeve_store::{Consistency, MemberRole};

use crate::error::ApiError;

/// To the wire.
pub const fn run_status(status: RunStatus) -> v1::RunStatus {
    match status {
        RunStatus::Pending => v1::RunStatus::Pending,
        RunStatus::Queued => v1::RunStatus::Queued,
        RunStatus::Running => v1::RunStatus::Running,
        RunStatus::Completed => v1::RunStatus::Completed,
        RunStatus::Failed => v1::RunStatus::Failed,
        RunStatus::CannotRunForNow => v1::RunStatus::CannotRunForNow,
    }
}

/// To the wire.
pub const fn run_reason(code: RunReasonCode) -> v1::RunReasonCode {
    match code {
        RunReasonCode::NoOnlineWorkers => v1::RunReasonCode::NoOnlineWorkers,
        RunReasonCode::WorkersBusy => v1::RunReasonCode::WorkersBusy,
        RunReasonCode::InsufficientCapacity => v1::RunReasonCode::InsufficientCapacity,
        RunReasonCode::PlanLimitExceeded => v1::RunReasonCode::PlanLimitExceeded,
        RunReasonCode::CreditsExhausted => v1::RunReasonCode::CreditsExhausted,
        RunReasonCode::SubscriptionInactive => v1::RunReasonCode::SubscriptionInactive,
        RunReasonCode::InvalidConfiguration => v1::RunReasonCode::InvalidConfiguration,
        RunReasonCode::WorkersNotReady => v1::RunReasonCode::WorkersNotReady,
        RunReasonCode::Cancelled => v1::RunReasonCode::Cancelled,
        RunReasonCode::StoppedByUser => v1::RunReasonCode::StoppedByUser,
        RunReasonCode::AllWorkersDisconnected => v1::RunReasonCode::AllWorkersDisconnected,
        RunReasonCode::ExecutionTimeoutExceeded => v1::RunReasonCode::ExecutionTimeoutExceeded,
        RunReasonCode::UnrecoverablePlatformError => v1::RunReasonCode::UnrecoverablePlatformError,
        RunReasonCode::WorkerLost => v1::RunReasonCode::WorkerLost,
        RunReasonCode::AccountsUnavailable => v1::RunReasonCode::AccountsUnavailable,
    }
}

/// To the wire.
pub const fn phase(phase: EndpointPhase) -> v1::EndpointPhase {
    match phase {
        EndpointPhase::Initializing => v1::EndpointPhase::Initializing,
        EndpointPhase::Registered => v1::EndpointPhase::Registered,
        EndpointPhase::Calling => v1::EndpointPhase::Calling,
        EndpointPhase::Ringing => v1::EndpointPhase::Ringing,
        EndpointPhase::Negotiating => v1::EndpointPhase::Negotiating,
        EndpointPhase::Incall => v1::EndpointPhase::Incall,
        EndpointPhase::Disconnecting => v1::EndpointPhase::Disconnecting,
        EndpointPhase::Closed => v1::EndpointPhase::Closed,
    }
}

/// To the wire.
pub const fn outcome(outcome: EndpointOutcome) -> v1::EndpointOutcome {
    match outcome {
        EndpointOutcome::Success => v1::EndpointOutcome::Success,
        EndpointOutcome::CompletedWithWarnings => v1::EndpointOutcome::CompletedWithWarnings,
        EndpointOutcome::RegistrationFailed => v1::EndpointOutcome::RegistrationFailed,
        EndpointOutcome::CallFailed => v1::EndpointOutcome::CallFailed,
        EndpointOutcome::NegotiationFailed => v1::EndpointOutcome::NegotiationFailed,
        EndpointOutcome::Timeout => v1::EndpointOutcome::Timeout,
        EndpointOutcome::Oserror => v1::EndpointOutcome::Oserror,
        EndpointOutcome::TeardownError => v1::EndpointOutcome::TeardownError,
    }
}

/// From the wire; unspecified and unknown ones are `None`.
pub fn outcome_from(number: i32) -> Option<EndpointOutcome> {
    u8::try_from(number).ok().and_then(EndpointOutcome::from_byte)
}

/// To the wire.
pub const fn assignment_status(status: AssignmentStatus) -> v1::AssignmentStatus {
    match status {
        AssignmentStatus::Offered => v1::AssignmentStatus::Offered,
        AssignmentStatus::Ready => v1::AssignmentStatus::Ready,
        AssignmentStatus::Started => v1::AssignmentStatus::Started,
        AssignmentStatus::Stopping => v1::AssignmentStatus::Stopping,
        AssignmentStatus::Lost => v1::AssignmentStatus::Lost,
        AssignmentStatus::Closed => v1::AssignmentStatus::Closed,
    }
}

/// To the wire.
pub const fn worker_status(status: WorkerStatus) -> v1::WorkerStatus {
    match status {
        WorkerStatus::Online => v1::WorkerStatus::Online,
        WorkerStatus::Offline => v1::WorkerStatus::Offline,
        WorkerStatus::Draining => v1::WorkerStatus::Draining,
        WorkerStatus::Error => v1::WorkerStatus::Error,
        WorkerStatus::Unreachable => v1::WorkerStatus::Unreachable,
        WorkerStatus::Deleted => v1::WorkerStatus::Deleted,
    }
}

/// To the wire.
pub const fn worker_kind(kind: WorkerKind) -> v1::WorkerKind {
    match kind {
        WorkerKind::UserOwned => v1::WorkerKind::UserOwned,
        WorkerKind::Cloud => v1::WorkerKind::Cloud,
    }
}

/// From the wire; nothing said: the user owns it.
///
/// # Errors
/// A number that this version does not know.
pub fn worker_kind_from(number: i32) -> Result<WorkerKind, ApiError> {
    match v1::WorkerKind::try_from(number) {
        Ok(v1::WorkerKind::Unspecified | v1::WorkerKind::UserOwned) => Ok(WorkerKind::UserOwned),
        Ok(v1::WorkerKind::Cloud) => Ok(WorkerKind::Cloud),
        Err(_) => Err(ApiError::invalid("kind", format!("{number} is not a WorkerKind"))),
    }
}

/// To the wire.
pub const fn liveness_profile(profile: LivenessProfile) -> v1::LivenessProfile {
    match profile {
        LivenessProfile::Session => v1::LivenessProfile::Session,
        LivenessProfile::Ping => v1::LivenessProfile::Ping,
    }
}

/// To the wire.
pub const fn after_drain(then: AfterDrain) -> v1::AfterDrain {
    match then {
        AfterDrain::Disconnect => v1::AfterDrain::Disconnect,
        AfterDrain::Resume => v1::AfterDrain::Resume,
    }
}

/// To the wire.
pub const fn worker_event_kind(kind: WorkerEventKind) -> v1::WorkerEventKind {
    match kind {
        WorkerEventKind::Registered => v1::WorkerEventKind::Registered,
        WorkerEventKind::Connected => v1::WorkerEventKind::Connected,
        WorkerEventKind::Suspect => v1::WorkerEventKind::Suspect,
        WorkerEventKind::Recovered => v1::WorkerEventKind::Recovered,
        WorkerEventKind::Disconnected => v1::WorkerEventKind::Disconnected,
        WorkerEventKind::HealthChanged => v1::WorkerEventKind::HealthChanged,
        WorkerEventKind::DrainBegan => v1::WorkerEventKind::DrainBegan,
        WorkerEventKind::DrainEnded => v1::WorkerEventKind::DrainEnded,
        WorkerEventKind::TokenRegenerated => v1::WorkerEventKind::TokenRegenerated,
        WorkerEventKind::TokenExpired => v1::WorkerEventKind::TokenExpired,
        WorkerEventKind::Deleted => v1::WorkerEventKind::Deleted,
    }
}

/// To the wire.
pub const fn role(role: Role) -> v1::Role {
    match role {
        Role::Viewer => v1::Role::Viewer,
        Role::Operator => v1::Role::Operator,
        Role::Admin => v1::Role::Admin,
        Role::Worker => v1::Role::Worker,
    }
}

/// From the wire.
///
/// # Errors
/// None was given, or a number that this version does not know.
pub fn role_from(number: i32) -> Result<Role, ApiError> {
    match v1::Role::try_from(number) {
        Ok(v1::Role::Viewer) => Ok(Role::Viewer),
        Ok(v1::Role::Operator) => Ok(Role::Operator),
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Worker) => Ok(Role::Worker),
        Ok(v1::Role::Unspecified) => Err(ApiError::invalid(
            "role",
            "must be VIEWER, OPERATOR, ADMIN or WORKER",
        )),
        Err(_) => Err(ApiError::invalid("role", format!("{number} is not a Role"))),
    }
}

/// To the wire.
pub const fn member_role(role: MemberRole) -> v1::MemberRole {
    match role {
        MemberRole::Leader | MemberRole::Follower => v1::MemberRole::Voter,
        MemberRole::Learner => v1::MemberRole::Learner,
    }
}

/// From the wire.
///
/// # Errors
/// A number that this version does not know.
pub fn consistency(number: i32) -> Result<Consistency, ApiError> {
    match v1::Consistency::try_from(number) {
        Ok(v1::Consistency::Unspecified | v1::Consistency::Linearizable) => Ok(Consistency::Linearizable),
        Ok(v1::Consistency::Local) => Ok(Consistency::Local),
        Err(_) => Err(ApiError::invalid(
            "consistency",
            format!("{number} is not a Consistency"),
        )),
    }
}

/// A filter from the wire: `None` lets all pass.
///
/// # Errors
/// A number that this version does not know.
pub fn run_status_filter(number: i32) -> Result<Option<RunStatus>, ApiError> {
    if number == 0 {
        return Ok(None);
    }
    let found = RunStatus::ALL
        .into_iter()
        .find(|status| run_status(*status) as i32 == number);
    found
        .map(Some)
        .ok_or_else(|| ApiError::invalid("status", format!("{number} is not a RunStatus")))
}

/// A filter from the wire: `None` lets all pass but DELETED.
///
/// # Errors
/// A number that this version does not know.
pub fn worker_status_filter(number: i32) -> Result<Option<WorkerStatus>, ApiError> {
    if number == 0 {
        return Ok(None);
    }
    let found = WorkerStatus::ALL
        .into_iter()
        .find(|status| worker_status(*status) as i32 == number);
    found
        .map(Some)
        .ok_or_else(|| ApiError::invalid("status", format!("{number} is not a WorkerStatus")))
}
