//! The cluster of the demonstration: a `reeve dev` of its own, from which one node is killed and started again.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reeve_proto::bearer::Bearer;
use reeve_proto::v1::GetStatusResponse;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Cluster;
use crate::cmd::cluster::status_of;
use crate::dev::{Child, DevReady, Layout, NodeEntry, ReadyNode, spawn_node};
use crate::error::CliError;

const POLL: Duration = Duration::from_millis(20);
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// `reeve dev` needs up to ten seconds to stop everything.
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// `reeve dev` in a directory of its own.
pub(super) struct DemoCluster {
    directory: PathBuf,
    dev: Option<Dev>,
    restarted: Option<Child>,
}

struct Dev {
    process: Process,
    /// Closed when we die, however we die; dev then stops everything.
    _lifeline: Option<ChildStdin>,
    ready: DevReady,
}

/// Where the restarted node and the leader met.
pub(super) struct CaughtUp {
    pub(super) index: u64,
    pub(super) state_hash: String,
}

impl DemoCluster {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            dev: None,
            restarted: None,
        }
    }

    /// Starts `reeve dev` and waits for its line.
    pub(super) async fn start(&mut self) -> Result<(), CliError> {
        std::fs::create_dir_all(&self.directory)?;
        let log = self.directory.join("dev.log");
        let mut process = Command::new(std::env::current_exe()?)
            .args([
                "dev",
                "--random-ports",
                "--exit-with-parent",
                "--output",
                "json",
                "--data-dir",
            ])
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn()?;
        let lifeline = process.stdin.take();
        let stdout = process.stdout.take();
        // Kept from the start, so that it is stopped also if it never becomes ready.
        let empty = DevReady {
            leader: String::new(),
            nodes: Vec::new(),
            workers: Vec::new(),
            api_key: String::new(),
        };
        let dev = self.dev.insert(Dev {
            process,
            _lifeline: lifeline,
            ready: empty,
        });
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line).await?;
        }
        dev.ready = serde_json::from_str(&line).map_err(|_| {
            let reason = std::fs::read_to_string(&log).unwrap_or_default();
            CliError::message(format!("reeve dev did not become ready\n{}", reason.trim_end()))
        })?;
        Ok(())
    }

    /// gRPC addresses of all nodes.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.dev
            .iter()
            .flat_map(|dev| &dev.ready.nodes)
            .map(|node| node.grpc.clone())
            .collect()
    }

    /// The admin's key, for calls.
    pub(super) fn bearer(&self) -> Result<Bearer, CliError> {
        let key = self.dev.as_ref().map_or("", |dev| &dev.ready.api_key);
        Bearer::new(key).map_err(|error| CliError::message(error.to_string()))
    }

    /// A client that knows all nodes.
    pub(super) fn client(&self) -> Result<Cluster, CliError> {
        Cluster::connect_to(&self.addresses(), self.bearer()?, CALL_TIMEOUT)
    }

    /// The node that led when everything was ready.
    pub(super) fn leader_node(&self) -> Result<ReadyNode, CliError> {
        let dev = self
            .dev
            .as_ref()
            .ok_or_else(|| CliError::message("the cluster is not up"))?;
        dev.ready
            .leader()
            .cloned()
            .ok_or_else(|| CliError::message("the cluster named no leader"))
    }

    /// SIGKILL to the leader: when it was sent, and when the process was gone.
    ///
    /// Only what is written after the second instant is certainly not the work of the old leader.
    pub(super) async fn kill_leader(&self) -> Result<(Instant, Instant), CliError> {
        let leader = self.leader_node()?;
        let problem = |what: String| CliError::message(format!("{} cannot be killed: {what}", leader.id));
        let pid = i32::try_from(leader.pid).map_err(|error| problem(error.to_string()))?;
        let sent = Instant::now();
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| problem(error.to_string()))?;
        // Its parent collects it at once; then nobody has this pid.
        while kill(Pid::from_raw(pid), None).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        Ok((sent, Instant::now()))
    }

    /// Name and term of a leader that is not the one that was killed, by its own word.
    pub(super) async fn new_leader(&self) -> Result<(String, u64), CliError> {
        let old = self.leader_node()?;
        let client = self.client()?;
        loop {
            for node in client.nodes().into_iter().filter(|node| node.address != old.grpc) {
                if let Ok(status) = status_of(node.channel, false, STATUS_TIMEOUT).await
                    && status.leader_id == status.node_id
                {
                    return Ok((status.node_name, status.term));
                }
            }
            sleep(POLL).await;
        }
    }

    /// Starts the killed node again, with the arguments that it had.
    pub(super) fn restart_killed(&mut self) -> Result<(), CliError> {
        let layout = Layout::load(&self.directory)?;
        let node = self.killed(&layout)?;
        self.restarted = Some(spawn_node(&layout, &node)?);
        Ok(())
    }

    /// Returns once the restarted node has applied what the leader has, and both have the same state.
    pub(super) async fn caught_up(&self) -> Result<CaughtUp, CliError> {
        let layout = Layout::load(&self.directory)?;
        let node = self.killed(&layout)?;
        let client = self.client()?;
        loop {
            let mut others: Vec<GetStatusResponse> = Vec::new();
            let mut restarted = None;
            for at in client.nodes() {
                match status_of(at.channel, true, STATUS_TIMEOUT).await {
                    Ok(status) if status.node_id == node.id => restarted = Some(status),
                    Ok(status) => others.push(status),
                    // A node that does not answer is asked again.
                    Err(_) => {}
                }
            }
            // The leader has everything; if the restarted node leads, the one that has most of what it had.
            let leads = |status: &GetStatusResponse| status.leader_id == status.node_id;
            let reference = others
                .iter()
                .max_by_key(|status| (leads(status), status.last_applied_index));
            if let (Some(reference), Some(restarted)) = (reference, &restarted)
                && let Some(caught_up) = same_state(reference, restarted)?
            {
                return Ok(caught_up);
            }
            if let Some(child) = &self.restarted
                && let Some(status) = child.ended()
            {
                return Err(CliError::message(format!(
                    "{} ended: {status}; see {}",
                    child.name,
                    child.log.display()
                )));
            }
            sleep(POLL).await;
        }
    }

    fn killed(&self, layout: &Layout) -> Result<NodeEntry, CliError> {
        let name = self.leader_node()?.id;
        let node = layout.nodes.iter().find(|node| node.name == name);
        node.cloned()
            .ok_or_else(|| CliError::message(format!("dev.json does not know {name}")))
    }

    /// Stops what runs, by pid; kills what does not stop in time.
    pub(super) async fn stop(&mut self) {
        if let Some(child) = self.restarted.take() {
            child.terminate();
            if timeout(STOP_LIMIT, child.exited()).await.is_err() {
                child.kill();
                child.exited().await;
            }
        }
        let Some(mut dev) = self.dev.take() else { return };
        if let Some(pid) = dev.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself; then there is nothing to stop.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(STOP_LIMIT, dev.process.wait()).await.is_err() {
            // Its children end with it: their stdin closes.
            let _ = dev.process.kill().await;
        }
    }
}

/// The same index must mean the same hash; another index means: not yet.
fn same_state(
    leader: &GetStatusResponse,
    restarted: &GetStatusResponse,
) -> Result<Option<CaughtUp>, CliError> {
    if leader.last_applied_index != restarted.last_applied_index || leader.last_applied_index == 0 {
        return Ok(None);
    }
    let index = leader.last_applied_index;
    if leader.state_hash.is_empty() || leader.state_hash != restarted.state_hash {
        return Err(CliError::message(format!(
            "at index {index} the states differ: {:?} on {}, {:?} on {}",
            leader.state_hash, leader.node_name, restarted.state_hash, restarted.node_name
        )));
    }
    Ok(Some(CaughtUp {
        index,
        state_hash: leader.state_hash.clone(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn status(index: u64, hash: &str) -> GetStatusResponse {
        GetStatusResponse {
            last_applied_index: index,
            state_hash: hash.into(),
            ..Default::default()
        }
    }

    #[test]
    fn the_same_index_must_mean_the_same_state() {
        assert!(
            same_state(&status(5, "a"), &status(4, "b")).unwrap().is_none(),
            "not there yet"
        );
        assert_eq!(
            same_state(&status(5, "a"), &status(5, "a"))
                .unwrap()
                .unwrap()
                .index,
            5
        );
        assert!(same_state(&status(5, "a"), &status(5, "b")).is_err(), "diverged");
        assert!(
            same_state(&status(5, ""), &status(5, "")).is_err(),
            "a hash was asked for"
        );
        assert!(
            same_state(&status(0, "a"), &status(0, "a")).unwrap().is_none(),
            "nothing applied yet"
        );
    }
}
