//! How busy the host or container is (R53, R59, R60). Sampled in the background, so that a slow disk never delays a
//! heartbeat.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use reeve_proto::v1::HealthReport;
use sysinfo::{Disks, MINIMUM_CPU_UPDATE_INTERVAL, System};
use tokio::sync::watch;
use tokio::task::AbortHandle;

const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// CPU use is the mean of so many samples, a minute's: a short peak is no health problem.
const CPU_SAMPLES: usize = 12;

/// The latest sample.
#[derive(Debug)]
pub struct HealthProbe {
    latest: watch::Receiver<HealthReport>,
    task: AbortHandle,
}

impl HealthProbe {
    /// Takes the first sample, then goes on in the background. The first takes a fifth of a second: CPU use is the
    /// difference of two looks.
    pub async fn start() -> Self {
        let mut sampler = Sampler::new();
        tokio::time::sleep(MINIMUM_CPU_UPDATE_INTERVAL).await;
        let (sender, latest) = watch::channel(sampler.sample());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SAMPLE_EVERY).await;
                let sampled = tokio::task::spawn_blocking(move || {
                    let report = sampler.sample();
                    (sampler, report)
                });
                // The blocking task neither panics nor is cancelled but when the runtime ends.
                let Ok((returned, report)) = sampled.await else {
                    return;
                };
                sampler = returned;
                sender.send_replace(report);
            }
        });
        Self {
            latest,
            task: task.abort_handle(),
        }
    }

    /// The latest report.
    pub fn latest(&self) -> HealthReport {
        *self.latest.borrow()
    }
}

impl Drop for HealthProbe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sampler {
    system: System,
    disks: Disks,
    cpu: VecDeque<f64>,
}

impl Sampler {
    fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self {
            system,
            disks: Disks::new_with_refreshed_list(),
            cpu: VecDeque::new(),
        }
    }

    fn sample(&mut self) -> HealthReport {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
        HealthReport {
            cpu_percent: self.cpu(),
            memory_percent: self.memory(),
            disk_percent: self.disk(),
        }
    }

    fn cpu(&mut self) -> u32 {
        if self.cpu.len() == CPU_SAMPLES {
            self.cpu.pop_front();
        }
        self.cpu.push_back(f64::from(self.system.global_cpu_usage()));
        rounded(self.cpu.iter().sum::<f64>() / self.cpu.len() as f64)
    }

    /// Of the container's allowance if there is one, else of the host.
    fn memory(&self) -> u32 {
        let host = (self.system.total_memory(), self.system.available_memory());
        let limits = self
            .system
            .cgroup_limits()
            .filter(|limits| limits.total_memory < host.0);
        let (total, free) = limits.map_or(host, |limits| (limits.total_memory, limits.free_memory));
        used_percent(total, free)
    }

    /// Of the file system of `/`; where that is not a disk (containers), the fullest one.
    fn disk(&self) -> u32 {
        let used = |disk: &sysinfo::Disk| used_percent(disk.total_space(), disk.available_space());
        let root = self
            .disks
            .iter()
            .find(|disk| disk.mount_point() == Path::new("/"));
        root.map(used)
            .or_else(|| self.disks.iter().map(used).max())
            .unwrap_or(0)
    }
}

fn used_percent(total: u64, free: u64) -> u32 {
    if total == 0 {
        return 0;
    }
    let used = u128::from(total.saturating_sub(free)) * 100 / u128::from(total);
    u32::try_from(used).unwrap_or(100)
}

fn rounded(percent: f64) -> u32 {
    // Saturating by definition of `as`.
    percent.clamp(0.0, 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R53, R59, R60
    #[tokio::test]
    async fn the_first_report_is_there_from_the_start_and_in_per_cent() {
        let report = HealthProbe::start().await.latest();
        assert!(
            report.cpu_percent <= 100 && report.disk_percent <= 100,
            "{report:?}"
        );
        assert!((1..=100).contains(&report.memory_percent), "{report:?}");
    }

    #[test]
    fn percentages_are_of_what_is_used() {
        assert_eq!(used_percent(200, 50), 75);
        assert_eq!(used_percent(0, 0), 0);
        assert_eq!(used_percent(100, 150), 0);
        assert_eq!(rounded(250.0), 100);
    }
}
