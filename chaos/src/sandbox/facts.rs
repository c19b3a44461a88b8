//! What this machine lets us do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tool;

/// Programs that faults are made with.
const TOOLS: [&str; 13] = [
    "cc",
    "ip",
    "iptables-restore",
    "losetup",
    "lsns",
    "mkfs.ext4",
    "mount",
    "nft",
    "nsenter",
    "ss",
    "sysctl",
    "umount",
    "unshare",
];
const CGROUPS: &str = "/sys/fs/cgroup";

/// Something that a fault cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The rights of root.
    Root,
    /// To run inside of the sandbox.
    Sandbox,
    /// A program.
    Tool(&'static str),
    /// libfaketime.
    Faketime,
    /// Control groups in which limits can be set.
    Cgroups,
}

/// Which control groups the system has. With both, the first version holds the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One tree for each controller.
    One,
    /// One tree.
    Two,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Facts {
    root: bool,
    sandbox: bool,
    tools: BTreeSet<&'static str>,
    /// The library that moves the clock.
    pub faketime: Option<PathBuf>,
    /// How limits are set.
    pub cgroups: Option<CgroupVersion>,
}

impl Facts {
    /// Looks around.
    pub fn gather() -> Self {
        Self {
            root: nix::unistd::geteuid().is_root(),
            sandbox: std::env::var(super::STAGE).is_ok_and(|stage| stage == super::INSIDE),
            tools: TOOLS
                .into_iter()
                .filter(|name| tool::find(name).is_some())
                .collect(),
            faketime: faketime(),
            cgroups: cgroups(Path::new(CGROUPS)),
        }
    }

    /// Says what is missing for this need; `None`: nothing.
    pub fn lacks(&self, need: Need) -> Option<String> {
        match need {
            Need::Root => (!self.root).then(|| "root is needed".to_owned()),
            Need::Sandbox => (!self.sandbox).then(|| "only in the sandbox".to_owned()),
            Need::Tool(name) => {
                (!self.tools.contains(name)).then(|| format!("{name} is not installed (ops/bootstrap chaos)"))
            }
            Need::Faketime => self
                .faketime
                .is_none()
                .then(|| "libfaketime is not installed (ops/bootstrap chaos)".to_owned()),
            Need::Cgroups => self
                .cgroups
                .is_none()
                .then(|| format!("no control groups with cpu and memory under {CGROUPS}")),
        }
    }

    /// Made up, for tests.
    #[cfg(test)]
    pub fn of(root: bool, sandbox: bool, tools: &[&'static str]) -> Self {
        Self {
            root,
            sandbox,
            tools: tools.iter().copied().collect(),
            faketime: None,
            cgroups: None,
        }
    }
}

/// Debian and others keep it under the name of the architecture.
fn faketime() -> Option<PathBuf> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib", "/usr/lib64", "/usr/local/lib"]
        .iter()
        .flat_map(|base| {
            let base = Path::new(base);
            [base.join(&triple).join("faketime"), base.join("faketime")]
        })
        .map(|directory| directory.join("libfaketimeMT.so.1"))
        .find(|library| library.is_file())
}

fn cgroups(base: &Path) -> Option<CgroupVersion> {
    if base.join("cpu").is_dir() && base.join("memory").is_dir() {
        return Some(CgroupVersion::One);
    }
    let controllers = std::fs::read_to_string(base.join("cgroup.controllers")).ok()?;
    let has = |name| {
        controllers
            .split_whitespace()
            .any(|controller| controller == name)
    };
    (has("cpu") && has("memory")).then_some(CgroupVersion::Two)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_need_that_is_not_met_is_named() {
        let facts = Facts::of(false, false, &["nft"]);
        assert_eq!(facts.lacks(Need::Tool("nft")), None);
        for need in [
            Need::Root,
            Need::Sandbox,
            Need::Tool("ss"),
            Need::Faketime,
            Need::Cgroups,
        ] {
            assert!(facts.lacks(need).is_some(), "{need:?}");
        }
    }

    #[test]
    fn the_version_of_control_groups_is_told_by_their_files() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(cgroups(base.path()), None);
        std::fs::write(base.path().join("cgroup.controllers"), "hugetlb\n").unwrap();
        assert_eq!(cgroups(base.path()), None);
        std::fs::write(base.path().join("cgroup.controllers"), "cpu io memory\n").unwrap();
        assert_eq!(cgroups(base.path()), Some(CgroupVersion::Two));
        for name in ["cpu", "memory"] {
            std::fs::create_dir(base.path().join(name)).unwrap();
        }
        assert_eq!(cgroups(base.path()), Some(CgroupVersion::One));
    }
}
