//! Commands: everything that can change the state. Numbered, and never renumbered.

mod evidence;
mod key;
mod probe;
mod project;
mod reply;
mod sip;
mod webhook;
mod worker;

use std::sync::Arc;

use crate::id::{AssignmentEpoch, KeyId, ProjectName, Revision, RunId, TestId, WorkerId};
use crate::record::{Access, Explanation, RequestKey, TestDefinition};
use crate::time::Millis;
use crate::transition::endpoint::{EndpointOutcome, EndpointPhase};
use crate::transition::run::RunReason;

pub use evidence::{PurgeRun, RecordChunk, RecordSummary};
pub use key::{CreateKey, RevokeKey};
pub use probe::{DeleteProbe, EvaluateProbe, FireProbe, PauseProbe, ProbeMode, PutProbe, SkipSlot};
pub use project::{AdjustCredits, CreditChange, DeleteProject, PlanChange, PutMode, PutProject};
pub use reply::{
    Applied, EntryMeta, FieldViolation, KeyFault, ObjectKind, PlacementFault, PlanFault, Refusal, Reply,
    Resumed, SIP_FAULT_RUNS, SessionGrant, SipFault,
};
pub use sip::{
    DeleteAccounts, DeleteMedia, DeleteRegistrar, NewAccount, PutAccounts, PutMedia, PutRegistrar,
};
pub use webhook::{
    AttemptOutcome, DeleteWebhook, DeliveryResult, NewWebhook, PauseWebhook, PutWebhook, RecordDeliveries,
    Replay, ReplayDelivery, RotateSecret, TestWebhook,
};
pub use worker::{
    ConnectWorker, CreateWorker, DeleteWorker, DisconnectWorker, DrainOrder, ExpireToken, PingWorker,
    PurgeWorker, RegenerateToken, RegisterWorker, SetDrain, SetHealth, SetLink, UnregisterWorker,
};

/// A command with what surrounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Makes repeating it harmless (D15); `None` for commands that are idempotent by themselves.
    pub request: Option<RequestTag>,
    /// The term in which a planner decided it: refused in any other. `None` for what users and workers say.
    pub fence_term: Option<u64>,
    /// The key of the caller who asked for it, checked in apply so that a revoked one cannot race; `None` for what nodes decide and
    /// what workers say on their sessions.
    pub principal: Option<KeyId>,
    /// What to do.
    pub command: Command,
}

impl Envelope {
    /// A command of a node's own, or of a worker on its session.
    pub const fn internal(command: Command) -> Self {
        Self {
            request: None,
            fence_term: None,
            principal: None,
            command,
        }
    }

    /// A planner's command, for this term only.
    pub const fn planned(command: Command, term: u64) -> Self {
        Self {
            request: None,
            fence_term: Some(term),
            principal: None,
            command,
        }
    }
}

/// A caller's name for a request, with a hash of what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTag {
    /// Caller and request id.
    pub key: RequestKey,
    /// SHA-256 of the request.
    pub hash: [u8; 32],
}

/// Everything that can change the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// 1: raises the version of the commands that may be proposed.
    RaiseClusterVersion(RaiseClusterVersion),
    /// 10: creates a test, or updates the one of that name.
    ApplyTest(ApplyTest),
    /// 11: deletes a test.
    DeleteTest(DeleteTest),
    /// 20: creates a run in PENDING.
    StartRun(StartRun),
    /// 21: a user asks a run to end early (D8).
    StopRun(StopRun),
    /// 22: PENDING → QUEUED.
    QueueRun(QueueRun),
    /// 23: reserves capacity and offers assignments.
    PlaceRun(PlaceRun),
    /// 24: QUEUED → RUNNING.
    BeginRun(BeginRun),
    /// 25: RUNNING → COMPLETED.
    CompleteRun(CompleteRun),
    /// 26: RUNNING → FAILED.
    FailRun(FailRun),
    /// 27: PENDING or QUEUED → CANNOT_RUN_FOR_NOW.
    RejectRun(RejectRun),
    /// 28: gives up on assignments that were told to stop and did not confirm.
    AbandonAssignments(AbandonAssignments),
    /// 30: registers a worker.
    CreateWorker(CreateWorker),
    /// 31: a worker said Hello.
    ConnectWorker(ConnectWorker),
    /// 32: a worker left in order.
    DisconnectWorker(DisconnectWorker),
    /// 33: what is known of a worker's link changed.
    SetLink(SetLink),
    /// 34: what a worker says of its resources changed.
    SetHealth(SetHealth),
    /// 35: asks for a drain, or takes it back.
    SetDrain(SetDrain),
    /// 36: a ping worker says who it is.
    RegisterWorker(RegisterWorker),
    /// 37: a ping worker was heard, and is not known to be up or as healthy as it is.
    PingWorker(PingWorker),
    /// 38: a ping worker leaves.
    UnregisterWorker(UnregisterWorker),
    /// 39: a worker gets a new token.
    RegenerateToken(RegenerateToken),
    /// 40: a worker reports on an assignment.
    Report(Report),
    /// 41: a worker's token ran out.
    ExpireToken(ExpireToken),
    /// 42: leaves a tombstone of a worker.
    DeleteWorker(DeleteWorker),
    /// 43: forgets a tombstone.
    PurgeWorker(PurgeWorker),
    /// 50: a new key for a caller.
    CreateKey(CreateKey),
    /// 51: a key is refused from now on.
    RevokeKey(RevokeKey),
    /// 80: creates or changes a webhook.
    PutWebhook(PutWebhook),
    /// 81: forgets a webhook, with what was on its way to it.
    DeleteWebhook(DeleteWebhook),
    /// 82: a webhook's messages are signed with a new secret.
    RotateSecret(RotateSecret),
    /// 83: what became of attempts to deliver.
    RecordDeliveries(RecordDeliveries),
    /// 84: tries dead letters again.
    ReplayDelivery(ReplayDelivery),
    /// 85: pauses a webhook, or takes it up again.
    PauseWebhook(PauseWebhook),
    /// 86: sends a webhook an event that says nothing.
    TestWebhook(TestWebhook),
    /// 70: creates a probe, or updates it.
    PutProbe(PutProbe),
    /// 71: deletes a probe.
    DeleteProbe(DeleteProbe),
    /// 72: pauses a probe, or lets it go on.
    PauseProbe(PauseProbe),
    /// 73: creates the run of a probe's slot.
    FireProbe(FireProbe),
    /// 74: a probe's slot gets no run.
    SkipSlot(SkipSlot),
    /// 75: the run of a probe's slot is over.
    EvaluateProbe(EvaluateProbe),
    /// 90: a chunk of evidence is in an object store.
    RecordChunk(RecordChunk),
    /// 91: forgets a run with everything that belongs to it.
    PurgeRun(PurgeRun),
    /// 92: what a run's evidence comes to.
    RecordSummary(RecordSummary),
    /// 44: keeps what was reported after an epoch was over, as evidence (D14).
    KeepLateReports(KeepLateReports),
    /// 60: creates a project, or changes its plan.
    PutProject(PutProject),
    /// 61: deletes a project.
    DeleteProject(DeleteProject),
    /// 62: changes the credits of a project.
    AdjustCredits(AdjustCredits),
    /// 100: creates or replaces a SIP registrar.
    PutRegistrar(PutRegistrar),
    /// 101: deletes a SIP registrar.
    DeleteRegistrar(DeleteRegistrar),
    /// 102: creates or replaces accounts of a pool.
    PutAccounts(PutAccounts),
    /// 103: deletes accounts of a pool.
    DeleteAccounts(DeleteAccounts),
    /// 104: creates or replaces a media file.
    PutMedia(PutMedia),
    /// 105: deletes a media file.
    DeleteMedia(DeleteMedia),
}

impl Command {
    /// Its number, part of the log format for ever.
    pub const fn number(&self) -> u32 {
        match self {
            Self::RaiseClusterVersion(_) => 1,
            Self::ApplyTest(_) => 10,
            Self::DeleteTest(_) => 11,
            Self::StartRun(_) => 20,
            Self::StopRun(_) => 21,
            Self::QueueRun(_) => 22,
            Self::PlaceRun(_) => 23,
            Self::BeginRun(_) => 24,
            Self::CompleteRun(_) => 25,
            Self::FailRun(_) => 26,
            Self::RejectRun(_) => 27,
            Self::AbandonAssignments(_) => 28,
            Self::CreateWorker(_) => 30,
            Self::ConnectWorker(_) => 31,
            Self::DisconnectWorker(_) => 32,
            Self::SetLink(_) => 33,
            Self::SetHealth(_) => 34,
            Self::SetDrain(_) => 35,
            Self::RegisterWorker(_) => 36,
            Self::PingWorker(_) => 37,
            Self::UnregisterWorker(_) => 38,
            Self::RegenerateToken(_) => 39,
            Self::Report(_) => 40,
            Self::ExpireToken(_) => 41,
            Self::DeleteWorker(_) => 42,
            Self::PurgeWorker(_) => 43,
            Self::CreateKey(_) => 50,
            Self::RevokeKey(_) => 51,
            Self::PutWebhook(_) => 80,
            Self::DeleteWebhook(_) => 81,
            Self::RotateSecret(_) => 82,
            Self::RecordDeliveries(_) => 83,
            Self::ReplayDelivery(_) => 84,
            Self::PauseWebhook(_) => 85,
            Self::TestWebhook(_) => 86,
            Self::PutProbe(_) => 70,
            Self::DeleteProbe(_) => 71,
            Self::PauseProbe(_) => 72,
            Self::FireProbe(_) => 73,
            Self::SkipSlot(_) => 74,
            Self::EvaluateProbe(_) => 75,
            Self::RecordChunk(_) => 90,
            Self::PurgeRun(_) => 91,
            Self::RecordSummary(_) => 92,
            Self::KeepLateReports(_) => 44,
            Self::PutProject(_) => 60,
            Self::DeleteProject(_) => 61,
            Self::AdjustCredits(_) => 62,
            Self::PutRegistrar(_) => 100,
            Self::DeleteRegistrar(_) => 101,
            Self::PutAccounts(_) => 102,
            Self::DeleteAccounts(_) => 103,
            Self::PutMedia(_) => 104,
            Self::DeleteMedia(_) => 105,
        }
    }

    /// Its name, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RaiseClusterVersion(_) => "raise_cluster_version",
            Self::ApplyTest(_) => "apply_test",
            Self::DeleteTest(_) => "delete_test",
            Self::StartRun(_) => "start_run",
            Self::StopRun(_) => "stop_run",
            Self::QueueRun(_) => "queue_run",
            Self::PlaceRun(_) => "place_run",
            Self::BeginRun(_) => "begin_run",
            Self::CompleteRun(_) => "complete_run",
            Self::FailRun(_) => "fail_run",
            Self::RejectRun(_) => "reject_run",
            Self::AbandonAssignments(_) => "abandon_assignments",
            Self::CreateWorker(_) => "create_worker",
            Self::ConnectWorker(_) => "connect_worker",
            Self::DisconnectWorker(_) => "disconnect_worker",
            Self::SetLink(_) => "set_link",
            Self::SetHealth(_) => "set_health",
            Self::SetDrain(_) => "set_drain",
            Self::RegisterWorker(_) => "register_worker",
            Self::PingWorker(_) => "ping_worker",
            Self::UnregisterWorker(_) => "unregister_worker",
            Self::RegenerateToken(_) => "regenerate_token",
            Self::Report(_) => "report",
            Self::ExpireToken(_) => "expire_token",
            Self::DeleteWorker(_) => "delete_worker",
            Self::PurgeWorker(_) => "purge_worker",
            Self::CreateKey(_) => "create_key",
            Self::RevokeKey(_) => "revoke_key",
            Self::PutWebhook(_) => "put_webhook",
            Self::DeleteWebhook(_) => "delete_webhook",
            Self::RotateSecret(_) => "rotate_secret",
            Self::RecordDeliveries(_) => "record_deliveries",
            Self::ReplayDelivery(_) => "replay_delivery",
            Self::PauseWebhook(_) => "pause_webhook",
            Self::TestWebhook(_) => "test_webhook",
            Self::PutProbe(_) => "put_probe",
            Self::DeleteProbe(_) => "delete_probe",
            Self::PauseProbe(_) => "pause_probe",
            Self::FireProbe(_) => "fire_probe",
            Self::SkipSlot(_) => "skip_slot",
            Self::EvaluateProbe(_) => "evaluate_probe",
            Self::RecordChunk(_) => "record_chunk",
            Self::PurgeRun(_) => "purge_run",
            Self::RecordSummary(_) => "record_summary",
            Self::KeepLateReports(_) => "keep_late_reports",
            Self::PutProject(_) => "put_project",
            Self::DeleteProject(_) => "delete_project",
            Self::AdjustCredits(_) => "adjust_credits",
            Self::PutRegistrar(_) => "put_registrar",
            Self::DeleteRegistrar(_) => "delete_registrar",
            Self::PutAccounts(_) => "put_accounts",
            Self::DeleteAccounts(_) => "delete_accounts",
            Self::PutMedia(_) => "put_media",
            Self::DeleteMedia(_) => "delete_media",
        }
    }

    /// What a caller's key must allow for it; `None`: no caller may ask for it.
    pub const fn access(&self) -> Option<Access> {
        match self {
            Self::ApplyTest(_)
            | Self::DeleteTest(_)
            | Self::StartRun(_)
            | Self::StopRun(_)
            | Self::CreateWorker(_)
            | Self::SetDrain(_)
            | Self::RegenerateToken(_)
            | Self::DeleteWorker(_)
            | Self::PutProbe(_)
            | Self::DeleteProbe(_)
            | Self::PauseProbe(_)
            | Self::PutWebhook(_)
            | Self::DeleteWebhook(_)
            | Self::RotateSecret(_)
            | Self::ReplayDelivery(_)
            | Self::PauseWebhook(_)
            | Self::TestWebhook(_)
            | Self::PutRegistrar(_)
            | Self::DeleteRegistrar(_)
            | Self::PutAccounts(_)
            | Self::DeleteAccounts(_)
            | Self::PutMedia(_)
            | Self::DeleteMedia(_) => Some(Access::Operate),
            Self::CreateKey(_)
            | Self::RevokeKey(_)
            | Self::PutProject(_)
            | Self::DeleteProject(_)
            | Self::AdjustCredits(_) => Some(Access::Administer),
            Self::RegisterWorker(_) | Self::PingWorker(_) | Self::UnregisterWorker(_) => Some(Access::Ping),
            Self::RaiseClusterVersion(_)
            | Self::QueueRun(_)
            | Self::PlaceRun(_)
            | Self::BeginRun(_)
            | Self::CompleteRun(_)
            | Self::FailRun(_)
            | Self::RejectRun(_)
            | Self::AbandonAssignments(_)
            | Self::ConnectWorker(_)
            | Self::DisconnectWorker(_)
            | Self::SetLink(_)
            | Self::SetHealth(_)
            | Self::Report(_)
            | Self::ExpireToken(_)
            | Self::PurgeWorker(_)
            | Self::RecordChunk(_)
            | Self::PurgeRun(_)
            | Self::RecordSummary(_)
            | Self::KeepLateReports(_)
            | Self::FireProbe(_)
            | Self::SkipSlot(_)
            | Self::EvaluateProbe(_)
            | Self::RecordDeliveries(_) => None,
        }
    }
}

/// Command 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseClusterVersion {
    /// Refused if it is lower than the version in force, or unknown to this program.
    pub version: u32,
}

/// What [`ApplyTest`] does when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// Refuse: `POST /tests` (D27b).
    CreateOnly,
    /// Update it: `test apply` (D27b).
    CreateOrUpdate,
}

/// Command 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyTest {
    /// Id of the test if it is created.
    pub id: TestId,
    /// The definition, checked again in apply.
    pub definition: Arc<TestDefinition>,
    /// What to do if the name is taken.
    pub mode: ApplyMode,
    /// The project that the test is of; names are unique within it.
    pub project: ProjectName,
}

/// Command 11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTest {
    /// Which.
    pub test: TestId,
}

/// Command 20.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRun {
    /// Id of the new run.
    pub run: RunId,
    /// The test it executes; the run is of its project.
    pub test: TestId,
}

/// Command 21.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRun {
    /// Which.
    pub run: RunId,
    /// How long endpoints have to hang up before they are given up.
    pub grace: Millis,
}

/// Command 22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
}

/// Endpoints of a group for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The worker.
    pub worker: WorkerId,
    /// Index of the group in the definition.
    pub group: u32,
    /// Index within the group of the first endpoint.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Command 23. Validated in apply: workers ONLINE, selectors, capacity, and every endpoint covered exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
    /// Ordinals of assignments that did not become ready and are replaced.
    pub withdraw: Vec<u32>,
    /// The new assignments.
    pub placements: Vec<Placement>,
    /// How long the workers have to confirm.
    pub ready_timeout: Millis,
}

/// Command 24. Refused unless every current assignment is READY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
    /// From the entry's stamp until the common start instant.
    pub start_delay: Millis,
}

/// Command 25. Refused unless every endpoint is CLOSED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
}

/// Command 26.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
    /// Why.
    pub reason: RunReason,
    /// What endpoints that are still open end with.
    pub outcome: EndpointOutcome,
}

/// Command 27.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectRun {
    /// Which.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
    /// Why.
    pub reason: RunReason,
    /// Filter by filter.
    pub explanation: Option<Arc<Explanation>>,
}

/// Command 28.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbandonAssignments {
    /// The run.
    pub run: RunId,
    /// The run's revision when it was planned.
    pub revision: Revision,
    /// Which of its assignments.
    pub ordinals: Vec<u32>,
    /// Why, for people.
    pub detail: String,
}

/// Command 40.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub worker: WorkerId,
    /// The run.
    pub run: RunId,
    /// Names the assignment and fences it (D14).
    pub epoch: AssignmentEpoch,
    /// Applies only if it is the last one plus one.
    pub seq: u64,
    /// What happened.
    pub event: ReportEvent,
}

/// What a worker can say of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportEvent {
    /// It can start (R135).
    Ready,
    /// It cannot, and does not hold it.
    NotReady {
        /// For people.
        reason: String,
    },
    /// Endpoints changed.
    Progress(Vec<EndpointReport>),
    /// It began after its start instant.
    StartedLate {
        /// By how much.
        by: Millis,
    },
    /// It holds nothing of the assignment any more.
    Closed,
}

/// Most endpoints in one progress report.
pub const MAX_PROGRESS_ENDPOINTS: usize = 20_000;

/// One endpoint as its worker saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointReport {
    /// From the assignment's first endpoint.
    pub offset: u32,
    /// Its phase.
    pub phase: EndpointPhase,
    /// Its outcome, if it is known.
    pub outcome: Option<EndpointOutcome>,
}

/// Most endpoints of a run of which late reports are kept.
pub const MAX_LATE_ENDPOINTS: usize = 1_000;

/// Command 44. Changes neither phase nor outcome nor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepLateReports {
    /// Who reported.
    pub worker: WorkerId,
    /// The run.
    pub run: RunId,
    /// The epoch that is over.
    pub epoch: AssignmentEpoch,
    /// What was said.
    pub reports: Vec<EndpointReport>,
}
