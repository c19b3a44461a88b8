//! How busy the worker's surroundings are (R53, R59, R60): the container where there is one, else the host. Sampled in the
//! background, so that a slow disk never delays a heartbeat.

mod cgroup;
mod cpu;
mod disk;
mod memory;
mod sampler;

use std::path::PathBuf;
use std::time::Duration;

use reeve_proto::v1::HealthReport;
use sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::sampler::Sampler;
use crate::error::ConfigError;

/// How the surroundings are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// The disk that counts is that of this path.
    pub disk_path: PathBuf,
    /// Time between two looks. CPU use is the mean of the last twelve.
    pub interval: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            disk_path: PathBuf::from("/"),
            interval: Duration::from_secs(5),
        }
    }
}

impl HealthConfig {
    /// Checks every rule; the error names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(Duration::from_millis(200)..=Duration::from_secs(60)).contains(&self.interval) {
            let rule = format!("must be between 200ms and 60s, is {:?}", self.interval);
            return Err(ConfigError::field("health_interval", rule));
        }
        disk::read(&self.disk_path).map(|_| ()).map_err(|error| {
            let rule = format!("cannot look at {}: {}", self.disk_path.display(), error.desc());
            ConfigError::field("disk_path", rule)
        })
    }
}

/// What this process may use: of the tightest limit of its cgroups, else of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Processors; a quota may leave a part of one.
    pub cores: f64,
    /// Memory.
    pub memory_bytes: u64,
}

impl Allowance {
    /// As of now.
    pub fn of_this_process() -> Self {
        Sampler::new(PathBuf::from("/")).allowance()
    }
}

/// The latest sample.
#[derive(Debug)]
pub struct HealthProbe {
    latest: watch::Receiver<HealthReport>,
    task: AbortHandle,
}

impl HealthProbe {
    /// Takes the first sample, then goes on in the background. The first takes a fifth of a second: CPU use is the
    /// difference of two looks.
    pub async fn start(config: &HealthConfig) -> Self {
        let mut sampler = Sampler::new(config.disk_path.clone());
        let interval = config.interval;
        tokio::time::sleep(MINIMUM_CPU_UPDATE_INTERVAL).await;
        let (sender, latest) = watch::channel(sampler.sample());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
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

fn used_percent(used: u64, total: u64) -> u32 {
    if total == 0 {
        return 100;
    }
    let percent = u128::from(used.min(total)) * 100 / u128::from(total);
    u32::try_from(percent).unwrap_or(100)
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
        let probe = HealthProbe::start(&HealthConfig::default()).await;
        let report = probe.latest();
        assert!(
            report.cpu_percent <= 100 && report.disk_percent <= 100,
            "{report:?}"
        );
        assert!((1..=100).contains(&report.memory_percent), "{report:?}");
        let allowance = Allowance::of_this_process();
        assert!(allowance.cores > 0.0 && allowance.memory_bytes > 0);
    }

    #[test]
    fn percentages_are_of_what_is_used() {
        assert_eq!(used_percent(150, 200), 75);
        assert_eq!(used_percent(0, 0), 100);
        assert_eq!(used_percent(300, 150), 100);
        assert_eq!(rounded(250.0), 100);
    }
}
