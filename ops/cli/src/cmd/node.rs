//! `reeve node`: one node of the control plane in this process.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::process::{ParentArgs, start_agent};

/// The flags of `reeve node`.
#[derive(Debug, Args)]
pub(crate) struct NodeCommand {
    #[command(flatten)]
    node: reeve_node::NodeArgs,
    #[command(flatten)]
    parent: ParentArgs,
}

pub(crate) async fn run(command: NodeCommand) -> Result<u8, CliError> {
    let token = CancellationToken::new();
    start_agent(&command.parent, &token)?;
    let config = command
        .node
        .load()
        .map_err(|error| CliError::message(error.to_string()))?;
    reeve_node::run(config, token)
        .await
        .map_err(|error| CliError::message(format!("{error:#}")))?;
    Ok(0)
}
