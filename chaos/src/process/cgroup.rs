//! Limits on what a process may use. The files differ between the two versions of control groups, the ideas do not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::fault::Proof;
use crate::sandbox::{self, CgroupVersion};

const BASE: &str = "/sys/fs/cgroup";
/// Groups of ours begin so; the name of the sandbox follows.
const PREFIX: &str = "reeve-chaos.";
/// Of the version one, each a tree of its own.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "blkio"];
const PERIOD_US: u64 = 100_000;
/// What version one takes for no limit.
const NO_LIMIT: &str = "-1";

/// A group with one process, or none. Put the process into it when it starts: memory that it had before does not count.
#[derive(Debug)]
pub struct Cgroup {
    version: CgroupVersion,
    name: String,
}

/// A file of the group, and what is written there.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    controller: &'static str,
    file: &'static str,
    value: String,
}

impl Cgroup {
    /// A group of this name.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn create(version: CgroupVersion, name: &str) -> Result<Self> {
        let group = Self {
            version,
            name: format!("{PREFIX}{}/{name}", sandbox::token()),
        };
        group.make()?;
        Ok(group)
    }

    /// Puts a process in, instead of the one that was there.
    ///
    /// # Errors
    /// It is gone, or the system does not let us.
    pub fn hold(&self, pid: u32) -> Result<()> {
        // Another harness may have swept it while it was empty.
        self.make()?;
        for directory in self.directories() {
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// It gets this much of one core, per cent; `None`: all.
    ///
    /// # Errors
    /// The limit does not read back.
    pub fn limit_cpu(&self, percent: Option<u32>) -> Result<Proof> {
        self.set(&cpu(self.version, percent))?;
        Ok(Proof::new(1, "CPU quota read back".to_owned()))
    }

    /// It gets this much memory, bytes; `None`: all.
    ///
    /// # Errors
    /// The limit does not read back: it uses more, and cannot be shrunk.
    pub fn limit_memory(&self, bytes: Option<u64>) -> Result<Proof> {
        self.set(&memory(self.version, bytes))?;
        Ok(Proof::new(1, "memory limit read back".to_owned()))
    }

    /// It writes this much a second to a device ("7:0"); `None`: without limit.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn limit_writes(&self, device: &str, bytes_per_second: Option<u64>) -> Result<Proof> {
        let setting = writes(self.version, device, bytes_per_second);
        write(&self.path(&setting), &setting.value)?;
        let listed = self.read(setting.controller, setting.file)?;
        let limit = bytes_per_second.map_or_else(String::new, |limit| limit.to_string());
        if bytes_per_second.is_some() != (listed.contains(device) && listed.contains(&limit)) {
            bail!("{} reads {listed:?}", self.path(&setting).display());
        }
        Ok(Proof::new(1, "write limit read back".to_owned()))
    }

    /// How many periods it was denied the CPU in.
    ///
    /// # Errors
    /// The system does not say.
    pub fn throttled(&self) -> Result<u64> {
        number(&self.read("cpu", "cpu.stat")?, "nr_throttled")
    }

    /// How often it was refused memory, or killed for it.
    ///
    /// # Errors
    /// The system does not say.
    pub fn memory_refused(&self) -> Result<u64> {
        match self.version {
            CgroupVersion::One => Ok(self.read("memory", "memory.failcnt")?.trim().parse()?),
            CgroupVersion::Two => number(&self.read("memory", "memory.events")?, "max"),
        }
    }

    /// How much memory it has, bytes, in whole pages.
    ///
    /// # Errors
    /// The system does not say.
    pub fn memory_used(&self) -> Result<u64> {
        let file = match self.version {
            CgroupVersion::One => "memory.usage_in_bytes",
            CgroupVersion::Two => "memory.current",
        };
        Ok(self.read("memory", file)?.trim().parse()?)
    }

    /// Writes it, and reads it back.
    fn set(&self, setting: &Setting) -> Result<()> {
        let path = self.path(setting);
        write(&path, &setting.value)?;
        let read = self.read(setting.controller, setting.file)?;
        // "No limit" reads as a large number in version one.
        if read.trim() != setting.value && setting.value != NO_LIMIT {
            bail!(
                "{} reads {:?}, not {:?}",
                path.display(),
                read.trim(),
                setting.value
            );
        }
        Ok(())
    }

    fn read(&self, controller: &str, file: &str) -> Result<String> {
        let path = self.directory(controller).join(file);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    fn path(&self, setting: &Setting) -> PathBuf {
        self.directory(setting.controller).join(setting.file)
    }

    fn directory(&self, controller: &str) -> PathBuf {
        match self.version {
            CgroupVersion::One => Path::new(BASE).join(controller).join(&self.name),
            CgroupVersion::Two => Path::new(BASE).join(&self.name),
        }
    }

    fn directories(&self) -> Vec<PathBuf> {
        match self.version {
            CgroupVersion::One => CONTROLLERS.map(|controller| self.directory(controller)).into(),
            CgroupVersion::Two => vec![self.directory("")],
        }
    }

    fn make(&self) -> Result<()> {
        for directory in self.directories() {
            std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
        if self.version == CgroupVersion::Two {
            // From the top: each level hands its controllers to the next.
            for parent in [Path::new(BASE), &Path::new(BASE).join(harness(&self.name))] {
                write(&parent.join("cgroup.subtree_control"), "+cpu +memory +io")?;
            }
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What cannot be removed yet, the next harness sweeps.
        for directory in self.directories() {
            let _ = std::fs::remove_dir(&directory);
            let _ = directory.parent().map(std::fs::remove_dir);
        }
    }
}

/// The part of a name that all groups of one harness share.
fn harness(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn cpu(version: CgroupVersion, percent: Option<u32>) -> Setting {
    let quota = percent.map(|percent| PERIOD_US * u64::from(percent) / 100);
    let (file, value) = match version {
        CgroupVersion::One => ("cpu.cfs_quota_us", quota.map(|quota| quota.to_string())),
        CgroupVersion::Two => ("cpu.max", Some(v2_cpu(quota))),
    };
    Setting {
        controller: "cpu",
        file,
        value: value.unwrap_or_else(|| NO_LIMIT.to_owned()),
    }
}

fn v2_cpu(quota: Option<u64>) -> String {
    let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
    format!("{quota} {PERIOD_US}")
}

fn memory(version: CgroupVersion, bytes: Option<u64>) -> Setting {
    let (file, none) = match version {
        CgroupVersion::One => ("memory.limit_in_bytes", NO_LIMIT),
        CgroupVersion::Two => ("memory.max", "max"),
    };
    Setting {
        controller: "memory",
        file,
        value: bytes.map_or_else(|| none.to_owned(), |bytes| bytes.to_string()),
    }
}

fn writes(version: CgroupVersion, device: &str, limit: Option<u64>) -> Setting {
    let (file, value) = match version {
        CgroupVersion::One => (
            "blkio.throttle.write_bps_device",
            format!("{device} {}", limit.unwrap_or(0)),
        ),
        CgroupVersion::Two => {
            let limit = limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string());
            ("io.max", format!("{device} wbps={limit}"))
        }
    };
    Setting {
        controller: "blkio",
        file,
        value,
    }
}

/// The number behind a name, one pair a line.
fn number(text: &str, name: &str) -> Result<u64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    let found = pairs.find(|(key, _)| *key == name);
    let (_, value) = found.with_context(|| format!("no {name} in {text:?}"))?;
    Ok(value.trim().parse()?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{text:?} to {}", path.display()))
}

/// Removes groups that a killed harness left. Nothing else can clear them, and they hold nothing.
pub fn sweep() {
    let trees =
        std::iter::once(PathBuf::from(BASE)).chain(CONTROLLERS.map(|name| Path::new(BASE).join(name)));
    let groups = trees.flat_map(|tree| std::fs::read_dir(tree).into_iter().flatten().flatten());
    for group in groups.filter(|group| group.file_name().to_string_lossy().starts_with(PREFIX)) {
        let children = std::fs::read_dir(group.path()).into_iter().flatten().flatten();
        for child in children.filter(|child| child.path().is_dir()) {
            // One with a process in it stays, as it should.
            let _ = std::fs::remove_dir(child.path());
        }
        let _ = std::fs::remove_dir(group.path());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(setting: &Setting) -> String {
        format!("{}={}", setting.file, setting.value)
    }

    #[test]
    fn both_versions_have_each_limit_and_its_absence() {
        use CgroupVersion::{One, Two};
        let settings = [
            (cpu(One, Some(10)), "cpu.cfs_quota_us=10000"),
            (cpu(One, None), "cpu.cfs_quota_us=-1"),
            (cpu(Two, Some(10)), "cpu.max=10000 100000"),
            (cpu(Two, None), "cpu.max=max 100000"),
            (memory(One, Some(4096)), "memory.limit_in_bytes=4096"),
            (memory(One, None), "memory.limit_in_bytes=-1"),
            (memory(Two, Some(4096)), "memory.max=4096"),
            (memory(Two, None), "memory.max=max"),
            (
                writes(One, "7:0", Some(9)),
                "blkio.throttle.write_bps_device=7:0 9",
            ),
            (writes(One, "7:0", None), "blkio.throttle.write_bps_device=7:0 0"),
            (writes(Two, "7:0", Some(9)), "io.max=7:0 wbps=9"),
            (writes(Two, "7:0", None), "io.max=7:0 wbps=max"),
        ];
        for (setting, expected) in settings {
            assert_eq!(shown(&setting), expected);
        }
    }

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let text = "nr_periods 40\nnr_throttled 37\n";
        assert_eq!(number(text, "nr_throttled").unwrap(), 37);
        assert!(number(text, "throttled").is_err());
    }
}
