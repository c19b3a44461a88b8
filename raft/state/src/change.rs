//! Changes: what a command did to the tables. The store's batch, the change feed and the metrics all come from these.

use std::sync::Arc;

use crate::id::{KeyId, ProbeId, ProjectName, RunId, ScopedName, TestId, WebhookId, WorkerId};
use crate::record::{
    ApiKey, Assignment, AssignmentKey, ChunkKey, Delivery, DeliveryKey, Manifest, ManifestKey, MediaFile,
    Probe, ProbeSlot, ProbeSlotKey, Project, Registrar, RequestKey, RequestRecord, Run, RunSummary,
    SipAccount, SipAccountKey, SipLease, SipLeaseKey, Test, Webhook, Worker, WorkerEvent, WorkerEventKey,
};
use crate::transition::endpoint::EndpointChunk;

/// A row before and after. At least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta<K, V> {
    /// Which row.
    pub key: K,
    /// `None`: it was created.
    pub before: Option<Arc<V>>,
    /// `None`: it was removed.
    pub after: Option<Arc<V>>,
}

/// One changed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A test.
    Test(Delta<TestId, Test>),
    /// A run.
    Run(Delta<RunId, Run>),
    /// An assignment.
    Assignment(Delta<AssignmentKey, Assignment>),
    /// A chunk of endpoints.
    Chunk(Delta<ChunkKey, EndpointChunk>),
    /// A worker.
    Worker(Delta<WorkerId, Worker>),
    /// A remembered request.
    Request(Delta<RequestKey, RequestRecord>),
    /// An event of a worker.
    Event(Delta<WorkerEventKey, WorkerEvent>),
    /// A caller's key.
    Key(Delta<KeyId, ApiKey>),
    /// A webhook.
    Webhook(Delta<WebhookId, Webhook>),
    /// An event on its way to a webhook.
    Delivery(Delta<DeliveryKey, Delivery>),
    /// A probe.
    Probe(Delta<ProbeId, Probe>),
    /// A slot of a probe.
    ProbeSlot(Delta<ProbeSlotKey, ProbeSlot>),
    /// A chunk of evidence.
    Manifest(Delta<ManifestKey, Manifest>),
    /// A run's summary.
    Summary(Delta<RunId, RunSummary>),
    /// A project.
    Project(Delta<ProjectName, Project>),
    /// A SIP registrar.
    Registrar(Delta<ScopedName, Registrar>),
    /// A SIP account.
    SipAccount(Delta<SipAccountKey, SipAccount>),
    /// The accounts that a group of a run uses.
    SipLease(Delta<SipLeaseKey, SipLease>),
    /// A media file.
    Media(Delta<ScopedName, MediaFile>),
}

impl<K, V> Delta<K, V> {
    /// A row that goes.
    pub(crate) const fn removal(key: K, before: Arc<V>) -> Self {
        Self {
            key,
            before: Some(before),
            after: None,
        }
    }

    fn inverse(self) -> Self {
        Self {
            key: self.key,
            before: self.after,
            after: self.before,
        }
    }
}

impl Change {
    /// What takes this change back.
    pub(crate) fn inverse(self) -> Self {
        match self {
            Self::Test(delta) => Self::Test(delta.inverse()),
            Self::Run(delta) => Self::Run(delta.inverse()),
            Self::Assignment(delta) => Self::Assignment(delta.inverse()),
            Self::Chunk(delta) => Self::Chunk(delta.inverse()),
            Self::Worker(delta) => Self::Worker(delta.inverse()),
            Self::Request(delta) => Self::Request(delta.inverse()),
            Self::Event(delta) => Self::Event(delta.inverse()),
            Self::Key(delta) => Self::Key(delta.inverse()),
            Self::Webhook(delta) => Self::Webhook(delta.inverse()),
            Self::Delivery(delta) => Self::Delivery(delta.inverse()),
            Self::Probe(delta) => Self::Probe(delta.inverse()),
            Self::ProbeSlot(delta) => Self::ProbeSlot(delta.inverse()),
            Self::Manifest(delta) => Self::Manifest(delta.inverse()),
            Self::Summary(delta) => Self::Summary(delta.inverse()),
            Self::Project(delta) => Self::Project(delta.inverse()),
            Self::Registrar(delta) => Self::Registrar(delta.inverse()),
            Self::SipAccount(delta) => Self::SipAccount(delta.inverse()),
            Self::SipLease(delta) => Self::SipLease(delta.inverse()),
            Self::Media(delta) => Self::Media(delta.inverse()),
        }
    }
}

/// One row as it is, for loading and for snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A test.
    Test(Arc<Test>),
    /// A run.
    Run(Arc<Run>),
    /// An assignment.
    Assignment(Arc<Assignment>),
    /// A chunk of endpoints, with its key, which it does not carry itself.
    Chunk(ChunkKey, Arc<EndpointChunk>),
    /// A worker.
    Worker(Arc<Worker>),
    /// A remembered request.
    Request(Arc<RequestRecord>),
    /// An event of a worker.
    Event(Arc<WorkerEvent>),
    /// A caller's key.
    Key(Arc<ApiKey>),
    /// A webhook.
    Webhook(Arc<Webhook>),
    /// An event on its way to a webhook.
    Delivery(Arc<Delivery>),
    /// A probe.
    Probe(Arc<Probe>),
    /// A slot of a probe.
    ProbeSlot(Arc<ProbeSlot>),
    /// A chunk of evidence.
    Manifest(Arc<Manifest>),
    /// A run's summary.
    Summary(Arc<RunSummary>),
    /// A project.
    Project(Arc<Project>),
    /// A SIP registrar.
    Registrar(Arc<Registrar>),
    /// A SIP account.
    SipAccount(Arc<SipAccount>),
    /// The accounts that a group of a run uses.
    SipLease(Arc<SipLease>),
    /// A media file.
    Media(Arc<MediaFile>),
}
