//! Every fault that can be injected.

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::net::NetFault;
use crate::sandbox::Need;

/// A fault. Targets are named as in the [`World`](super::World), hosts by their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Something with the network.
    Net(NetFault),
    /// SIGKILL. Loses nothing that was written: the page cache stays.
    Kill {
        /// Whose process.
        target: String,
    },
    /// SIGSTOP.
    Pause {
        /// Whose process.
        target: String,
    },
    /// A share of one core.
    Cpu {
        /// Whose process.
        target: String,
        /// Per cent of one core.
        percent: u32,
    },
    /// Little memory: the system kills the process when it wants more.
    Memory {
        /// Whose process.
        target: String,
        /// Bytes.
        bytes: u64,
    },
    /// The disk loses power, then the process is killed. Loses what was not synced.
    PowerCut {
        /// Whose.
        target: String,
    },
    /// No space on the disk.
    DiskFull {
        /// Whose.
        target: String,
    },
    /// The disk is slow.
    SlowDisk {
        /// Whose.
        target: String,
        /// How much it writes.
        bytes_per_second: u64,
    },
    /// fsync and its like fail, lie or are slow.
    Sync {
        /// Of whose files.
        target: String,
        /// What they do.
        #[serde(flatten)]
        how: disk::Sync,
    },
    /// Writes fail.
    Write {
        /// Of whose files.
        target: String,
        /// With what error.
        error: disk::WriteFault,
    },
    /// Bytes of files are changed. The process must have been stopped.
    Flip {
        /// Whose files.
        target: String,
        /// Only those whose names end so; "" is any.
        suffix: String,
        /// How many bytes.
        count: u32,
        /// Which ones.
        seed: u64,
    },
    /// The wall clock jumps.
    Clock {
        /// Of whose process.
        target: String,
        /// Away from the right time, milliseconds.
        offset_ms: i64,
    },
}

impl Fault {
    /// What it is called in the report.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Net(fault) => fault.label(),
            Self::Kill { .. } => "kill",
            Self::Pause { .. } => "pause",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::PowerCut { .. } => "power-cut",
            Self::DiskFull { .. } => "disk-full",
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
        }
    }

    /// What it cannot do without.
    pub fn needs(&self) -> &'static [Need] {
        use Need::{Cgroups, Faketime, Root, Sandbox, Tool};
        match self {
            Self::Net(NetFault::Reset { .. }) => &[Root, Sandbox, Tool("ip"), Tool("nsenter"), Tool("ss")],
            Self::Net(NetFault::Delay { .. }) => &[
                Root,
                Sandbox,
                Tool("ip"),
                Tool("nft"),
                Tool("nsenter"),
                Tool("iptables-restore"),
                Tool("sysctl"),
            ],
            Self::Net(_) => &[Root, Sandbox, Tool("ip"), Tool("nft"), Tool("nsenter")],
            Self::Kill { .. } | Self::Pause { .. } | Self::Flip { .. } => &[],
            Self::Cpu { .. } | Self::Memory { .. } => &[Root, Cgroups],
            Self::PowerCut { .. } | Self::DiskFull { .. } => {
                &[Root, Sandbox, Tool("mkfs.ext4"), Tool("mount"), Tool("losetup")]
            }
            Self::SlowDisk { .. } => &[Root, Sandbox, Cgroups, Tool("mkfs.ext4"), Tool("mount")],
            Self::Sync { .. } | Self::Write { .. } => &[Tool("cc")],
            Self::Clock { .. } => &[Faketime],
        }
    }

    /// Whom it hits; `None`: the network.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Net(_) => None,
            Self::Kill { target }
            | Self::Pause { target }
            | Self::Cpu { target, .. }
            | Self::Memory { target, .. }
            | Self::PowerCut { target }
            | Self::DiskFull { target }
            | Self::SlowDisk { target, .. }
            | Self::Sync { target, .. }
            | Self::Write { target, .. }
            | Self::Flip { target, .. }
            | Self::Clock { target, .. } => Some(target),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::net::Link;

    #[test]
    fn a_fault_is_a_value_that_can_be_stored() {
        let target = "n1".to_owned();
        let faults = [
            Fault::Net(NetFault::Cut {
                links: vec![Link::new(1, 2)],
            }),
            Fault::Kill {
                target: target.clone(),
            },
            Fault::Sync {
                target: target.clone(),
                how: disk::Sync::Delay { ms: 100 },
            },
            Fault::Write {
                target,
                error: disk::WriteFault::NoSpace,
            },
        ];
        let stored = serde_json::to_string(&faults).unwrap();
        let expected = concat!(
            r#"[{"fault":"net","net":"cut","links":[{"from":1,"to":2}]},{"fault":"kill","target":"n1"},"#,
            r#"{"fault":"sync","target":"n1","sync":"delay","ms":100},"#,
            r#"{"fault":"write","target":"n1","error":"no_space"}]"#
        );
        assert_eq!(stored, expected);
        assert_eq!(serde_json::from_str::<Vec<Fault>>(&stored).unwrap(), faults);
    }
}
