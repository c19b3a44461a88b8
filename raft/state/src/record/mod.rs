//! The records that the state consists of.

mod assignment;
mod explanation;
mod request;
mod run;
mod test;
mod worker;

pub use assignment::{Assignment, AssignmentKey, ChunkKey, EndpointCounts};
pub use explanation::{Explanation, FilterCount, GroupExplanation, PlacementFilter};
pub use request::{ObjectRef, RequestKey, RequestRecord};
pub use run::Run;
pub use test::{Executor, Group, OutcomeShare, Selector, SimExecutor, Test, TestDefinition};
pub use worker::{Session, Worker, WorkerKind};
