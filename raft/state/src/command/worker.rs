//! Commands on workers: their registration, sessions, links, health, drains and tokens.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AssignmentEpoch, Incarnation, NodeId, RunId, SessionEpoch, TokenHash, WorkerId};
use crate::record::WorkerKind;
use crate::time::Millis;
use crate::transition::worker::{AfterDrain, DrainActor, HealthIssue, Link, LivenessProfile};

/// Command 30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateWorker {
    /// Id of the new worker.
    pub id: WorkerId,
    /// Unique among workers that are not deleted.
    pub name: String,
    /// Who owns its machine.
    pub kind: WorkerKind,
    /// How it will talk to us.
    pub profile: LivenessProfile,
    /// Where it is.
    pub region: String,
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// Most endpoints at once; `None`: what its process says.
    pub capacity: Option<u32>,
    /// What its token hashes to.
    pub token_hash: TokenHash,
    /// The token is refused so long from now on; `None`: never.
    pub token_ttl: Option<Millis>,
}

/// Command 31. The credential is checked here, so that a revoked token cannot race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectWorker {
    /// What the token hashes to.
    pub token_hash: TokenHash,
    /// The node that holds the session.
    pub node: NodeId,
    /// The worker process.
    pub incarnation: Incarnation,
    /// Most endpoints that the process can hold.
    pub capacity: u32,
    /// Of those at most so many with executor `sip`, as the process measured; `None`: it did not.
    pub sip_capacity: Option<u32>,
    /// Resources above their thresholds.
    pub health: Vec<HealthIssue>,
    /// The assignments that the process still holds.
    pub held: Vec<(RunId, AssignmentEpoch)>,
    /// The process is draining; the drain's deadline, counted from now.
    pub draining: Option<Millis>,
    /// Of the worker's program, as it said.
    pub version: String,
    /// The process's attempts to connect, counted from 1; refused if a later one was granted already. 0: it does not count.
    pub attempt: u64,
}

/// Command 32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectWorker {
    /// Which.
    pub worker: WorkerId,
    /// Refused if a newer session is in force.
    pub epoch: SessionEpoch,
    /// For people.
    pub reason: String,
}

/// Command 33.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLink {
    /// Which.
    pub worker: WorkerId,
    /// Refused if a newer session is in force.
    pub epoch: SessionEpoch,
    /// What is known now: `Up`, `Suspect` or `Down`.
    pub link: Link,
    /// For people.
    pub reason: String,
}

/// Command 34.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHealth {
    /// Which.
    pub worker: WorkerId,
    /// Refused if a newer session is in force.
    pub epoch: SessionEpoch,
    /// Resources above their thresholds; none: healthy.
    pub issues: Vec<HealthIssue>,
}

/// Command 35.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDrain {
    /// Which.
    pub worker: WorkerId,
    /// What to do; `None` takes a drain back.
    pub drain: Option<DrainOrder>,
}

/// A drain that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOrder {
    /// Who asks.
    pub actor: DrainActor,
    /// Why, for people.
    pub reason: String,
    /// How long endpoints may go on, from now.
    pub timeout: Millis,
    /// What follows.
    pub then: AfterDrain,
}

/// Command 36. A worker of that name that is not ONLINE keeps its id; an ONLINE one refuses it (D4a).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterWorker {
    /// Id of the worker if it is new.
    pub id: WorkerId,
    /// Unique among workers that are not deleted.
    pub name: String,
    /// Of its program.
    pub version: String,
    /// Where it says it is.
    pub ip_address: String,
    /// Function blocks that it executes.
    pub function_blocks: BTreeSet<String>,
    /// Where it is, a free label.
    pub region: String,
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// Most endpoints at once; `None`: none.
    pub capacity: Option<u32>,
}

/// Command 37. Brings a worker that was given up, or never heard, to a new session epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingWorker {
    /// Which.
    pub worker: WorkerId,
    /// The node that heard it.
    pub node: NodeId,
    /// Resources above their thresholds; none: healthy.
    pub health: Vec<HealthIssue>,
}

/// Command 38. Of a worker that is OFFLINE: changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterWorker {
    /// Which.
    pub worker: WorkerId,
}

/// Command 39. The session that used the old token is told to end; what the worker holds goes on until it would be given up (D5b).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegenerateToken {
    /// Whose.
    pub worker: WorkerId,
    /// What the new one hashes to.
    pub token_hash: TokenHash,
    /// It is refused so long from now on; `None`: never.
    pub token_ttl: Option<Millis>,
}

/// Command 41. Refused while the token is good; of one that is known to be rejected: changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpireToken {
    /// Whose.
    pub worker: WorkerId,
}

/// Command 42.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteWorker {
    /// Which.
    pub worker: WorkerId,
    /// Only if it has been OFFLINE for so long; `None`: whatever its status.
    pub offline_for: Option<Millis>,
    /// Although it holds endpoints, which end CLOSED, OSERROR.
    pub force: bool,
}

/// Command 43. Refused unless the worker has been deleted for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeWorker {
    /// Which.
    pub worker: WorkerId,
    /// How long tombstones are kept.
    pub retention: Millis,
}
