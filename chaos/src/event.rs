//! What the harness did and saw, in the order of time: `events.jsonl` in the directory of a scenario. Checkers and the report read it;
//! nothing else of a scenario that is over is needed but the files beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Healing, Injection};
use crate::time;

/// The file.
pub const FILE: &str = "events.jsonl";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, microseconds of [`time`].
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Processes have names: `n1` is a node, `w1` a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The scenario goes on to this.
    Phase {
        /// What begins.
        phase: Phase,
    },
    /// A fault was injected.
    Injected {
        /// Counted from 0 in the scenario.
        number: u32,
        /// What was injected; who led at that moment has become a name.
        fault: Fault,
        /// What became of it.
        result: Injection,
    },
    /// A fault was healed.
    Healed {
        /// Which.
        number: u32,
        /// What became of it.
        result: Healing,
    },
    /// Something was asked of the cluster that is no fault: a change of its members, a handover of leadership, a restart.
    Administered {
        /// What.
        what: String,
        /// Why it failed; "" if it did not.
        error: String,
    },
    /// A process was started.
    Started {
        /// Its name.
        process: String,
        /// Its id.
        pid: u32,
    },
    /// A process ended.
    Ended {
        /// Its name.
        process: String,
        /// The harness ended it, or did what makes it end.
        expected: bool,
        /// Its exit status.
        how: String,
    },
    /// What a node says of itself, whenever it changed.
    Seen {
        /// Its name.
        node: String,
        /// Its term.
        term: u64,
        /// The node that leads, as it sees it; 0: none.
        leader: u64,
        /// The entry up to which it has applied.
        applied: u64,
        /// Its sessions with workers.
        sessions: u64,
        /// Its process, as it says: another one has a position of its own.
        #[serde(default)]
        pid: u64,
    },
    /// A node watches a worker, and told of its status.
    WorkerSeen {
        /// The node that told it.
        node: String,
        /// The worker's name.
        worker: String,
        /// Its status, as in the protocol.
        status: String,
        /// The revision of the worker.
        revision: u64,
    },
    /// The same for a run.
    RunSeen {
        /// The node that told it.
        node: String,
        /// Its id.
        run: String,
        /// Its status, as in the protocol.
        status: String,
        /// The revision of the run.
        revision: u64,
    },
    /// The watch of a node began, or began anew: what it tells from now on may repeat what it told.
    Watching {
        /// The node.
        node: String,
    },
    /// A node told its watcher that it took the whole state from another one.
    StateReplaced {
        /// The node.
        node: String,
    },
    /// What a process uses.
    Used {
        /// Its name.
        process: String,
        /// Memory, KiB.
        rss_kib: u64,
        /// Open files.
        files: u64,
        /// Its data directory, KiB; 0 for workers.
        disk_kib: u64,
    },
    /// Something that the system must do under a fault, and whether it did.
    Expected {
        /// What.
        rule: String,
        /// It did.
        met: bool,
        /// What was seen.
        seen: String,
    },
    /// The cluster was found to serve again.
    Serves {
        /// What was asked of it.
        what: String,
        /// How long after the last fault was healed, or after the one that stays was injected, milliseconds.
        after_ms: u64,
    },
}

/// What a scenario goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Load alone.
    WarmUp,
    /// Load and faults.
    Faults,
    /// Everything is healed; the cluster must serve again.
    Recovery,
    /// One fault of a minority stays for ever; the cluster must serve all the same.
    Minority,
    /// Runs end, every node is read.
    Final,
}

/// Writes the file; cheap to clone. It also knows which processes run, from what it writes.
#[derive(Clone, Debug)]
pub struct Events(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// Ids by name.
    running: BTreeMap<String, u32>,
}

impl Events {
    /// Begins the file in a directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(Self(Arc::new(Mutex::new(Inner {
            file,
            running: BTreeMap::new(),
        }))))
    }

    /// It happened now.
    pub fn note(&self, what: What) {
        let mut inner = self.lock();
        if let What::Started { process, pid } = &what {
            inner.running.insert(process.clone(), *pid);
        }
        if let What::Ended { process, .. } = &what {
            inner.running.remove(process);
        }
        // Under the lock, so that lines are in the order of their times.
        let at = time::now_us();
        if let Ok(line) = serde_json::to_string(&Event { at, what }) {
            // A line that is missing is found when the file is judged: no fault without its end, no node without its samples.
            let _ = writeln!(inner.file, "{line}");
        }
    }

    /// Processes that were started and did not end, by name and id.
    pub fn running(&self) -> BTreeMap<String, u32> {
        self.lock().running.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a scenario.
///
/// # Errors
/// There are none, or a line makes no sense.
pub fn load(directory: &Path) -> Result<Vec<Event>> {
    let path = directory.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = (1..).zip(text.lines());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{number}", path.display()))
        })
        .collect()
}
