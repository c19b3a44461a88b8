//! Workers, each a process of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{CreateWorkerRequest, CreateWorkerResponse, WorkerKind};
use tonic::{Request, Status};

use crate::child::Child;

const CREATE_TIMEOUT: Duration = Duration::from_secs(10);

/// Registers a worker.
///
/// # Errors
/// The node refused, or its answer names no worker.
pub async fn create_worker(
    node: Connection,
    name: &str,
    capacity: u32,
) -> Result<CreateWorkerResponse, Status> {
    let mut request = Request::new(CreateWorkerRequest {
        name: name.to_owned(),
        region: "local".to_owned(),
        kind: WorkerKind::UserOwned.into(),
        capacity,
        request_id: format!("testkit-{name}"),
        ..Default::default()
    });
    request.set_timeout(CREATE_TIMEOUT);
    Ok(WorkersClient::new(node)
        .create_worker(request)
        .await?
        .into_inner())
}

/// What a worker's process is.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments. They can be read by everyone, so the token is none of them.
    pub arguments: Vec<String>,
    /// What it finds in its environment.
    pub environment: Vec<(&'static str, String)>,
}

/// A worker process that can be killed and started again under the same identity.
#[derive(Debug)]
pub struct WorkerProcess {
    name: String,
    id: String,
    program: Program,
    log: PathBuf,
    child: Option<Child>,
}

impl WorkerProcess {
    /// Prepares the process of a worker that was just registered; it is not started.
    ///
    /// # Errors
    /// The answer to the registration names no worker.
    pub fn new(
        program: PathBuf,
        directory: PathBuf,
        nodes: &[String],
        created: CreateWorkerResponse,
    ) -> Result<Self> {
        let program = Program {
            path: program,
            arguments: ["worker", "--exit-with-parent"].map(str::to_owned).into(),
            environment: vec![
                ("REEVE_WORKER_TOKEN", created.token.clone()),
                ("REEVE_NODES", nodes.join(",")),
                ("REEVE_WORKER_HTTP_ADDR", "off".to_owned()),
            ],
        };
        Self::of(program, directory, created)
    }

    /// The same for any program that is a worker, and ends when its stdin does.
    ///
    /// # Errors
    /// The answer to the registration names no worker.
    pub fn of(program: Program, directory: PathBuf, created: CreateWorkerResponse) -> Result<Self> {
        let worker = created
            .worker
            .context("the answer to CreateWorker names no worker")?;
        Ok(Self {
            log: directory.join(format!("{}.log", worker.name)),
            name: worker.name,
            id: worker.id,
            program,
            child: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The worker's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts the process; one that still runs is killed first.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&mut self) -> Result<()> {
        let Program {
            path,
            arguments,
            environment,
        } = &self.program;
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env_remove("REEVE_WORKER_CONFIG")
            .envs(environment.iter().map(|(name, value)| (name, value)));
        self.child = None;
        self.child = Some(Child::spawn(&self.name, command, &self.log)?);
        Ok(())
    }

    /// SIGKILL, if it runs.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Whether it was started and not killed by us.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// How it ended although nobody killed it.
    pub fn unexpected_end(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.ended()?;
        Some(format!(
            "{} ended by itself: {status}; see {}",
            self.name,
            self.log.display()
        ))
    }
}
