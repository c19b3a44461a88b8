//! One child process: started with its log and a pipe that ends it with us, watched, and stopped by its pid.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{ChildStdin, Command};
use tokio::sync::watch;

use super::layout::{Layout, NodeEntry, WorkerEntry};
use crate::error::CliError;

/// A child process of ours.
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) log: PathBuf,
    /// Closed when we die, however we die; the child then ends too.
    _lifeline: Option<ChildStdin>,
    exited: watch::Receiver<Option<ExitStatus>>,
}

/// Starts a node of the cluster.
pub(crate) fn spawn_node(layout: &Layout, node: &NodeEntry) -> Result<Child, CliError> {
    let mut command = this_program()?;
    command.args(layout.node_args(node)).envs(layout.node_env());
    spawn(layout, &node.name, command)
}

/// Starts a worker of the cluster.
pub(super) fn spawn_worker(layout: &Layout, worker: &WorkerEntry) -> Result<Child, CliError> {
    let mut command = this_program()?;
    command.arg("worker").envs(layout.worker_env(worker));
    spawn(layout, &worker.name, command)
}

fn this_program() -> Result<Command, CliError> {
    let mut command = Command::new(std::env::current_exe()?);
    // What the user's shell sets for nodes and workers is meant for others than these.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REEVE_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn spawn(layout: &Layout, name: &str, mut command: Command) -> Result<Child, CliError> {
    let log = layout.log(name);
    let problem = |error: std::io::Error| CliError::message(format!("{name} cannot be started: {error}"));
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(problem)?;
    command
        .arg("--exit-with-parent")
        .stdin(Stdio::piped())
        .stdout(file.try_clone().map_err(problem)?)
        .stderr(file)
        // Ctrl-C in the terminal is for us; we stop the children in order.
        .process_group(0);
    let mut process = command.spawn().map_err(problem)?;
    let pid = process
        .id()
        .ok_or_else(|| CliError::message(format!("{name} ended at once")))?;
    let lifeline = process.stdin.take();
    let (sender, exited) = watch::channel(None);
    tokio::spawn(async move {
        if let Ok(status) = process.wait().await {
            sender.send_replace(Some(status));
        }
    });
    Ok(Child {
        name: name.to_owned(),
        pid,
        log,
        _lifeline: lifeline,
        exited,
    })
}

impl Child {
    /// Asks it to end in order.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.exited.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn exited(&self) -> String {
        let mut exited = self.exited.clone();
        let status = exited
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status);
        status.map_or_else(|| "unknown".to_owned(), |status| status.to_string())
    }

    /// Its pid is ours to signal only until it has ended.
    fn signal(&self, signal: Signal) {
        if self.ended().is_none()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // It may end at this very moment; then there is nothing to do.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
