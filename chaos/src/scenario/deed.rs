//! What is done to a cluster, as values: a plan is a list of them, drawn from a seed before anything runs. Who leads at that
//! moment is not known then; when a step is played, roles become names, and the plan that was played can be played again.

use serde::{Deserialize, Serialize};

use crate::disk;

/// Whom a deed is done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Who {
    /// The node that leads.
    Leader,
    /// One of the others.
    Follower {
        /// Which, counted from the leader.
        offset: usize,
    },
    /// The leader and as many others as make a majority.
    Majority,
    /// Every node.
    AllNodes,
    /// A worker.
    Worker {
        /// Which, from 0.
        index: usize,
    },
    /// These nodes or workers. Roles become this.
    Named {
        /// Their names.
        names: Vec<String>,
    },
}

/// Which nodes a worker does not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreached {
    /// The one that leads.
    Leader,
    /// All but the one that leads.
    Followers,
    /// All.
    All,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// SIGKILL; started again at the end.
    Kill(Who),
    /// SIGSTOP, then SIGCONT.
    Pause(Who),
    /// The disk loses what was not synced, the process dies; both come back at the end.
    PowerCut(Who),
    /// It gets a share of one processor.
    Cpu {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// Of one processor.
        percent: u32,
    },
    /// It gets so much more memory than it has, and is killed for more.
    Memory {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// More than it has.
        mib: u64,
    },
    /// Its disk is full.
    DiskFull(Who),
    /// Its disk writes so fast.
    SlowDisk {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// At most.
        kib_per_s: u64,
    },
    /// Its fsync does this.
    Sync {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// What.
        #[serde(flatten)]
        how: disk::Sync,
    },
    /// Its writes fail.
    Write {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// With what.
        error: disk::WriteFault,
    },
    /// Killed, bytes of its files changed, started; at the end killed, put right, started.
    Flip {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// Only files whose names end so; "" is any.
        suffix: String,
        /// Bytes.
        count: u32,
        /// Which.
        seed: u64,
    },
    /// Its wall clock jumps, and jumps back.
    Clock {
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// By so much.
        offset_ms: i64,
    },
    /// Nodes are cut from the other nodes, both ways. Clients and workers reach all.
    Isolate(Who),
    /// Nodes send to the other nodes and hear nothing.
    Deaf(Who),
    /// Nodes hear the other nodes and are not heard.
    Mute(Who),
    /// The other nodes are two halves that see each other only through these.
    Bridge(Who),
    /// Every node reaches only the two beside it.
    Ring,
    /// The cable is out: nobody reaches them.
    Unplug(Who),
    /// Packets between nodes are lost.
    Loss {
        /// Of a thousand.
        permille: u16,
    },
    /// Packets between nodes come twice.
    Duplicate {
        /// Of a thousand.
        permille: u16,
    },
    /// Packets between nodes, and from clients, are late.
    Delay {
        /// All of them.
        base_ms: u32,
        /// And up to so much more.
        jitter_ms: u32,
        /// They keep their order.
        in_order: bool,
    },
    /// Every TCP connection is reset.
    Reset(Who),
    /// A worker does not reach some nodes.
    CutWorker {
        /// Which worker, from 0.
        index: usize,
        /// Which nodes.
        unreached: Unreached,
    },
    /// Leadership is handed to this node.
    Lead(Who),
    /// A node that was not there before joins.
    Add,
    /// A node leaves for good.
    Remove(Who),
    /// SIGTERM and started again; one after the other.
    Restart(Who),
    /// As restart, with the other program: the scenario began with an older one.
    Upgrade(Who),
}

impl Deed {
    /// What the report calls it: the label of the fault, where it is one.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::PowerCut(_) => "power-cut",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::DiskFull(_) => "disk-full",
            Self::SlowDisk { .. } => "slow-disk",
            Self::Sync { how, .. } => match how {
                disk::Sync::Fail => "fsync-fails",
                disk::Sync::Lie => "fsync-lies",
                disk::Sync::Delay { .. } => "fsync-slow",
            },
            Self::Write { error, .. } => match error {
                disk::WriteFault::NoSpace => "write-enospc",
                disk::WriteFault::Io => "write-eio",
            },
            Self::Flip { .. } => "byte-flip",
            Self::Clock { .. } => "clock-jump",
            Self::Isolate(_)
            | Self::Deaf(_)
            | Self::Mute(_)
            | Self::Bridge(_)
            | Self::Ring
            | Self::CutWorker { .. } => "cut",
            Self::Unplug(_) => "link-down",
            Self::Loss { .. } => "loss",
            Self::Duplicate { .. } => "duplicate",
            Self::Delay { .. } => "delay",
            Self::Reset(_) => "reset",
            Self::Lead(_) => "transfer-leader",
            Self::Add => "add-node",
            Self::Remove(_) => "remove-node",
            Self::Restart(_) => "restart",
            Self::Upgrade(_) => "upgrade",
        }
    }

    /// Whether it breaks something; the rest is asked of the cluster.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Lead(_) | Self::Add | Self::Remove(_) | Self::Restart(_) | Self::Upgrade(_) => false,
            Self::Kill(_)
            | Self::Pause(_)
            | Self::PowerCut(_)
            | Self::Cpu { .. }
            | Self::Memory { .. }
            | Self::DiskFull(_)
            | Self::SlowDisk { .. }
            | Self::Sync { .. }
            | Self::Write { .. }
            | Self::Flip { .. }
            | Self::Clock { .. }
            | Self::Isolate(_)
            | Self::Deaf(_)
            | Self::Mute(_)
            | Self::Bridge(_)
            | Self::Ring
            | Self::Unplug(_)
            | Self::Loss { .. }
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::Reset(_)
            | Self::CutWorker { .. } => true,
        }
    }

    /// Whom it is done to, where that is a role.
    pub fn who_mut(&mut self) -> Option<&mut Who> {
        match self {
            Self::Kill(who)
            | Self::Pause(who)
            | Self::PowerCut(who)
            | Self::Cpu { who, .. }
            | Self::Memory { who, .. }
            | Self::DiskFull(who)
            | Self::SlowDisk { who, .. }
            | Self::Sync { who, .. }
            | Self::Write { who, .. }
            | Self::Flip { who, .. }
            | Self::Clock { who, .. }
            | Self::Isolate(who)
            | Self::Deaf(who)
            | Self::Mute(who)
            | Self::Bridge(who)
            | Self::Unplug(who)
            | Self::Reset(who)
            | Self::Remove(who)
            | Self::Lead(who)
            | Self::Restart(who)
            | Self::Upgrade(who) => Some(who),
            Self::Ring
            | Self::Loss { .. }
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::CutWorker { .. }
            | Self::Add => None,
        }
    }

    /// Whether it needs a network of its own, disks or limits, which only root has. Proxies stand in for the rest.
    pub fn needs_root(&self) -> bool {
        match self {
            Self::PowerCut(_)
            | Self::Cpu { .. }
            | Self::Memory { .. }
            | Self::DiskFull(_)
            | Self::SlowDisk { .. }
            | Self::Bridge(_)
            | Self::Ring
            | Self::Loss { .. }
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::CutWorker { .. } => true,
            Self::Kill(_)
            | Self::Pause(_)
            | Self::Sync { .. }
            | Self::Write { .. }
            | Self::Flip { .. }
            | Self::Clock { .. }
            | Self::Isolate(_)
            | Self::Deaf(_)
            | Self::Mute(_)
            | Self::Unplug(_)
            | Self::Reset(_)
            | Self::Lead(_)
            | Self::Add
            | Self::Remove(_)
            | Self::Restart(_)
            | Self::Upgrade(_) => false,
        }
    }

    /// Whether a node that suffers it may end by itself, and is right to.
    pub fn may_end(&self) -> bool {
        match self {
            Self::Memory { .. } | Self::DiskFull(_) | Self::Write { .. } | Self::Flip { .. } => true,
            Self::Sync { how, .. } => match how {
                disk::Sync::Fail => true,
                disk::Sync::Lie | disk::Sync::Delay { .. } => false,
            },
            Self::Kill(_)
            | Self::Pause(_)
            | Self::PowerCut(_)
            | Self::Cpu { .. }
            | Self::SlowDisk { .. }
            | Self::Clock { .. }
            | Self::Isolate(_)
            | Self::Deaf(_)
            | Self::Mute(_)
            | Self::Bridge(_)
            | Self::Ring
            | Self::Unplug(_)
            | Self::Loss { .. }
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::Reset(_)
            | Self::CutWorker { .. }
            | Self::Lead(_)
            | Self::Add
            | Self::Remove(_)
            | Self::Restart(_)
            | Self::Upgrade(_) => false,
        }
    }
}

/// One deed at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// After the faults began, milliseconds.
    pub at_ms: u64,
    /// How long it lasts, milliseconds.
    pub for_ms: u64,
    /// What is done.
    #[serde(flatten)]
    pub deed: Deed,
}

impl Step {
    /// When it is over.
    pub fn end_ms(&self) -> u64 {
        self.at_ms + self.for_ms
    }
}
