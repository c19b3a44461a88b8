//! The records that the state consists of.

mod assignment;
mod event;
mod explanation;
mod key;
mod request;
mod run;
mod test;
mod webhook;
mod worker;

pub use assignment::{Assignment, AssignmentKey, ChunkKey, EndpointCounts};
pub(crate) use event::is_flap;
pub use event::{KEPT_EVENTS, WorkerEvent, WorkerEventKey, WorkerEventKind};
pub use explanation::{Explanation, FilterCount, GroupExplanation, PlacementFilter};
pub use key::{Access, ApiKey, Role};
pub use request::{ObjectRef, RequestKey, RequestRecord};
pub use run::Run;
pub use test::{Executor, Group, OutcomeShare, Selector, SimExecutor, Test, TestDefinition};
pub use webhook::{
    Attempt, Delivery, DeliveryCounts, DeliveryKey, DeliveryStatus, EventFacts, KEPT_DEAD, KEPT_DELIVERED,
    MAX_PENDING, MAX_PROJECT_WEBHOOKS, OrderKey, PASSED_AFTER, PREVIOUS_SECRET_FOR, PreviousSecret,
    ProbeFacts, RETRIES, RunFacts, Webhook, WebhookEvent, WebhookEventKind, WebhookStatus,
};
pub use worker::{Session, Worker, WorkerKind};
