//! Injection into one target, and healing.

use anyhow::{Context, Result, anyhow, bail};

use super::{Fault, Proof, Target};
use crate::{disk, process};

/// A part that the target was not given: nothing was tried.
pub(super) type Missing = String;

impl Target {
    /// Injects a fault that is not of the network.
    pub(super) fn inject(&mut self, fault: &Fault) -> Result<Result<Proof>, Missing> {
        Ok(match fault {
            Fault::Kill { .. } => self.crash()?,
            Fault::Pause { .. } => process::pause(self.running()?),
            Fault::Cpu { percent, .. } => {
                let cgroup = part(&self.cgroup, "control group")?;
                let before = cgroup.throttled();
                let done = cgroup.limit_cpu(Some(*percent));
                self.mark(fault, before).and(done)
            }
            Fault::Memory { bytes, .. } => {
                let cgroup = part(&self.cgroup, "control group")?;
                let before = cgroup.memory_refused();
                let done = cgroup.limit_memory(Some(*bytes));
                self.mark(fault, before).and(done)
            }
            Fault::PowerCut { .. } => self.cut_power()?,
            Fault::DiskFull { .. } => part(&self.disk, "disk")?.fill(),
            Fault::SlowDisk { bytes_per_second, .. } => self.limit_disk(Some(*bytes_per_second))?,
            Fault::Sync { how, .. } => {
                let before = part(&self.shim, "shim")?.sync_hits();
                let done = self.set_shim(|shim| shim.set_sync(Some(*how)), "fsync faults ordered")?;
                self.mark(fault, before).and(done)
            }
            Fault::Write { error, .. } => {
                let before = part(&self.shim, "shim")?.write_hits();
                let done = self.set_shim(|shim| shim.set_write(Some(*error)), "write faults ordered")?;
                self.mark(fault, before).and(done)
            }
            Fault::Flip {
                suffix, count, seed, ..
            } => self.flip(suffix, *count, *seed)?,
            Fault::Clock { offset_ms, .. } => {
                part(&self.clock, "clock of its own")?.set(*offset_ms, self.pid)
            }
            Fault::Net(_) => Err(anyhow!("the network is no target")),
        })
    }

    /// Heals it. A process that a fault has ended must have been started again by its owner before a kill is healed,
    /// and only after a power cut is.
    pub(super) fn heal(&mut self, fault: &Fault) -> Result<Proof> {
        match fault {
            Fault::Kill { .. } => {
                let pid = self.pid.filter(|pid| process::lives(*pid));
                let pid = pid.context("the process was not started again")?;
                Ok(Proof::new(1, format!("process runs again ({pid})")))
            }
            Fault::Pause { .. } => process::resume(self.pid.context("it has no process")?),
            Fault::Cpu { .. } => {
                let cgroup = given(&self.cgroup)?;
                cgroup.limit_cpu(None)?;
                let total = cgroup.throttled()?;
                Ok(self.since(fault, total, "periods without CPU"))
            }
            Fault::Memory { .. } => {
                let cgroup = given(&self.cgroup)?;
                cgroup.limit_memory(None)?;
                let total = cgroup.memory_refused()?;
                Ok(self.since(fault, total, "requests for memory refused"))
            }
            Fault::PowerCut { .. } => given(&self.disk)?.restore_power(),
            Fault::DiskFull { .. } => given(&self.disk)?.empty(),
            Fault::SlowDisk { .. } => self.limit_disk(None).map_err(|missing| anyhow!(missing))?,
            Fault::Sync { .. } => {
                let shim = given(&self.shim)?;
                shim.set_sync(None)?;
                let total = shim.sync_hits()?;
                Ok(self.since(fault, total, "calls of fsync hit"))
            }
            Fault::Write { .. } => {
                let shim = given(&self.shim)?;
                shim.set_write(None)?;
                let total = shim.write_hits()?;
                Ok(self.since(fault, total, "writes hit"))
            }
            Fault::Flip { .. } => self.unflip(),
            Fault::Clock { .. } => given(&self.clock)?.set(0, self.pid),
            Fault::Net(_) => Err(anyhow!("the network is no target")),
        }
    }

    fn running(&self) -> Result<u32, Missing> {
        self.pid.ok_or_else(|| "it has no process".to_owned())
    }

    fn crash(&mut self) -> Result<Result<Proof>, Missing> {
        let done = process::crash(self.running()?);
        if done.is_ok() {
            self.pid = None;
        }
        Ok(done)
    }

    /// The process stands still before the disk goes, and dies after it: a dying process may still write, and one that
    /// runs may be told by an fsync under way that all is well, though the journal was aborted. When real power goes,
    /// nobody is told anything.
    fn cut_power(&mut self) -> Result<Result<Proof>, Missing> {
        let disk = part(&self.disk, "disk")?;
        let running = self.pid.filter(|pid| process::lives(*pid));
        let cut = running
            .map_or(Ok(()), process::freeze)
            .and_then(|()| disk.cut_power());
        if let Err(error) = cut {
            return Ok(Err(error));
        }
        if self.pid.is_some_and(process::lives)
            && let Err(error) = self.crash()?
        {
            return Ok(Err(error));
        }
        self.pid = None;
        Ok(part(&self.disk, "disk")?.is_dead())
    }

    fn limit_disk(&self, bytes_per_second: Option<u64>) -> Result<Result<Proof>, Missing> {
        let device = part(&self.disk, "disk")?.device();
        let cgroup = part(&self.cgroup, "control group")?;
        Ok(device.and_then(|device| cgroup.limit_writes(&device, bytes_per_second)))
    }

    fn set_shim(
        &self,
        order: impl FnOnce(&disk::Shim) -> Result<()>,
        what: &str,
    ) -> Result<Result<Proof>, Missing> {
        let shim = part(&self.shim, "shim")?;
        let done = shim.is_loaded().and_then(|()| order(shim));
        Ok(done.map(|()| Proof::new(1, format!("shim loaded, {what}"))))
    }

    fn flip(&mut self, suffix: &str, count: u32, seed: u64) -> Result<Result<Proof>, Missing> {
        if self.pid.is_some_and(process::lives) {
            return Err("it is running".to_owned());
        }
        Ok(disk::flip(&self.files, suffix, count, seed).map(|flips| {
            let proof = Proof::new(flips.len() as u64, "bytes read back changed".to_owned());
            self.flips.extend(flips);
            proof
        }))
    }

    fn unflip(&mut self) -> Result<Proof> {
        if self.pid.is_some_and(process::lives) {
            bail!("it is running");
        }
        let mut undone = 0;
        // A byte that was hit twice is right again only if the last change goes first.
        while let Some(flip) = self.flips.pop() {
            undone += u64::from(flip.undo()?);
        }
        Ok(Proof::new(undone, "bytes put back".to_owned()))
    }

    fn mark(&mut self, fault: &Fault, counted: Result<u64>) -> Result<()> {
        let counted = counted?;
        self.marks.push((fault.label(), counted));
        Ok(())
    }

    fn since(&mut self, fault: &Fault, total: u64, what: &str) -> Proof {
        let known = self.marks.iter().position(|(label, _)| *label == fault.label());
        let before = known.map_or(0, |position| self.marks.remove(position).1);
        Proof::new(total.saturating_sub(before), what.to_owned())
    }
}

fn part<'a, T>(part: &'a Option<T>, name: &str) -> Result<&'a T, Missing> {
    part.as_ref().ok_or_else(|| format!("it has no {name}"))
}

fn given<T>(part: &Option<T>) -> Result<&T> {
    part.as_ref().context("the part that was broken is gone")
}
