//! `reeve worker`: one worker agent in this process.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::process::{ParentArgs, start_agent};

/// The flags of `reeve worker`.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    worker: reeve_worker::WorkerArgs,
    #[command(flatten)]
    parent: ParentArgs,
}

pub(crate) async fn run(agent: AgentArgs) -> Result<u8, CliError> {
    let token = CancellationToken::new();
    start_agent(&agent.parent, &token)?;
    let settings = agent
        .worker
        .into_settings()
        .map_err(|error| CliError::message(error.to_string()))?;
    match settings.run(token).await {
        Ok(()) => Ok(0),
        // Its own exit code tells a supervisor whether to start it again.
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(error.exit_code())
        }
    }
}
