//! Does what the plan says, to the processes of the cluster.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reeve_testkit::{Cluster, WorkerProcess, until_some};
use tokio::time::{Instant, sleep, sleep_until};

use crate::event::{Events, What};
use crate::fault::{self, Healing, Injection, Proof};
use crate::history::{Done, History};
use crate::plan::{Fault, Step};

const LEADER: Duration = Duration::from_secs(30);
const CAUGHT_UP: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(30);

/// What the faults are done to.
pub struct Victims {
    /// The nodes.
    pub cluster: Cluster,
    /// The workers.
    pub workers: Vec<WorkerProcess>,
    /// Where what happens to them is written down.
    pub events: Events,
}

/// Workers that are down: when each is due to be started again. The cluster goes on meanwhile.
type Due = VecDeque<(Instant, usize)>;

impl Victims {
    /// Does every step of the plan, and brings everything back in the end.
    ///
    /// # Errors
    /// A process cannot be started, or the cluster does not recover from a fault.
    pub async fn suffer(&mut self, plan: &[Step], history: &History) -> Result<()> {
        let mut due = Due::new();
        for step in plan {
            sleep(Duration::from_millis(step.after_ms)).await;
            self.start_workers(&mut due, Instant::now())?;
            self.step(step.fault, &mut due, history).await?;
        }
        if let Some((last, _)) = due.back().copied() {
            sleep_until(last).await;
            self.start_workers(&mut due, last)?;
        }
        Ok(())
    }

    async fn step(&mut self, fault: Fault, due: &mut Due, history: &History) -> Result<()> {
        match fault {
            Fault::Leader { .. } => {
                let leader = self.leader().await?;
                self.kill_nodes(fault, &[leader], history).await
            }
            Fault::Follower { offset, .. } => {
                let nodes = self.cluster.nodes().len();
                let follower = (self.leader().await? + offset) % nodes;
                self.kill_nodes(fault, &[follower], history).await
            }
            Fault::AllNodes { .. } => {
                let all: Vec<usize> = (0..self.cluster.nodes().len()).collect();
                self.kill_nodes(fault, &all, history).await
            }
            Fault::Worker { worker, .. } => {
                let victim = self
                    .workers
                    .get_mut(worker)
                    .context("the plan names a worker that exists")?;
                if victim.runs() {
                    victim.kill();
                    killed(&self.events, victim.name());
                    due.push_back((Instant::now() + fault.down(), worker));
                    history.fault(Done {
                        at_us: history.now_us(),
                        fault,
                        target: victim.name().to_owned(),
                    });
                }
                Ok(())
            }
        }
    }

    async fn leader(&self) -> Result<usize> {
        until_some(LEADER, "a leader to kill", || self.cluster.leader()).await
    }

    /// Kills, starts again, and waits until those that were killed have what they missed.
    async fn kill_nodes(&mut self, fault: Fault, nodes: &[usize], history: &History) -> Result<()> {
        for node in nodes {
            self.cluster.kill(*node)?;
            killed(&self.events, &self.cluster.nodes()[*node].name);
        }
        let names = nodes.iter().map(|node| self.cluster.nodes()[*node].name.as_str());
        history.fault(Done {
            at_us: history.now_us(),
            fault,
            target: names.collect::<Vec<_>>().join(" "),
        });
        sleep(fault.down()).await;
        for node in nodes {
            self.cluster.start_node(*node)?;
            let pid = self.cluster.pid(*node).unwrap_or(0);
            back(&self.events, &self.cluster.nodes()[*node].name, pid);
        }
        for node in nodes {
            self.cluster.caught_up(*node, CAUGHT_UP).await?;
        }
        Ok(())
    }

    fn start_workers(&mut self, due: &mut Due, now: Instant) -> Result<()> {
        let mut later = Due::new();
        while let Some((at, worker)) = due.pop_front() {
            if at <= now {
                let worker = &mut self.workers[worker];
                worker.start()?;
                back(&self.events, worker.name(), worker.pid().unwrap_or(0));
            } else {
                later.push_back((at, worker));
            }
        }
        later.make_contiguous().sort();
        *due = later;
        Ok(())
    }

    /// The nodes, to read from.
    pub fn peers(&self) -> Vec<crate::finals::Peer> {
        let nodes = self.cluster.nodes().iter().enumerate();
        nodes
            .map(|(position, node)| (node.name.clone(), self.cluster.channel(position)))
            .collect()
    }

    /// Processes that ended although nobody killed them.
    pub fn unexpected_ends(&mut self) -> Vec<String> {
        let mut ends = self.cluster.unexpected_ends();
        ends.extend(self.workers.iter_mut().filter_map(WorkerProcess::unexpected_end));
        ends
    }

    /// Stops every node in order, so that what it has in memory is on disk, and waits until it is gone.
    ///
    /// # Errors
    /// A node cannot be told, or does not stop.
    pub async fn stop_nodes(&mut self) -> Result<()> {
        let count = self.cluster.nodes().len();
        for node in 0..count {
            let pid = self.cluster.pid(node).context("every node runs in the end")?;
            let pid = Pid::from_raw(i32::try_from(pid)?);
            kill(pid, Signal::SIGTERM).context("a node cannot be told to stop")?;
        }
        let limit = Instant::now() + STOPPED;
        while self.cluster.unexpected_ends().len() < count {
            if Instant::now() >= limit {
                bail!("a node does not stop");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Writes down who runs.
    pub fn note_starts(&self) {
        for (position, node) in self.cluster.nodes().iter().enumerate() {
            started(&self.events, &node.name, self.cluster.pid(position).unwrap_or(0));
        }
        for worker in &self.workers {
            started(&self.events, worker.name(), worker.pid().unwrap_or(0));
        }
    }

    /// Writes down who ended although nobody killed it.
    pub fn note_unexpected_ends(&mut self) {
        for how in self.unexpected_ends() {
            let process = how.split_whitespace().next().unwrap_or_default().to_owned();
            self.events.note(What::Ended {
                process,
                expected: false,
                how,
            });
        }
    }
}

/// Faults are numbered by whom they hit: one at a time.
fn number(process: &str) -> u32 {
    process.bytes().map(u32::from).sum()
}

fn killed(events: &Events, process: &str) {
    events.note(What::Injected {
        number: number(process),
        fault: fault::Fault::Kill {
            target: process.to_owned(),
        },
        result: Injection::Installed(Proof::new(1, "process gone".to_owned())),
    });
    events.note(What::Ended {
        process: process.to_owned(),
        expected: true,
        how: "killed".to_owned(),
    });
}

fn started(events: &Events, process: &str, pid: u32) {
    events.note(What::Started {
        process: process.to_owned(),
        pid,
    });
}

fn back(events: &Events, process: &str, pid: u32) {
    started(events, process, pid);
    events.note(What::Healed {
        number: number(process),
        result: Healing::Healed(Proof::new(1, "process runs again".to_owned())),
    });
}
