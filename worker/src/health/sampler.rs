//! One look at the host and at the cgroups around this process.

use std::collections::VecDeque;
use std::fs::read_to_string;
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use reeve_proto::v1::HealthReport;
use sysinfo::System;
use tracing::warn;

use super::cgroup::hierarchy;
use super::cpu::{self, Meter, Quota};
use super::memory::{self, Level, Memory};
use super::{Allowance, disk, rounded};

/// CPU use is the mean of so many samples, a minute's by default: a short peak is no health problem.
const CPU_SAMPLES: usize = 12;

/// Remembers what the next look is compared with.
pub struct Sampler {
    system: System,
    disk_path: PathBuf,
    /// The last figure, for when the path cannot be looked at.
    disk_percent: u32,
    /// That it cannot was told.
    disk_told: bool,
    meter: Meter,
    cpu: VecDeque<f64>,
}

impl Sampler {
    /// The first look, to compare the next with.
    pub fn new(disk_path: PathBuf) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        let mut sampler = Self {
            system,
            disk_path,
            disk_percent: 0,
            disk_told: false,
            meter: Meter::default(),
            cpu: VecDeque::new(),
        };
        // There is nothing to compare with yet.
        let _ = sampler.of_quota(&quotas());
        sampler
    }

    /// Looks again.
    pub fn sample(&mut self) -> HealthReport {
        self.system.refresh_cpu_usage();
        let of_host = f64::from(self.system.global_cpu_usage());
        let percent = self.of_quota(&quotas()).unwrap_or(of_host);
        if self.cpu.len() == CPU_SAMPLES {
            self.cpu.pop_front();
        }
        self.cpu.push_back(percent);
        HealthReport {
            cpu_percent: rounded(self.cpu.iter().sum::<f64>() / self.cpu.len() as f64),
            memory_percent: self.memory().used_percent,
            disk_percent: self.disk(),
        }
    }

    /// What this process may use.
    pub fn allowance(&mut self) -> Allowance {
        Allowance {
            cores: cpu::allowance(&quotas(), self.processors()),
            memory_bytes: self.memory().allowance_bytes,
        }
    }

    fn of_quota(&mut self, quotas: &[Quota]) -> Option<f64> {
        let processors = self.processors();
        self.meter
            .used_percent(quotas, processors, own_us(), Instant::now())
    }

    /// Those that a cpuset leaves to us.
    fn processors(&self) -> u32 {
        let of_host = u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX).max(1);
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        cpu::allowed_processors(&status).map_or(of_host, |allowed| allowed.clamp(1, of_host))
    }

    fn memory(&mut self) -> Memory {
        self.system.refresh_memory();
        let host = Level {
            limit_bytes: self.system.total_memory(),
            used_bytes: self
                .system
                .total_memory()
                .saturating_sub(self.system.available_memory()),
        };
        let (cgroup, mountinfo) = surroundings();
        let levels =
            hierarchy(&cgroup, &mountinfo, "memory").map_or_else(Vec::new, |tree| memory::read(&tree));
        memory::judge(&levels, host)
    }

    fn disk(&mut self) -> u32 {
        match disk::read(&self.disk_path) {
            Ok(percent) => {
                self.disk_percent = percent;
                self.disk_told = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.disk_told, true) {
                    warn!(path = %self.disk_path.display(), %error, "cannot tell how full the disk is; the last figure stands");
                }
            }
        }
        self.disk_percent
    }
}

/// Read anew each time: a process can be moved, and limits change while it runs.
fn surroundings() -> (String, String) {
    let read = |path| read_to_string(path).unwrap_or_default();
    (read("/proc/self/cgroup"), read("/proc/self/mountinfo"))
}

fn quotas() -> Vec<Quota> {
    let (cgroup, mountinfo) = surroundings();
    let accounting = hierarchy(&cgroup, &mountinfo, "cpuacct");
    hierarchy(&cgroup, &mountinfo, "cpu").map_or_else(Vec::new, |tree| cpu::read(&tree, accounting.as_ref()))
}

/// Processor time that this process has used, in microseconds.
fn own_us() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let (user, system) = (usage.user_time(), usage.system_time());
        let seconds = user.tv_sec().saturating_add(system.tv_sec());
        let micros = user.tv_usec().saturating_add(system.tv_usec());
        u64::try_from(seconds.saturating_mul(1_000_000).saturating_add(micros)).unwrap_or(0)
    })
}
