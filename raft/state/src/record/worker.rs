//! A registered worker: who it is, and the facts about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Incarnation, KeyId, NodeId, Revision, SessionEpoch, TokenHash, WorkerId};
use crate::record::{RequestKey, Selector};
use crate::time::Time;
use crate::transition::worker::{Facts, LivenessProfile, WorkerStatus};

/// Who owns the machine that a worker runs on (D1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerKind {
    /// The user (R82).
    UserOwned,
    /// The platform (R76).
    Cloud,
}

/// A worker. Its status is derived, never stored (D2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// Unique among workers.
    pub name: String,
    /// Who owns its machine.
    pub kind: WorkerKind,
    /// How it talks to us.
    pub profile: LivenessProfile,
    /// Where it is, a free label (R77).
    pub region: String,
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// Most endpoints at once, as registered.
    pub configured_capacity: Option<u32>,
    /// Most endpoints at once, as its process said.
    pub reported_capacity: Option<u32>,
    /// Of those at most so many with executor `sip`, as its process measured; `None`: it did not say.
    pub sip_capacity: Option<u32>,
    /// What its token hashes to; ping workers have none.
    pub token_hash: Option<TokenHash>,
    /// From then on the token is refused.
    pub token_expires_at: Option<Time>,
    /// Function blocks that it executes, as it registered them (R344).
    pub function_blocks: BTreeSet<String>,
    /// Of its program, as it said.
    pub version: String,
    /// As a ping worker said.
    pub ip_address: String,
    /// The key that registered a ping worker: no other key of the role WORKER may speak as it.
    pub registered_by: Option<KeyId>,
    /// How often it left ONLINE for ERROR or UNREACHABLE (R105).
    pub flaps: u64,
    /// How many events it ever had; the newest ones are kept.
    pub events: u64,
    /// What its status follows from.
    pub facts: Facts,
    /// The session in force; none while it is down.
    pub session: Option<Session>,
    /// Epoch of its newest session, in force or not.
    pub last_epoch: SessionEpoch,
    /// The newest attempt to connect that was granted, of a process that counts them.
    pub attempt: Option<ConnectAttempt>,
    /// When it was registered.
    pub created_at: Time,
    /// The request that created it, remembered as long as the worker lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

/// An attempt of a worker process to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectAttempt {
    /// The process.
    pub incarnation: Incarnation,
    /// Which of its attempts, from 1.
    pub number: u64,
}

/// A worker's connection to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// Fences what comes from older sessions.
    pub epoch: SessionEpoch,
    /// The node that holds it.
    pub node: NodeId,
    /// The worker process.
    pub incarnation: Incarnation,
    /// Since when.
    pub since: Time,
}

impl Worker {
    /// The status that follows from the facts (D3).
    pub fn status(&self) -> WorkerStatus {
        self.facts.status(self.profile)
    }

    /// Most endpoints at once: the smaller of what was registered and what its process said.
    pub fn capacity(&self) -> u32 {
        match (self.configured_capacity, self.reported_capacity) {
            (Some(configured), Some(reported)) => configured.min(reported),
            (Some(capacity), None) | (None, Some(capacity)) => capacity,
            (None, None) => 0,
        }
    }

    /// Most endpoints with executor `sip` at once. They count as endpoints too.
    pub fn sip_capacity(&self) -> u32 {
        let all = self.capacity();
        self.sip_capacity.map_or(all, |sip| sip.min(all))
    }
}

impl Selector {
    /// Whether a worker passes the selector, leaving its status and capacity aside. Planner and apply share this.
    pub fn matches(&self, worker: &Worker) -> bool {
        self.matches_worker(worker) && self.matches_region(worker) && self.matches_labels(worker)
    }

    /// Whether the worker is the one that is named, or none is (R96).
    pub fn matches_worker(&self, worker: &Worker) -> bool {
        self.worker.is_none_or(|id| id == worker.id)
    }

    /// Whether the worker is in the region that is named, or none is (R95).
    pub fn matches_region(&self, worker: &Worker) -> bool {
        self.region.as_ref().is_none_or(|region| *region == worker.region)
    }

    /// Whether the worker carries all labels.
    pub fn matches_labels(&self, worker: &Worker) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| worker.labels.get(key) == Some(value))
    }
}
