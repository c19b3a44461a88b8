//! Which of the two kinds of worker this process is (D4).

use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::ping::PingConfig;

/// Everything that a worker needs to know, for its kind.
#[derive(Clone, Debug)]
pub enum Settings {
    /// Holds a session, takes endpoints.
    Session(Box<WorkerConfig>),
    /// Registers and pings, takes jobs.
    Ping(Box<PingConfig>),
}

impl Settings {
    /// Runs until the token is cancelled, which is the equivalent of SIGTERM (D5), or the cluster is done with the worker.
    ///
    /// # Errors
    /// As [`run`](crate::run) and [`run_ping`](crate::run_ping).
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        match self {
            Self::Session(config) => crate::run(*config, shutdown).await,
            Self::Ping(config) => crate::run_ping(*config, shutdown).await,
        }
    }
}
