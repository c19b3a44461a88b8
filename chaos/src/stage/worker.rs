//! A worker: how it is started.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use reeve_proto::v1::CreateWorkerResponse;
use reeve_testkit::Child;

use crate::fault::Target;

/// One worker.
pub struct Worker {
    /// Its name: `w1`.
    pub name: String,
    pub(super) starts: u32,
    pub(super) child: Option<Child>,
    token: String,
    nodes: String,
}

impl Worker {
    pub(super) fn new(name: String, created: CreateWorkerResponse, nodes: &[String]) -> Result<Self> {
        created
            .worker
            .context("the answer to CreateWorker names no worker")?;
        Ok(Self {
            name,
            starts: 0,
            child: None,
            token: created.token,
            nodes: nodes.join(","),
        })
    }

    pub(super) fn command(&self, target: &Target, directory: &Path, capacity: u32) -> Result<Command> {
        let _ = directory;
        let own = std::path::PathBuf::from("/root/.cache/reeve-target/release/reeve");
        let own = own.to_str().context("the program has a name in UTF-8")?;
        let mut command = target.command(own);
        command.args(["worker", "--exit-with-parent"]);
        command.env("REEVE_WORKER_TOKEN", &self.token);
        command.env("REEVE_NODES", &self.nodes);
        command.env("REEVE_WORKER_HTTP_ADDR", "off");
        command.env("REEVE_WORKER_CAPACITY", capacity.to_string());
        command.env_remove("REEVE_WORKER_CONFIG");
        Ok(command)
    }
}
