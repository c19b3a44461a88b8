//! Requests that were answered, so that repeating one changes nothing (D15).

use std::sync::Arc;

use crate::id::{KeyId, ProbeId, ProjectName, Revision, RunId, ScopedName, TestId, WebhookId, WorkerId};
use crate::time::Time;

/// A caller's own name for a request. Cheap to clone: tables copy their keys often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// Who asked; two callers may use the same id.
    pub caller: Arc<str>,
    /// What the caller calls it.
    pub request_id: Arc<str>,
}

/// An object that a request was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectRef {
    /// A test.
    Test(TestId),
    /// A run.
    Run(RunId),
    /// A worker.
    Worker(WorkerId),
    /// A caller's key.
    Key(KeyId),
    /// A project.
    Project(ProjectName),
    /// A probe.
    Probe(ProbeId),
    /// A webhook.
    Webhook(WebhookId),
    /// A SIP registrar.
    Registrar(ScopedName),
    /// A pool of SIP accounts.
    AccountPool(ScopedName),
    /// A media file.
    Media(ScopedName),
}

/// A request that succeeded. Refusals are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestRecord {
    /// Its name.
    pub key: RequestKey,
    /// SHA-256 of what was asked, so that a different request under the same id is noticed.
    pub hash: [u8; 32],
    /// What it was about.
    pub object: ObjectRef,
    /// Whether it created the object.
    pub created: bool,
    /// When it was applied.
    pub revision: Revision,
    /// When it is forgotten; `None`: with the object it created.
    pub expires_at: Option<Time>,
}
