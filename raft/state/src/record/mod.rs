//! The records that the state consists of.

mod assignment;
mod event;
mod evidence;
mod explanation;
mod key;
mod project;
mod request;
mod run;
mod test;
mod worker;

pub use assignment::{Assignment, AssignmentKey, ChunkKey, EndpointCounts};
pub(crate) use event::is_flap;
pub use event::{KEPT_EVENTS, WorkerEvent, WorkerEventKey, WorkerEventKind};
pub use evidence::{Aggregate, EvidenceKind, METRICS, Manifest, ManifestKey, RunSummary, SUCCESS_RATE};
pub use explanation::{
    ChangeKind, Explanation, FilterCount, GroupExplanation, PlacementFilter, SuggestedChange, WorkerVerdict,
};
pub use key::{Access, ApiKey, Role};
pub use project::{CreditAdjustment, Plan, Project, Usage};
pub use request::{ObjectRef, RequestKey, RequestRecord};
pub use run::Run;
pub use test::{
    Executor, Group, OnWorkerLoss, OutcomeShare, Selector, SimExecutor, SimQuality, Span, Test,
    TestDefinition,
};
pub use worker::{Session, Worker, WorkerKind};
