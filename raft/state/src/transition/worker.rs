//! The facts about a worker, and its status as a pure function of them (D2, D3).

use std::fmt;

use crate::id::Incarnation;
use crate::time::Time;

/// What users see; never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerStatus {
    /// Connected, healthy, takes new work (R7, R9). The only one that does (R10).
    Online,
    /// No connection (R14).
    Offline,
    /// Finishes what it has (R24).
    Draining,
    /// A problem that prevents new work (R37).
    Error,
    /// A ping worker that is silent, but not yet for long.
    Unreachable,
    /// A tombstone (D7).
    Deleted,
}

impl WorkerStatus {
    /// All statuses.
    pub const ALL: [Self; 6] = [
        Self::Online,
        Self::Offline,
        Self::Draining,
        Self::Error,
        Self::Unreachable,
        Self::Deleted,
    ];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Offline => "OFFLINE",
            Self::Draining => "DRAINING",
            Self::Error => "ERROR",
            Self::Unreachable => "UNREACHABLE",
            Self::Deleted => "DELETED",
        }
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a worker talks to us (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LivenessProfile {
    /// A gRPC stream.
    Session,
    /// Single calls.
    Ping,
}

impl fmt::Display for LivenessProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "session",
            Self::Ping => "ping",
        })
    }
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Registered, never connected (R21).
    Never,
    /// Heard in time.
    Up,
    /// Heartbeats are missing, but the worker is not given up yet (R40).
    Suspect,
    /// Given up, or left in order.
    Down,
}

impl Link {
    /// All links.
    pub const ALL: [Self; 4] = [Self::Never, Self::Up, Self::Suspect, Self::Down];
}

/// A resource that a worker reports on (R59, R60).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Disk space.
    Disk,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];
}

/// A resource above its threshold (R41).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthIssue {
    /// Which one.
    pub resource: Resource,
    /// Use when the threshold was passed, per cent.
    pub percent: u8,
}

/// Who asked for a drain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DrainActor {
    /// The worker itself (SIGTERM); ends with that incarnation (D5a).
    Worker(Incarnation),
    /// A caller, by name; ends when complete or taken back (D5a).
    Admin(String),
    /// The platform, for maintenance (R32).
    Platform,
}

/// What follows when a drain is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterDrain {
    /// The worker leaves (R20).
    Disconnect,
    /// The worker takes work again (R13).
    Resume,
}

/// A drain in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Drain {
    /// Who asked.
    pub actor: DrainActor,
    /// Why.
    pub reason: String,
    /// When the endpoints that remain are told to hang up (D5a).
    pub deadline: Time,
    /// What follows.
    pub then: AfterDrain,
    /// Since when.
    pub since: Time,
}

/// Why a link is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkFact {
    /// The link.
    pub link: Link,
    /// For people.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// The health that the worker reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthFact {
    /// Every resource above its threshold; none: healthy.
    pub issues: Vec<HealthIssue>,
    /// Since when.
    pub since: Time,
}

/// A credential that is no longer good, on a live connection (R42).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialRejected {
    /// For people.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// Everything a worker's status follows from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The connection.
    pub link: LinkFact,
    /// What it said of its resources.
    pub health: HealthFact,
    /// A drain in force.
    pub drain: Option<Drain>,
    /// A credential that was rejected.
    pub credential_rejected: Option<CredentialRejected>,
    /// Soft delete (D7).
    pub deleted_at: Option<Time>,
}

impl Facts {
    /// A worker that was registered and never started (R21).
    pub fn registered(at: Time) -> Self {
        Self {
            link: LinkFact {
                link: Link::Never,
                reason: "registered, never connected".to_owned(),
                since: at,
            },
            health: HealthFact {
                issues: Vec::new(),
                since: at,
            },
            drain: None,
            credential_rejected: None,
            deleted_at: None,
        }
    }

    /// The status that follows from the facts, in the order of D3.
    pub fn status(&self, profile: LivenessProfile) -> WorkerStatus {
        if self.deleted_at.is_some() {
            return WorkerStatus::Deleted;
        }
        match self.link.link {
            Link::Never | Link::Down => return WorkerStatus::Offline,
            Link::Up | Link::Suspect => {}
        }
        if self.drain.is_some() {
            return WorkerStatus::Draining;
        }
        match (self.link.link, profile) {
            (Link::Suspect, LivenessProfile::Session) => return WorkerStatus::Error,
            (Link::Suspect, LivenessProfile::Ping) => return WorkerStatus::Unreachable,
            (Link::Never | Link::Up | Link::Down, _) => {}
        }
        if !self.health.issues.is_empty() || self.credential_rejected.is_some() {
            return WorkerStatus::Error;
        }
        WorkerStatus::Online
    }
}
