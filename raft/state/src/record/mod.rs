//! The records that the state consists of.

mod assignment;
mod event;
mod evidence;
mod explanation;
mod key;
mod probe;
mod project;
mod request;
mod run;
mod sip;
mod test;
mod threshold;
mod webhook;
mod worker;

pub use assignment::{Assignment, AssignmentKey, ChunkKey, EndpointCounts};
pub(crate) use event::is_flap;
pub use event::{KEPT_EVENTS, WorkerEvent, WorkerEventKey, WorkerEventKind};
pub use evidence::{
    Aggregate, EvidenceKind, GroupFigures, METRICS, Manifest, ManifestKey, RunSummary, SUCCESS_RATE,
};
pub use explanation::{
    ChangeKind, Explanation, FilterCount, GroupExplanation, PlacementFilter, SuggestedChange, WorkerVerdict,
};
pub use key::{Access, ApiKey, Role};
pub use probe::{
    KEPT_SLOTS, MAX_THRESHOLDS, OpenSlot, Probe, ProbeDefinition, ProbeSlot, ProbeSlotKey, SkipReason,
    SlotEnd,
};
pub use project::{CreditAdjustment, Plan, Project, Usage};
pub use request::{ObjectRef, RequestKey, RequestRecord};
pub use run::Run;
pub use sip::{
    MediaFile, Registrar, SealedSecret, SipAccount, SipAccountKey, SipLease, SipLeaseKey, SipTransport,
};
pub use test::{
    Executor, Group, OnWorkerLoss, OutcomeShare, Selector, SimExecutor, SimQuality, SipAction, SipCodec,
    SipDeed, SipExecutor, Span, Test, TestDefinition,
};
pub use threshold::{Direction, MetricResult, Statistic, Thousandths, Threshold, evaluate, measurable};
pub use webhook::{
    Attempt, Delivery, DeliveryCounts, DeliveryKey, DeliveryStatus, EventFacts, KEPT_DEAD, KEPT_DELIVERED,
    MAX_PENDING, MAX_PROJECT_WEBHOOKS, OrderKey, PASSED_AFTER, PREVIOUS_SECRET_FOR, PreviousSecret,
    ProbeFacts, RETRIES, RunFacts, Webhook, WebhookEvent, WebhookEventKind, WebhookStatus,
};
pub use worker::{ConnectAttempt, Session, Worker, WorkerKind};
