//! A worker: how it is started.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use reeve_proto::v1::CreateWorkerResponse;
use reeve_testkit::Child;

use crate::agent;
use crate::fault::Target;

/// One worker.
pub struct Worker {
    /// Its name: `w1`.
    pub name: String,
    pub(super) child: Option<Child>,
    token: String,
    nodes: Vec<String>,
}

impl Worker {
    pub(super) fn new(name: String, created: CreateWorkerResponse, nodes: &[String]) -> Result<Self> {
        created
            .worker
            .context("the answer to CreateWorker names no worker")?;
        Ok(Self {
            name,
            child: None,
            token: created.token,
            nodes: nodes.to_vec(),
        })
    }

    pub(super) fn command(&self, target: &Target, directory: &Path, capacity: u32) -> Result<Command> {
        let own = std::env::current_exe().context("where this program is")?;
        let own = own.to_str().context("the program has a name in UTF-8")?;
        let mut command = target.command(own);
        command.args(agent::arguments(&self.name, directory));
        command.envs(agent::environment(&self.token, &self.nodes, capacity));
        command.env_remove("REEVE_WORKER_CONFIG");
        Ok(command)
    }
}
