//! What can go wrong for good. Whatever may mend itself is retried and logged instead.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// A setting that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value breaks a rule.
    #[error("{field}: {rule}")]
    Field {
        /// The setting, as it is named in the configuration file.
        field: &'static str,
        /// What a good value looks like.
        rule: String,
    },
    /// The configuration file cannot be read.
    #[error("config: cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration file is not the TOML that we expect. The offending line is not repeated: it may hold the token.
    #[error("config: {path}, line {line}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn field(field: &'static str, rule: impl Into<String>) -> Self {
        Self::Field {
            field,
            rule: rule.into(),
        }
    }
}

/// Why [`run`](crate::run) ended without having been drained.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The configuration is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address for health and metrics cannot be bound.
    #[error("http_addr: cannot listen on {addr}: {source}")]
    Http {
        /// The address that was asked for.
        addr: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gives no thread for writing evidence.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A newer process runs with the same token. The newest session wins, so this one must not come back: it would end
    /// what the newer one holds.
    #[error("superseded: a newer process holds the session of this worker")]
    Superseded,
    /// The worker was deleted. That is final (D7): no session with this token will ever stand again, and the cluster has
    /// accounted for what the worker held.
    #[error(
        "deleted: the worker was deleted from the cluster; create another and start it with the token of that one"
    )]
    Deleted,
    /// What a ping worker says of itself breaks a rule of the node.
    #[error("registration refused: {message}")]
    RegistrationRefused {
        /// The node's words; they name the field.
        message: String,
    },
    /// A ping worker was told to end and no node could be told: the cluster takes it for alive until its pings are missed.
    #[error(
        "unregister: no node answered in time; the worker counts as UNREACHABLE, then OFFLINE, when its pings are missed"
    )]
    NotUnregistered,
    /// The drain deadline passed and some assignments could not be reported as closed. The cluster closes their
    /// endpoints with OSERROR when the worker counts as down (R22).
    #[error("drain: {assignments} assignments were not confirmed as closed before the deadline")]
    DrainIncomplete {
        /// How many are left.
        assignments: usize,
    },
}

impl WorkerError {
    /// Exit code of a process that must not be started again as it is: another one runs in its place, or never will.
    pub const EXIT_FINAL: u8 = 5;

    /// The exit code of a process that ended so. Documented in `--help`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Superseded | Self::Deleted => Self::EXIT_FINAL,
            Self::Config(_)
            | Self::Http { .. }
            | Self::RegistrationRefused { .. }
            | Self::NotUnregistered
            | Self::Thread(_)
            | Self::DrainIncomplete { .. } => 1,
        }
    }
}
