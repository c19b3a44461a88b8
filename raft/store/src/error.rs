//! What can go wrong, by audience: opening, proposing, reading, changing the cluster.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fatal::FatalError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is stored is damaged. Restore this node from the others or from a backup.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The file or directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The data directory belongs to another node or cluster.
    #[error("{} belongs to {stored}, this process is configured as {configured}", path.display())]
    Identity {
        /// The file that says so.
        path: PathBuf,
        /// The owner.
        stored: String,
        /// Who asked.
        configured: String,
    },
    /// The configuration contradicts itself.
    #[error("{field}: {rule}")]
    Config {
        /// The field.
        field: &'static str,
        /// The rule that it breaks.
        rule: String,
    },
    /// The listener for other nodes could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Where.
        addr: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Raft refused what it found.
    #[error("raft did not start: {0}")]
    Raft(String),
}

impl OpenError {
    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }

    /// A database that does not open: damaged, or in use or out of reach.
    pub(crate) fn database(path: &Path, error: rocksdb::Error) -> Self {
        if error.kind() == rocksdb::ErrorKind::Corruption {
            Self::corrupt(path, error.into_string())
        } else {
            Self::io(path, io::Error::other(error.into_string()))
        }
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Why something is not possible now, though nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnavailableReason {
    /// No leader is known.
    NoLeader,
    /// There is a leader, but it does not hear from a quorum or does not answer.
    NoQuorum,
    /// This node is being shut down.
    ShuttingDown,
    /// The deadline passed while the command waited for its turn.
    Overdue,
}

impl UnavailableReason {
    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoLeader => "NO_LEADER",
            Self::NoQuorum => "NO_QUORUM",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Overdue => "OVERDUE",
        }
    }

    /// What it means, for people.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoLeader => {
                "this node knows of no leader: an election is under way, or too few nodes are up, or it is cut off"
            }
            Self::NoQuorum => "the leader does not reach a majority of the nodes",
            Self::ShuttingDown => "this node is shutting down",
            Self::Overdue => "the deadline passed before its turn came",
        }
    }
}

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It was certainly not proposed and may be repeated freely.
    #[error("nothing was written: {}", reason.explanation())]
    Unavailable {
        /// Why.
        reason: UnavailableReason,
    },
    /// It may have been applied, or may yet be.
    #[error("the outcome is unknown: the command may yet be applied")]
    OutcomeUnknown,
    /// Too many commands of its kind wait already; it was not proposed.
    #[error("the lane is full")]
    LaneFull {
        /// When a repeat makes sense.
        retry_after: Duration,
    },
    /// This node does not lead, and the call is for the leader only; nothing was proposed.
    #[error("this node does not lead")]
    NotLeader,
    /// This node must stop.
    #[error("this node must stop: {0}")]
    Fatal(FatalError),
}

/// Why a state cannot be read as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No confirmation by a leader in time.
    #[error("not readable now: {}", reason.explanation())]
    Unavailable {
        /// Why.
        reason: UnavailableReason,
    },
    /// This node must stop.
    #[error("this node must stop: {0}")]
    Fatal(FatalError),
}

/// Why the cluster's membership or leadership did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No leader answered in time; the change may yet happen.
    #[error("no leader confirmed the change in time")]
    Unavailable,
    /// It is not possible in this cluster, or not now.
    #[error("{0}")]
    Refused(String),
    /// This node must stop.
    #[error("this node must stop: {0}")]
    Fatal(FatalError),
}

/// The revision is older than what the feed still has: list again, and watch from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes are kept from revision {oldest} on")]
pub struct Compacted {
    /// The oldest revision that a watch can resume after.
    pub oldest: reeve_state::id::Revision,
}
