//! The state that the log leads to, by rules that are written down here a second time. Only what the invariants speak of is kept.

use std::collections::{BTreeMap, BTreeSet};

use prost::bytes::Bytes;
use reeve_proto::internal as wire;
use wire::drain_actor::Actor;

use crate::checker::model::run::Status;
use crate::checker::order::{Content, Truth};
use crate::definition::value_of;

pub use crate::dump::uuid;

pub type Id = Bytes;

/// Why a command changes nothing. The words are the model's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// It was proposed in another term than it entered the log in.
    StaleTerm,
    /// The caller may not.
    Caller,
    /// The request id is of another request.
    RequestReused,
    /// There is no such object.
    Missing,
    /// There is one already.
    Taken,
    /// The object is not in a status that allows it.
    Status,
    /// The plan is about an older revision.
    Stale,
    /// It is not true yet.
    NotYet,
    /// A worker takes no new work: it is not ONLINE.
    NotOnline,
    /// A worker takes no new work: it drains.
    Draining,
    /// A worker has too little capacity left.
    Capacity,
    /// The placement does not fit the run.
    Placement,
    /// The session is over, or the token is not good.
    Session,
    /// The report does not fit the assignment.
    Report,
}

impl Refused {
    /// For timelines.
    pub fn name(self) -> &'static str {
        match self {
            Self::StaleTerm => "planned in another term",
            Self::Caller => "the caller may not",
            Self::RequestReused => "the request id is of another request",
            Self::Missing => "there is no such object",
            Self::Taken => "there is one already",
            Self::Status => "the status does not allow it",
            Self::Stale => "planned for an older revision",
            Self::NotYet => "not true yet",
            Self::NotOnline => "the worker is not ONLINE",
            Self::Draining => "the worker drains",
            Self::Capacity => "too little capacity",
            Self::Placement => "it does not fit the run",
            Self::Session => "the session is over",
            Self::Report => "it does not fit the assignment",
        }
    }
}

/// A revision. Commands that the model does not know may have taken revisions, so that it may be known within bounds only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    known: u64,
    low: u64,
    high: u64,
}

impl Stamp {
    /// Whether it may be this revision.
    pub fn may_be(self, revision: u64) -> bool {
        (self.known + self.low..=self.known + self.high).contains(&revision)
    }

    /// The revision, if it is known.
    pub fn exact(self) -> Option<u64> {
        (self.low == self.high).then_some(self.known + self.low)
    }
}

#[derive(Clone, Debug)]
pub struct Test {
    pub name: String,
    pub project: String,
    pub version: u32,
    pub definition: wire::TestDefinition,
    pub created_by: Option<RequestId>,
}

#[derive(Clone, Debug)]
pub struct Run {
    pub test: Id,
    pub project: String,
    pub definition: wire::TestDefinition,
    pub timeline: Vec<Status>,
    pub stop_requested: bool,
    pub assignments: u32,
    /// When it ended, cluster time.
    pub ended_at: Option<u64>,
    pub created_by: Option<RequestId>,
    pub revision: Stamp,
}

impl Run {
    pub fn status(&self) -> Status {
        self.timeline.last().copied().unwrap_or(Status::Pending)
    }
}

/// A test on a schedule.
#[derive(Clone, Debug)]
pub struct Probe {
    pub project: String,
    pub definition: wire::ProbeDefinition,
    pub paused: bool,
    /// Slots up to here are settled.
    pub cursor: u64,
    /// The execution that is not settled: its slot and its run.
    pub open: Option<(u64, Id)>,
    pub revision: Stamp,
}

/// Statuses of an assignment, as in the log: 1 offered, 2 ready, 3 started, 4 stopping, 5 lost, 6 closed.
pub const OFFERED: u32 = 1;
pub const READY: u32 = 2;
pub const STARTED: u32 = 3;
pub const STOPPING: u32 = 4;
pub const LOST: u32 = 5;
pub const CLOSED: u32 = 6;
/// The last phase of an endpoint.
pub const PHASE_CLOSED: u8 = 8;
/// The outcome of what was lost.
pub const OSERROR: u8 = 7;

#[derive(Clone, Debug, Default)]
pub struct Assignment {
    pub worker: Id,
    pub group: u32,
    pub first: u32,
    pub count: u32,
    pub epoch: u64,
    pub status: u32,
    pub started: bool,
    pub lost: bool,
    pub acked: u64,
    /// Phase and outcome of each endpoint, once it started.
    pub endpoints: Vec<(u8, u8)>,
    /// What a worker said too late, by endpoint: phase and outcome.
    pub late: BTreeMap<u32, (u8, u8)>,
    /// What it said too late and was not kept.
    pub late_left_out: u32,
}

impl Assignment {
    pub fn holds_capacity(&self) -> bool {
        self.status != CLOSED
    }

    pub fn is_current(&self) -> bool {
        matches!(self.status, OFFERED | READY | STARTED | STOPPING)
    }

    pub fn all_closed(&self) -> bool {
        self.started && self.endpoints.iter().all(|(phase, _)| *phase == PHASE_CLOSED)
    }

    /// What is reported of an endpoint only moves it on; an outcome only gets worse.
    pub fn observe(&mut self, offset: usize, phase: u8, outcome: u8) {
        let Some((held, ended)) = self.endpoints.get_mut(offset) else {
            return;
        };
        if *held == PHASE_CLOSED {
            return;
        }
        *held = phase.max(*held);
        let bad = |outcome: u8| match outcome {
            0 | 1 => 0,
            2 => 1,
            _ => 10,
        };
        if *ended == 0 || (outcome != 0 && bad(outcome) > bad(*ended)) {
            *ended = outcome;
        }
        if *held == PHASE_CLOSED && *ended == 0 {
            *ended = OSERROR;
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Drain {
    pub actor: Actor,
    pub reason: String,
    pub deadline: u64,
    pub then: u32,
    pub since: u64,
}

impl Drain {
    pub fn outlives_process(&self) -> bool {
        match self.actor {
            Actor::Worker(_) => false,
            Actor::Admin(_) | Actor::Platform(_) => true,
        }
    }
}

/// What is known of a worker's connection, as in the log.
pub const NEVER: u32 = 1;
pub const UP: u32 = 2;
pub const SUSPECT: u32 = 3;
pub const DOWN: u32 = 4;

#[derive(Clone, Debug, Default)]
pub struct Worker {
    pub name: String,
    /// 1 session, 2 ping.
    pub profile: u32,
    pub region: String,
    pub labels: BTreeMap<String, String>,
    pub configured: Option<u32>,
    pub reported: Option<u32>,
    pub token: Option<Bytes>,
    pub token_expires: Option<u64>,
    pub link: u32,
    pub link_since: u64,
    pub issues: BTreeSet<u32>,
    pub drain: Option<Drain>,
    pub rejected: bool,
    pub deleted_at: Option<u64>,
    /// Epoch and incarnation.
    pub session: Option<(u64, Bytes)>,
    pub last_epoch: u64,
    /// Incarnation and number of the newest attempt to connect that was granted.
    pub attempt: Option<(Bytes, u64)>,
    pub created_by: Option<RequestId>,
    pub registered_by: Option<Id>,
    /// What a registration says besides, compared as a whole.
    pub said: (String, String, Vec<String>),
}

/// The status that follows from the facts, as the requirements order them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStatus {
    Online,
    Offline,
    Draining,
    Troubled,
    Deleted,
}

impl Worker {
    pub fn status(&self) -> WorkerStatus {
        if self.deleted_at.is_some() {
            WorkerStatus::Deleted
        } else if matches!(self.link, NEVER | DOWN) {
            WorkerStatus::Offline
        } else if self.drain.is_some() {
            WorkerStatus::Draining
        } else if self.link == SUSPECT || !self.issues.is_empty() || self.rejected {
            WorkerStatus::Troubled
        } else {
            WorkerStatus::Online
        }
    }

    pub fn capacity(&self) -> u32 {
        match (self.configured, self.reported) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other).unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Key {
    /// 1 viewer, 2 operator, 3 admin, 4 worker.
    pub role: u32,
    pub name: String,
    pub project: String,
    pub hash: Bytes,
    pub expires: Option<u64>,
    pub revoked: bool,
}

pub const ADMIN: u32 = 3;
pub const WORKER_ROLE: u32 = 4;

pub type RequestId = (String, String);

#[derive(Clone, Debug)]
pub struct Request {
    pub hash: Bytes,
    pub object: Object,
    pub expires: Option<u64>,
}

/// What a command was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Test(Id),
    Run(Id),
    Worker(Id),
    Key(Id),
    /// Whatever is remembered although it may be gone, and is not modelled.
    Other,
}

/// What a command wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    Test(Id),
    Run(Id),
    /// An assignment of the run.
    Assignment(Id),
    Worker(Id),
    Probe(Id),
    Other,
}

/// The state.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub tests: BTreeMap<Id, Test>,
    pub runs: BTreeMap<Id, Run>,
    pub assignments: BTreeMap<(Id, u32), Assignment>,
    pub workers: BTreeMap<Id, Worker>,
    pub keys: BTreeMap<Id, Key>,
    pub probes: BTreeMap<Id, Probe>,
    pub requests: BTreeMap<RequestId, Request>,
    /// Hashes of chunks of evidence, by assignment, kind and number.
    pub chunks: BTreeMap<((Id, u32), u32, u32), Bytes>,
    /// Runs that have a summary.
    pub summaries: BTreeSet<Id>,
    /// Assignments that the platform gave up by its own deadlines, of a stop or a drain: run and epoch.
    pub given_up: BTreeSet<(Id, u64)>,
    pub now: u64,
    pub cluster_version: u32,
    pub revision: Stamp,
    /// What every answer can be compared with.
    pub truth: Truth,
    /// Something was changed at a revision that is known within bounds only: the truth lacks it.
    pub inexact: bool,
    touched: BTreeSet<Touched>,
    /// Endpoints that workers hold; kept, because it is asked for at every placement.
    reserved: BTreeMap<Id, u32>,
}

impl World {
    /// Of a cluster that never did anything: its version is 1.
    pub fn begin() -> Self {
        Self {
            cluster_version: 1,
            ..Self::default()
        }
    }

    pub fn touch(&mut self, what: Touched) {
        self.touched.insert(what);
    }

    /// A command was refused: it wrote nothing.
    pub fn refused(&mut self) {
        self.touched.clear();
    }

    /// A command that the model does not know: it may have taken a revision.
    pub fn not_known(&mut self) {
        self.revision.high += 1;
    }

    /// A plan named this revision of a row, and it was taken: so much is known now.
    pub fn learn(&mut self, row: Stamp, revision: u64) {
        let unknown = revision.saturating_sub(row.known);
        self.revision.low = self.revision.low.max(unknown);
    }

    /// The command is over: what it wrote has its revision, which is told if it is known, and what was written.
    pub fn applied(&mut self) -> (Option<u64>, Vec<Touched>) {
        let touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return (None, Vec::new());
        }
        self.revision.known += 1;
        self.inexact |= self.revision.exact().is_none();
        let revision = self.revision;
        for what in &touched {
            if let Touched::Run(id) = what
                && let Some(run) = self.runs.get_mut(id)
            {
                run.revision = revision;
            }
            if let Touched::Probe(id) = what
                && let Some(probe) = self.probes.get_mut(id)
            {
                probe.revision = revision;
            }
            if let (Some((key, content)), Some(at)) = (self.content(what), revision.exact()) {
                self.truth.entry(key).or_default().insert(at, content);
            }
        }
        (revision.exact(), touched.into_iter().collect())
    }

    /// What histories call it.
    pub fn key(&self, what: &Touched) -> Option<String> {
        match what {
            Touched::Test(id) => self.tests.get(id).map(|test| format!("test/{}", test.name)),
            Touched::Run(id) | Touched::Assignment(id) => Some(format!("run/{}", uuid(id))),
            Touched::Worker(id) => self
                .workers
                .get(id)
                .map(|worker| format!("worker/{}", worker.name)),
            Touched::Probe(_) | Touched::Other => None,
        }
    }

    fn content(&self, what: &Touched) -> Option<(String, Content)> {
        match what {
            Touched::Test(id) => {
                let test = self.tests.get(id)?;
                let value = test
                    .definition
                    .groups
                    .first()
                    .map_or(0, |group| value_of(&group.name));
                Some((format!("test/{}", test.name), Content::Test(test.version, value)))
            }
            Touched::Run(id) | Touched::Assignment(id) => {
                let run = self.runs.get(id)?;
                let content = Content::Run(run.status(), run.stop_requested);
                Some((format!("run/{}", uuid(id)), content))
            }
            Touched::Worker(id) => {
                let worker = self.workers.get(id)?;
                Some((format!("worker/{}", worker.name), Content::Worker))
            }
            Touched::Probe(_) | Touched::Other => None,
        }
    }

    /// A test is gone: from here on nobody may see it.
    pub fn test_gone(&mut self, name: &str) {
        self.gone(format!("test/{name}"));
    }

    /// A run is gone: from here on nobody may see it.
    pub fn run_gone(&mut self, id: &Id) {
        self.gone(format!("run/{}", uuid(id)));
    }

    fn gone(&mut self, key: String) {
        let mut next = self.revision;
        next.known += 1;
        if let Some(at) = next.exact() {
            self.truth.entry(key).or_default().insert(at, Content::Gone);
        }
    }

    pub fn raise_cluster_version(&mut self, version: u32) -> Result<(), Refused> {
        if version < self.cluster_version {
            return Err(Refused::Status);
        }
        if version != self.cluster_version {
            self.cluster_version = version;
            self.touch(Touched::Other);
        }
        Ok(())
    }

    pub fn put_assignment(&mut self, key: (Id, u32), row: Assignment) {
        self.touch(Touched::Assignment(key.0.clone()));
        let held = |row: &Assignment| if row.holds_capacity() { row.count } else { 0 };
        let mut sum = self.reserved.get(&row.worker).copied().unwrap_or(0) + held(&row);
        let worker = row.worker.clone();
        if let Some(before) = self.assignments.insert(key, row) {
            sum = sum.saturating_sub(held(&before));
        }
        self.reserved.insert(worker, sum);
    }

    pub fn reserved(&self, worker: &Id) -> u32 {
        self.reserved.get(worker).copied().unwrap_or(0)
    }

    pub fn of_run(&self, run: &Id) -> Vec<((Id, u32), Assignment)> {
        let range = (run.clone(), 0)..=(run.clone(), u32::MAX);
        let rows = self.assignments.range(range);
        rows.map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    /// What a worker holds.
    pub fn of_worker(&self, worker: &Id) -> Vec<((Id, u32), Assignment)> {
        // Only runs that have not ended, and losses that were not let go, hold anything: all are looked at, there are few.
        let rows = self.assignments.iter();
        rows.filter(|(_, row)| row.worker == *worker && row.holds_capacity())
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect()
    }

    pub fn key_in_force(&self, id: &Id) -> Result<&Key, Refused> {
        let key = self.keys.get(id).ok_or(Refused::Caller)?;
        let over = key.revoked || key.expires.is_some_and(|at| at <= self.now);
        if over { Err(Refused::Caller) } else { Ok(key) }
    }
}
