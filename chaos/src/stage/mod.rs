//! Where a scenario plays: real nodes and workers, each with its own place in the network, disk, clock and limits, as far as the plan wants
//! them broken.

mod api;
mod node;
mod place;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::Connection;
use reeve_testkit::{create_worker, until};
use tokio::task::block_in_place;

use crate::event::{Events, What};
use crate::fault::{Fault, Healing, Injection, World};
use crate::scenario::plan::{Plan, Shape};

pub use node::{EXCHANGE_INTERVAL_MS, Node};
pub use place::{host_of_node, host_of_worker};
pub use worker::Worker;

const START: Duration = Duration::from_secs(30);

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// What nodes are.
    pub reeve: PathBuf,
    /// What they were before, for upgrades.
    pub older: Option<PathBuf>,
}

/// Everything that is there.
pub struct Stage {
    /// What can be broken.
    pub world: World,
    /// What it was made from.
    pub shape: Shape,
    nodes: Vec<Node>,
    workers: Vec<Worker>,
    programs: Programs,
    mutant: String,
    directory: PathBuf,
    scratch: PathBuf,
    events: Events,
    faults: u32,
}

impl Stage {
    /// Starts nodes and workers, and waits until all of them know each other.
    ///
    /// # Errors
    /// Something cannot be had or started, or they do not come together.
    pub async fn set_up(plan: &Plan, programs: Programs, directory: &Path, events: Events) -> Result<Self> {
        let older = plan.needs(|deed| matches!(deed, crate::scenario::deed::Deed::Upgrade(_)));
        if older && programs.older.is_none() {
            bail!("a rolling upgrade needs the program to upgrade from (--older FILE)");
        }
        let place::Place {
            world,
            nodes,
            scratch,
        } = block_in_place(|| place::build(plan, directory))?;
        let mut stage = Self {
            world,
            shape: plan.shape.clone(),
            nodes,
            workers: Vec::new(),
            programs,
            mutant: plan.mutant.clone(),
            directory: directory.to_owned(),
            scratch,
            events,
            faults: 0,
        };
        for name in stage.members() {
            stage.node_mut(&name)?.older = older;
            stage.start_node(&name)?;
        }
        let leader = stage.agreed_leader(START).await?;
        for index in 0..plan.shape.workers {
            stage.add_worker(index, &leader).await?;
        }
        stage.sessions(START).await?;
        Ok(stage)
    }

    async fn add_worker(&mut self, index: usize, leader: &str) -> Result<()> {
        let name = format!("w{}", index + 1);
        let created = create_worker(self.connection(leader)?, &name, self.shape.capacity).await?;
        let nodes = self.nodes.iter().filter(|node| !node.spare);
        let addresses: Vec<String> = nodes.map(|node| node.grpc.clone()).collect();
        let worker = Worker::new(name.clone(), created, &addresses)?;
        self.workers.push(worker);
        self.start_worker(&name)
    }

    /// Waits until every worker has a session.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn sessions(&self, limit: Duration) -> Result<()> {
        until(limit, "every worker has a session", || async {
            let mut sessions = 0;
            for name in self.members() {
                sessions += self
                    .status(&name)
                    .await
                    .map_or(0, |status| status.sessions as usize);
            }
            sessions >= self.workers.len()
        })
        .await
    }

    /// Names of the nodes that belong to the cluster now.
    pub fn members(&self) -> Vec<String> {
        let members = self.nodes.iter().filter(|node| node.member);
        members.map(|node| node.name.clone()).collect()
    }

    /// Names of the workers.
    pub fn workers(&self) -> Vec<String> {
        self.workers.iter().map(|worker| worker.name.clone()).collect()
    }

    /// Every node that was ever there.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A connection to every member, by name.
    pub fn connections(&self) -> Vec<(String, Connection)> {
        let members = self.nodes.iter().filter(|node| node.member);
        members
            .map(|node| (node.name.clone(), node.connection.clone()))
            .collect()
    }

    pub(crate) fn connection(&self, name: &str) -> Result<Connection> {
        Ok(self.node(name)?.connection.clone())
    }

    /// A node by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|node| node.name == name)
            .with_context(|| format!("there is no node {name}"))
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let mut nodes = self.nodes.iter_mut();
        nodes
            .find(|node| node.name == name)
            .with_context(|| format!("there is no node {name}"))
    }

    fn worker_mut(&mut self, name: &str) -> Result<&mut Worker> {
        let mut workers = self.workers.iter_mut();
        workers
            .find(|worker| worker.name == name)
            .with_context(|| format!("there is no worker {name}"))
    }

    /// Injects a fault; its number, for healing, unless it is not in force.
    ///
    /// # Errors
    /// It is not known whether it is in force: the harness does not know what it does.
    pub fn inject(&mut self, fault: &Fault) -> Result<Option<u32>> {
        let number = self.faults;
        self.faults += 1;
        let result = block_in_place(|| self.world.inject(fault));
        self.events.note(What::Injected {
            number,
            fault: fault.clone(),
            result: result.clone(),
        });
        match result {
            Injection::Installed(_) => Ok(Some(number)),
            Injection::Skipped(_) => Ok(None),
            Injection::Indeterminate(why) => bail!("{fault:?} may or may not be in force: {why}"),
        }
    }

    /// What a node uses of the memory that can be limited, bytes; 0: its memory cannot be limited.
    ///
    /// # Errors
    /// There is no such node, or its group cannot be read.
    pub fn memory_of(&self, name: &str) -> Result<u64> {
        let target = self.world.targets.get(name).context("every node is a target")?;
        target
            .cgroup
            .as_ref()
            .map_or(Ok(0), crate::process::Cgroup::memory_used)
    }

    /// Heals a fault; how often it bit, where that is counted.
    ///
    /// # Errors
    /// It may still be in force.
    pub fn heal(&mut self, number: u32, fault: &Fault) -> Result<u64> {
        let result = block_in_place(|| self.world.heal(fault));
        self.events.note(What::Healed {
            number,
            result: result.clone(),
        });
        match result {
            Healing::Healed(proof) => Ok(proof.count),
            Healing::Failed(why) => bail!("{fault:?} may still be in force: {why}"),
        }
    }

    /// Starts a node on the data that it has.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_node(&mut self, name: &str) -> Result<()> {
        let peers = self.peers();
        let node = self.node(name)?;
        let target = self.world.targets.get(name).context("every node is a target")?;
        let command = node.command(target, self, &peers)?;
        let log = self.directory.join(format!("{name}.log"));
        let child = reeve_testkit::Child::spawn(name, command, &log)?;
        self.begun(name, child.pid())?;
        let node = self.node_mut(name)?;
        node.child = Some(child);
        node.may_end = false;
        Ok(())
    }

    /// Starts a worker; one that still runs is killed first.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_worker(&mut self, name: &str) -> Result<()> {
        let (directory, capacity) = (self.directory.clone(), self.shape.capacity);
        self.worker_mut(name)?.child = None;
        let target = self.world.targets.get(name).context("every worker is a target")?;
        let worker = self.workers.iter().find(|worker| worker.name == name);
        let worker = worker.with_context(|| format!("there is no worker {name}"))?;
        let command = worker.command(target, &directory, capacity)?;
        let log = directory.join(format!("{name}.log"));
        let child = reeve_testkit::Child::spawn(name, command, &log)?;
        self.begun(name, child.pid())?;
        let worker = self.worker_mut(name)?;
        worker.child = Some(child);
        Ok(())
    }

    /// Starts a node or a worker.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&mut self, name: &str) -> Result<()> {
        if self.workers.iter().any(|worker| worker.name == name) {
            return self.start_worker(name);
        }
        self.start_node(name)
    }

    /// Starts it if it does not run; what was done to it is over.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn revive(&mut self, name: &str) -> Result<()> {
        self.look();
        if !self.runs(name) {
            return self.start(name);
        }
        self.may_end(name, false);
        Ok(())
    }

    /// Whether a node may end by itself from now on.
    pub fn may_end(&mut self, name: &str, may: bool) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.name == name) {
            node.may_end = may;
        }
    }

    /// Whether a node may be about to end by itself.
    pub fn is_ending(&self, name: Option<&str>) -> bool {
        self.nodes
            .iter()
            .any(|node| Some(node.name.as_str()) == name && node.may_end && node.child.is_some())
    }

    /// Writes down what happened.
    pub fn note(&self, what: What) {
        self.events.note(what);
    }

    fn begun(&mut self, name: &str, pid: u32) -> Result<()> {
        let target = self.world.targets.get_mut(name);
        let target = target.with_context(|| format!("{name} is no target"))?;
        target.started(pid)?;
        self.events.note(What::Started {
            process: name.to_owned(),
            pid,
        });
        Ok(())
    }

    /// Whether a process runs, as far as is known.
    pub fn runs(&self, name: &str) -> bool {
        let node = self.nodes.iter().find(|node| node.name == name);
        let worker = self.workers.iter().find(|worker| worker.name == name);
        node.is_some_and(|node| node.child.is_some()) || worker.is_some_and(|worker| worker.child.is_some())
    }

    /// Notes the end of a process that was killed, and waits for it.
    ///
    /// # Errors
    /// There is no such process.
    pub fn bury(&mut self, name: &str) -> Result<()> {
        let child = match self.nodes.iter_mut().find(|node| node.name == name) {
            Some(node) => node.child.take(),
            None => self.worker_mut(name)?.child.take(),
        };
        if let Some(target) = self.world.targets.get_mut(name) {
            target.ended();
        }
        if let Some(mut child) = child {
            let how = child
                .kill()
                .map_or_else(|error| error.to_string(), |status| status.to_string());
            self.events.note(What::Ended {
                process: name.to_owned(),
                expected: true,
                how,
            });
        }
        Ok(())
    }

    /// Stops a node in order, and waits.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn stop_node(&mut self, name: &str, limit: Duration) -> Result<()> {
        let node = self.node_mut(name)?;
        let Some(mut child) = node.child.take() else {
            return Ok(());
        };
        let by_itself = block_in_place(|| child.terminate(limit))?;
        if let Some(target) = self.world.targets.get_mut(name) {
            target.ended();
        }
        let how = if by_itself {
            "stopped"
        } else {
            "did not stop when it was told to"
        };
        self.events.note(What::Ended {
            process: name.to_owned(),
            expected: by_itself,
            how: how.to_owned(),
        });
        Ok(())
    }

    /// Notes processes that ended by themselves.
    pub fn look(&mut self) {
        let mut ended: Vec<(String, bool, String)> = Vec::new();
        for node in &mut self.nodes {
            if let Some(status) = node.child.as_mut().and_then(reeve_testkit::Child::ended) {
                node.child = None;
                ended.push((node.name.clone(), node.may_end, status.to_string()));
            }
        }
        for worker in &mut self.workers {
            if let Some(status) = worker.child.as_mut().and_then(reeve_testkit::Child::ended) {
                worker.child = None;
                ended.push((worker.name.clone(), false, status.to_string()));
            }
        }
        for (process, expected, how) in ended {
            if let Some(target) = self.world.targets.get_mut(&process) {
                target.ended();
            }
            self.events.note(What::Ended {
                process,
                expected,
                how,
            });
        }
    }

    /// Copies what nodes have on disk beside the histories; nodes must have stopped.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn keep_data(&self) -> Result<()> {
        for node in self.nodes.iter().filter(|node| node.files.exists()) {
            let to = self.directory.join(&node.name);
            for part in ["log", "state"] {
                let from = node.files.join(part);
                if from.is_dir() {
                    copy(&from, &to.join(part))?;
                }
            }
        }
        Ok(())
    }
}

/// A folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}
