//! What apply answers. A refusal is a reply, not an error; it changes nothing.

use thiserror::Error;

use crate::id::{AssignmentEpoch, ProbeId, ProjectName, Revision, RunId, SessionEpoch, WorkerId};
use crate::record::{Access, ObjectRef, Role};
use crate::time::Time;
use crate::transition::worker::{LivenessProfile, WorkerStatus};

/// Where and when an entry stands in the log; the same for all of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// The leader's term.
    pub term: u64,
    /// Position in the log.
    pub index: u64,
    /// Cluster time.
    pub stamp: Time,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Revision of the state after it. For a repeated request: when it was first applied.
    pub revision: Revision,
    /// What it did, or why it did nothing.
    pub result: Result<Reply, Refusal>,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done; there is nothing more to say.
    Done,
    /// It was about this object.
    Object {
        /// The object.
        object: ObjectRef,
        /// Whether this command created it.
        created: bool,
        /// The request was answered before; nothing changed now.
        replayed: bool,
    },
    /// A worker is connected.
    Session(SessionGrant),
    /// A report is counted, now or before.
    Reported {
        /// The last report that is applied.
        acked_seq: u64,
    },
}

/// What a worker that connected gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionGrant {
    /// Who it is.
    pub worker: WorkerId,
    /// Epoch of the new session.
    pub epoch: SessionEpoch,
    /// Of what it holds, what is still counted on.
    pub resumed: Vec<Resumed>,
}

/// An assignment that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The run.
    pub run: RunId,
    /// The assignment.
    pub epoch: AssignmentEpoch,
    /// The last report that is applied.
    pub acked_seq: u64,
}

/// The kinds of objects, for refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A test.
    Test,
    /// A run.
    Run,
    /// A worker.
    Worker,
    /// An assignment.
    Assignment,
    /// A caller's key.
    Key,
    /// A probe.
    Probe,
    /// A chunk of evidence.
    Evidence,
    /// A run's summary.
    Summary,
    /// A project.
    Project,
    /// A webhook.
    Webhook,
    /// An event on its way to a webhook.
    Delivery,
    /// A SIP registrar.
    Registrar,
    /// A pool of SIP accounts.
    AccountPool,
    /// A SIP account.
    Account,
    /// A media file.
    Media,
}

impl ObjectKind {
    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Run => "run",
            Self::Worker => "worker",
            Self::Assignment => "assignment",
            Self::Key => "key",
            Self::Probe => "probe",
            Self::Evidence => "evidence",
            Self::Summary => "summary",
            Self::Project => "project",
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::Registrar => "registrar",
            Self::AccountPool => "account pool",
            Self::Account => "account",
            Self::Media => "media file",
        }
    }
}

/// A field and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path, for example `groups[0].endpoints`.
    pub field: String,
    /// The rule.
    pub rule: String,
}

/// What is wrong with a planned placement. Apply checks it and never searches.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementFault {
    /// No such worker.
    #[error("worker {0} does not exist")]
    UnknownWorker(WorkerId),
    /// Only ONLINE workers get new work (R10).
    #[error("worker {worker} is {status}, not ONLINE")]
    NotOnline {
        /// The worker.
        worker: WorkerId,
        /// Its status.
        status: WorkerStatus,
    },
    /// The group's selector excludes the worker.
    #[error("worker {worker} does not match the selector of group {group}")]
    SelectorMismatch {
        /// The worker.
        worker: WorkerId,
        /// Index of the group.
        group: u32,
    },
    /// More endpoints than the worker has free (R97).
    #[error("worker {worker} has {free} endpoints free, {asked} were placed on it")]
    CapacityExceeded {
        /// The worker.
        worker: WorkerId,
        /// What it has free.
        free: u32,
        /// What was placed.
        asked: u32,
    },
    /// A group's endpoints are not covered exactly once.
    #[error("the endpoints of group {group} are not covered exactly once")]
    NotCovered {
        /// Index of the group.
        group: u32,
    },
    /// An assignment cannot be withdrawn.
    #[error("assignment {ordinal} cannot be withdrawn")]
    NotWithdrawable {
        /// Its ordinal.
        ordinal: u32,
    },
}

/// What of a project's plan a run would break (R190, R191, R195). The text is what users read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanFault {
    /// It was deleted, or never made.
    #[error("there is no project {project}")]
    NoProject {
        /// Which.
        project: ProjectName,
    },
    /// Nothing runs without a subscription.
    #[error("the subscription of project {project} is not active")]
    SubscriptionInactive {
        /// Whose plan.
        project: ProjectName,
    },
    /// The run alone is too large.
    #[error("the plan of project {project} allows {limit} endpoints in one run, this run asks for {asked}")]
    RunEndpoints {
        /// Whose plan.
        project: ProjectName,
        /// What it allows.
        limit: u32,
        /// What the run asks for.
        asked: u32,
    },
    /// Too many endpoints at once.
    #[error(
        "the plan of project {project} allows {limit} endpoints at once, {in_use} are in use by {runs} runs, this run asks for {asked}"
    )]
    ConcurrentEndpoints {
        /// Whose plan.
        project: ProjectName,
        /// What it allows.
        limit: u32,
        /// Endpoints of runs that are QUEUED or RUNNING.
        in_use: u64,
        /// How many runs these are of.
        runs: u64,
        /// What the run asks for.
        asked: u32,
    },
    /// Too many runs at once.
    #[error("the plan of project {project} allows {limit} runs at once, {in_use} are queued or running")]
    ConcurrentRuns {
        /// Whose plan.
        project: ProjectName,
        /// What it allows.
        limit: u32,
        /// Runs that are QUEUED or RUNNING.
        in_use: u64,
    },
    /// Too few credits.
    #[error(
        "project {project} has {left} endpoint-minutes left ({reserved} more are reserved by its other runs), this run needs {needed}"
    )]
    Credits {
        /// Whose credits.
        project: ProjectName,
        /// What is left.
        left: u64,
        /// What other runs have reserved, some of which may come back.
        reserved: u64,
        /// What the run would reserve.
        needed: u64,
    },
}

/// What SIP groups of a run name and cannot have (R120–R122). The text is what users read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SipFault {
    /// There is no such registrar (R120).
    #[error("group {group} names the registrar {registrar:?}, which does not exist in project {project}")]
    NoRegistrar {
        /// The group.
        group: String,
        /// What it names.
        registrar: String,
        /// Where it was looked for.
        project: ProjectName,
    },
    /// There is no such media file (R122).
    #[error("group {group} names the media file {media:?}, which does not exist in project {project}")]
    NoMedia {
        /// The group.
        group: String,
        /// What it names.
        media: String,
        /// Where it was looked for.
        project: ProjectName,
    },
    /// Too few accounts, or too few that no other run uses (R121).
    #[error(
        "{group} needs {needed} accounts of pool {pool:?} of project {project}: it has {total}, {free} are free{}",
        used_by(*in_use, runs)
    )]
    TooFewAccounts {
        /// The group, or the groups, in words.
        group: String,
        /// What they name.
        pool: String,
        /// Whose it is.
        project: ProjectName,
        /// What the run needs.
        needed: u32,
        /// What the pool has.
        total: u32,
        /// What no run uses.
        free: u32,
        /// What runs use.
        in_use: u32,
        /// Which, at most [`SIP_FAULT_RUNS`] of them.
        runs: Vec<RunId>,
    },
}

/// Most runs that a [`SipFault`] names.
pub const SIP_FAULT_RUNS: usize = 5;

fn used_by(in_use: u32, runs: &[RunId]) -> String {
    if in_use == 0 {
        return String::new();
    }
    let names: Vec<String> = runs.iter().map(ToString::to_string).collect();
    let more = if runs.len() < SIP_FAULT_RUNS {
        ""
    } else {
        " and perhaps others"
    };
    format!(", {in_use} are in use by run {}{more}", names.join(", "))
}

/// Why a caller's key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyFault {
    /// There is none, or no key is like it.
    Unknown,
    /// It was taken back.
    Revoked,
    /// It ran out.
    Expired,
}

impl std::fmt::Display for KeyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such key",
            Self::Revoked => "it was revoked",
            Self::Expired => "it has expired",
        })
    }
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such object.
    #[error("no {} {id}", kind.name())]
    NotFound {
        /// Of which kind.
        kind: ObjectKind,
        /// The id or name asked for.
        id: String,
    },
    /// The name is taken.
    #[error("{} {name:?} already exists", kind.name())]
    AlreadyExists {
        /// Of which kind.
        kind: ObjectKind,
        /// The name.
        name: String,
    },
    /// The request id was used for a different request.
    #[error("request id {request_id:?} was used before for a different request")]
    RequestIdReused {
        /// The id.
        request_id: String,
    },
    /// Fields that break rules, all of them.
    #[error("invalid: {}", violations.iter().map(|v| format!("{}: {}", v.field, v.rule)).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Every one.
        violations: Vec<FieldViolation>,
    },
    /// The object's status does not allow it.
    #[error("{} {id} is {status}; this needs {}", kind.name(), allowed.join(" or "))]
    WrongStatus {
        /// Of which kind.
        kind: ObjectKind,
        /// Which.
        id: String,
        /// Its status.
        status: String,
        /// The statuses that would do.
        allowed: Vec<String>,
    },
    /// The test has runs that are not terminal.
    #[error("test {id} has {runs} runs that are not terminal")]
    TestInUse {
        /// Which.
        id: String,
        /// How many.
        runs: u32,
    },
    /// The object changed since the command was planned.
    #[error("{} {id} is at revision {actual}, the plan was for {planned}", kind.name())]
    Stale {
        /// Of which kind.
        kind: ObjectKind,
        /// Which.
        id: String,
        /// What the planner saw.
        planned: Revision,
        /// What it is.
        actual: Revision,
    },
    /// Planned in another term.
    #[error("planned in term {fence_term}, applied in term {term}")]
    StaleTerm {
        /// The planner's.
        fence_term: u64,
        /// The entry's.
        term: u64,
    },
    /// A newer session of the worker is in force, or none is.
    #[error("session {epoch:?} of worker {worker} is over")]
    SessionOver {
        /// The worker.
        worker: WorkerId,
        /// The session that the command was for.
        epoch: SessionEpoch,
    },
    /// No worker has this token, or it is deleted.
    #[error("the token is not valid")]
    TokenRejected,
    /// The worker's token ran out.
    #[error("the token of worker {worker} has expired")]
    TokenExpired {
        /// Whose.
        worker: WorkerId,
    },
    /// No key in force was given.
    #[error("the API key is not valid: {reason}")]
    KeyRejected {
        /// Unknown, revoked or expired.
        reason: KeyFault,
    },
    /// The key's role does not allow it.
    #[error("a key with the role {role} may not do this; it needs {}", needs.roles())]
    RoleTooLow {
        /// The caller's.
        role: Role,
        /// What the call needs.
        needs: Access,
    },
    /// The cluster has keys: another one is created with an admin key.
    #[error("the cluster has keys; only an admin key can create another")]
    KeysExist,
    /// Nobody could administer the cluster any more.
    #[error("key {id} is the last admin key in force")]
    LastAdminKey {
        /// Which.
        id: String,
    },
    /// The worker holds endpoints.
    #[error("worker {worker} holds {assignments} assignments; drain it first, or force it")]
    WorkerBusy {
        /// Which.
        worker: WorkerId,
        /// How many.
        assignments: u32,
    },
    /// Another key registered the worker, and it is in force.
    #[error(
        "worker {worker} was registered with another key, which is in force; a key of the role WORKER speaks only for its own"
    )]
    WorkerOfAnotherKey {
        /// Which.
        worker: WorkerId,
    },
    /// The worker talks to us in another way than the call is for (D4).
    #[error("worker {worker} is a {is} worker, this is for {wanted} workers")]
    WrongProfile {
        /// Which.
        worker: WorkerId,
        /// Its profile.
        is: LivenessProfile,
        /// That of the call.
        wanted: LivenessProfile,
    },
    /// The assignment's epoch is over (D14).
    #[error("epoch {epoch:?} of run {run} is over")]
    EpochOver {
        /// The run.
        run: RunId,
        /// The assignment.
        epoch: AssignmentEpoch,
        /// The worker has not confirmed yet that it let go: it is to abandon the assignment and say Closed.
        confirm: bool,
        /// The last report that was applied.
        acked_seq: u64,
    },
    /// A report came before one that is missing.
    #[error("report {seq} came, report {expected} is expected")]
    ReportOutOfOrder {
        /// Which came.
        seq: u64,
        /// Which is due.
        expected: u64,
    },
    /// A report that no correct worker sends.
    #[error("report refused: {rule}")]
    ReportInvalid {
        /// The rule it breaks.
        rule: String,
    },
    /// A planned placement that does not hold.
    #[error("placement refused: {0}")]
    Placement(PlacementFault),
    /// Not every endpoint is CLOSED, or not every assignment READY.
    #[error("run {run}: {rule}")]
    NotYet {
        /// The run.
        run: RunId,
        /// What is missing.
        rule: String,
    },
    /// A version that this program does not know, or a step back.
    #[error("cluster version {version} is not possible: in force {in_force}, known up to {known}")]
    ClusterVersion {
        /// Asked for.
        version: u32,
        /// In force.
        in_force: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The key is of one project and may not name another.
    #[error(
        "a key of project {of_key:?} may not be used for project {project:?}; only ADMIN keys may name another project"
    )]
    OtherProject {
        /// The project that was named.
        project: String,
        /// The key's own.
        of_key: String,
    },
    /// The project's plan does not allow the run.
    #[error("{0}")]
    OverPlan(PlanFault),
    /// A SIP group of the run names what it cannot have (R120–R122).
    #[error("{0}")]
    SipUnavailable(SipFault),
    /// Something uses the object.
    #[error("{} {name} is in use: {by}", kind.name())]
    InUse {
        /// Of which kind.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// What uses it, in words.
        by: String,
    },
    /// The project is still in use.
    #[error(
        "project {project} has {tests} tests, {runs} runs that are not terminal and {keys} keys in force"
    )]
    ProjectInUse {
        /// Which.
        project: ProjectName,
        /// Its tests.
        tests: u32,
        /// Its runs that are not terminal.
        runs: u32,
        /// Its keys that are in force.
        keys: u32,
    },
    /// Probes run the test.
    #[error("test {id} is run by the probe {probe:?}; delete the probe first, or let it run another test")]
    TestProbed {
        /// The test.
        id: String,
        /// The name of one of them.
        probe: String,
    },
    /// The slot is settled, or not one of the schedule.
    #[error("slot {} of probe {probe} is not open; those up to {} are settled", slot.0, cursor.0)]
    SlotNotOpen {
        /// The probe.
        probe: ProbeId,
        /// The slot.
        slot: Time,
        /// Up to when its slots are settled.
        cursor: Time,
    },
}
