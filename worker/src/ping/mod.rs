//! A worker without a session (source 003): it registers, pings, and unregisters when it ends. Everything that it does is one call
//! to one node; the next node takes over where one does not answer.

mod agent;
mod client;
mod config;
mod judge;
mod register;
mod unregister;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::config::PingConfig;

use self::agent::Agent;
use crate::error::WorkerError;
use crate::health::HealthProbe;
use crate::http::{self, SharedHealth};
use crate::telemetry::Telemetry;

/// Runs a ping worker until it is told to end (SIGTERM, SIGINT: R350) or the cluster says that its drain is complete; then it
/// unregisters.
///
/// # Errors
/// An unusable configuration, [`WorkerError::RegistrationRefused`] if the cluster does not take what the worker says of itself,
/// and [`WorkerError::NotUnregistered`] if no node could be told that it leaves.
pub async fn run_ping(config: PingConfig, shutdown: CancellationToken) -> Result<(), WorkerError> {
    config.validate()?;
    let health = HealthProbe::start(&config.health).await;
    let telemetry = Telemetry::new()?;
    let shown = SharedHealth::default();
    let _http = match config.http_addr {
        Some(addr) => Some(http::serve(addr, Arc::clone(&shown), telemetry.handle()).await?),
        None => None,
    };
    Agent::new(config, telemetry, shown, health)?.run(shutdown).await
}
