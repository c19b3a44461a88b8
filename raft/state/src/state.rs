//! The state: tables of records, cheap to clone, and the indexes derived from them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::id::{
    KeyHash, KeyId, ProbeId, ProjectName, Revision, RunId, ScopedName, TestId, TokenHash, WebhookId, WorkerId,
};
use crate::index::sip::SipIndex;
use crate::index::webhook::WebhookIndex;
use crate::record::{
    ApiKey, Assignment, AssignmentKey, ChunkKey, Delivery, DeliveryKey, Manifest, ManifestKey, MediaFile,
    Probe, ProbeSlot, ProbeSlotKey, Project, Registrar, RequestKey, RequestRecord, Run, RunSummary,
    SipAccount, SipAccountKey, SipLease, SipLeaseKey, Test, Usage, Webhook, Worker, WorkerEvent,
    WorkerEventKey,
};
use crate::time::Time;
use crate::transition::endpoint::EndpointChunk;

/// The version of commands that this program knows.
pub const KNOWN_CLUSTER_VERSION: u32 = 1;

/// What is true of the state as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Of the last change.
    pub revision: Revision,
    /// Stamp of the last entry; never goes back.
    pub cluster_time: Time,
    /// Nothing newer may be proposed.
    pub cluster_version: u32,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            revision: Revision(0),
            cluster_time: Time(0),
            cluster_version: 1,
        }
    }
}

/// Everything the cluster knows, at one revision. A clone is a snapshot and costs next to nothing.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) meta: Meta,
    pub(crate) tests: OrdMap<TestId, Arc<Test>>,
    pub(crate) runs: OrdMap<RunId, Arc<Run>>,
    pub(crate) assignments: OrdMap<AssignmentKey, Arc<Assignment>>,
    pub(crate) chunks: OrdMap<ChunkKey, Arc<EndpointChunk>>,
    pub(crate) workers: OrdMap<WorkerId, Arc<Worker>>,
    pub(crate) requests: OrdMap<RequestKey, Arc<RequestRecord>>,
    pub(crate) events: OrdMap<WorkerEventKey, Arc<WorkerEvent>>,
    pub(crate) keys: OrdMap<KeyId, Arc<ApiKey>>,
    pub(crate) probes: OrdMap<ProbeId, Arc<Probe>>,
    pub(crate) probe_slots: OrdMap<ProbeSlotKey, Arc<ProbeSlot>>,
    pub(crate) manifests: OrdMap<ManifestKey, Arc<Manifest>>,
    pub(crate) summaries: OrdMap<RunId, Arc<RunSummary>>,
    pub(crate) projects: OrdMap<ProjectName, Arc<Project>>,
    pub(crate) webhooks: OrdMap<WebhookId, Arc<Webhook>>,
    pub(crate) deliveries: OrdMap<DeliveryKey, Arc<Delivery>>,
    pub(crate) registrars: OrdMap<ScopedName, Arc<Registrar>>,
    pub(crate) sip_accounts: OrdMap<SipAccountKey, Arc<SipAccount>>,
    pub(crate) sip_leases: OrdMap<SipLeaseKey, Arc<SipLease>>,
    pub(crate) media: OrdMap<ScopedName, Arc<MediaFile>>,
    pub(crate) index: Index,
}

/// Derived from the tables by every change, never stored; rebuilt when the state is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) test_by_name: OrdMap<(ProjectName, String), TestId>,
    pub(crate) worker_by_name: OrdMap<String, WorkerId>,
    pub(crate) worker_by_token: OrdMap<TokenHash, WorkerId>,
    /// Runs that are not terminal.
    pub(crate) live_runs: OrdSet<RunId>,
    /// Assignments that hold capacity, by worker.
    pub(crate) worker_assignments: OrdSet<(WorkerId, AssignmentKey)>,
    /// Endpoints that these reserve; workers without any are not in here.
    pub(crate) reserved: OrdMap<WorkerId, u32>,
    /// Requests that expire, soonest first.
    pub(crate) expiring_requests: OrdSet<(Time, RequestKey)>,
    /// Workers whose token will run out and is not known to have, soonest first.
    pub(crate) expiring_tokens: OrdSet<(Time, WorkerId)>,
    /// Ping workers that are OFFLINE, by since when.
    pub(crate) offline_ping: OrdSet<(Time, WorkerId)>,
    /// Tombstones, by since when.
    pub(crate) deleted: OrdSet<(Time, WorkerId)>,
    /// Keys that are not revoked.
    pub(crate) key_by_name: OrdMap<String, KeyId>,
    /// Keys, revoked ones too: which says why it is refused.
    pub(crate) key_by_hash: OrdMap<KeyHash, KeyId>,
    /// A probe's name is unique within its project.
    pub(crate) probe_by_name: OrdMap<(ProjectName, String), ProbeId>,
    /// Probes that are not paused, by when their next slot is due.
    pub(crate) due_probes: OrdSet<(Time, ProbeId)>,
    /// Probes whose last run is not settled.
    pub(crate) open_probes: OrdSet<ProbeId>,
    /// Runs that are terminal, by since when.
    pub(crate) ended_runs: OrdSet<(Time, RunId)>,
    /// Runs that executed and ended, and have no summary yet.
    pub(crate) unsummarised: OrdSet<RunId>,
    /// What the runs of each project take up; projects without live runs are not in here.
    pub(crate) usage: OrdMap<ProjectName, Usage>,
    /// Webhooks and what is on its way to them.
    pub(crate) webhooks: WebhookIndex,
    /// SIP accounts that runs use, and how many of each pool there are and are used.
    pub(crate) sip: SipIndex,
}
