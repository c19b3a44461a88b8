//! How much processor time the worker may use, and how much of that is used.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::cgroup::{Hierarchy, Version};

/// A cgroup with a quota.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// The cgroup.
    pub directory: PathBuf,
    /// What it may use, in processors.
    pub cores: f64,
    /// What it has used since it was made, in microseconds; None: nobody counts that.
    pub used_us: Option<u64>,
}

/// Reads the quotas of the levels that have one. In v1 another controller counts what is used, perhaps in another tree.
pub fn read(cpu: &Hierarchy, accounting: Option<&Hierarchy>) -> Vec<Quota> {
    let quota = |level: &PathBuf| {
        let directory = cpu.directory(level);
        let cores = match cpu.version {
            Version::V1 => quota_v1(
                &read_to_string(directory.join("cpu.cfs_quota_us")).ok()?,
                &read_to_string(directory.join("cpu.cfs_period_us")).ok()?,
            ),
            Version::V2 => quota_v2(&read_to_string(directory.join("cpu.max")).ok()?),
        }?;
        let used_us = match cpu.version {
            Version::V1 => accounting
                .filter(|accounting| accounting.levels.contains(level))
                .and_then(|accounting| used_v1(&accounting.directory(level))),
            Version::V2 => used_v2(&directory),
        };
        Some(Quota {
            directory,
            cores,
            used_us,
        })
    };
    cpu.levels.iter().filter_map(quota).collect()
}

/// −1 is no quota.
fn quota_v1(quota: &str, period: &str) -> Option<f64> {
    cores(quota.trim(), period.trim())
}

/// `quota period`, or `max period`.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota, period)
}

fn cores(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn used_v1(directory: &Path) -> Option<u64> {
    let used_ns: u64 = read_to_string(directory.join("cpuacct.usage"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(used_ns / 1_000)
}

fn used_v2(directory: &Path) -> Option<u64> {
    let stat = read_to_string(directory.join("cpu.stat")).ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok())
}

/// The processors that the scheduler may put this process on, from `/proc/self/status`: `0-3,8`.
pub fn allowed_processors(status: &str) -> Option<u32> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let count = |range: &str| -> Option<u32> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.trim()
        .split(',')
        .try_fold(0_u32, |sum, range| sum.checked_add(count(range)?))
}

/// What the quotas leave, in processors.
pub fn allowance(quotas: &[Quota], processors: u32) -> f64 {
    quotas
        .iter()
        .map(|quota| quota.cores)
        .fold(f64::from(processors), f64::min)
}

/// Use is the difference of two looks.
#[derive(Debug, Default)]
pub struct Meter {
    last: BTreeMap<PathBuf, (Instant, u64)>,
}

impl Meter {
    /// Per cent of the quota that is nearest to being used up, since the last look. None if no quota is tighter than the
    /// processors at hand, or none was looked at before: then the host's figure stands. Where nobody counts what a cgroup uses,
    /// `own_us` stands in, what this process has used: in a container that is nearly all.
    pub fn used_percent(
        &mut self,
        quotas: &[Quota],
        processors: u32,
        own_us: u64,
        now: Instant,
    ) -> Option<f64> {
        let before = std::mem::take(&mut self.last);
        let mut highest: Option<f64> = None;
        for quota in quotas.iter().filter(|quota| quota.cores < f64::from(processors)) {
            let used_us = quota.used_us.unwrap_or(own_us);
            self.last.insert(quota.directory.clone(), (now, used_us));
            let Some((at, earlier_us)) = before.get(&quota.directory) else {
                continue;
            };
            let allowed_us = now.saturating_duration_since(*at).as_secs_f64() * 1e6 * quota.cores;
            if allowed_us > 0.0 {
                let percent = used_us.saturating_sub(*earlier_us) as f64 * 100.0 / allowed_us;
                highest = Some(highest.unwrap_or(0.0).max(percent.min(100.0)));
            }
        }
        highest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quota(directory: &str, cores: f64, used_us: Option<u64>) -> Quota {
        Quota {
            directory: directory.into(),
            cores,
            used_us,
        }
    }

    // Covers: R59, R93
    #[test]
    fn quotas_are_read_as_the_kernel_writes_them() {
        assert_eq!(quota_v1("-1\n", "100000\n"), None);
        assert_eq!(quota_v1("50000\n", "100000\n"), Some(0.5));
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(quota_v2("250000 100000\n"), Some(2.5));
        assert_eq!(quota_v2(""), None);
        assert_eq!(
            allowed_processors("Name:\tx\nCpus_allowed_list:\t0-3,8\nMems:\t0"),
            Some(5)
        );
        assert_eq!(allowed_processors("Cpus_allowed_list:\t1\n"), Some(1));
        assert_eq!(allowed_processors("Cpus_allowed_list:\tx\n"), None);
        assert_eq!(allowed_processors(""), None);
    }

    // Covers: R93
    #[test]
    fn the_tightest_quota_is_the_allowance() {
        assert!((allowance(&[], 4) - 4.0).abs() < f64::EPSILON);
        let quotas = [quota("a", 2.0, None), quota("b", 0.5, None)];
        assert!((allowance(&quotas, 4) - 0.5).abs() < f64::EPSILON);
        assert!((allowance(&quotas[..1], 1) - 1.0).abs() < f64::EPSILON);
    }

    // Covers: R59, R106
    #[test]
    fn use_is_per_cent_of_the_quota_that_is_nearest_to_its_end() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let later = |seconds: u64| start + Duration::from_secs(seconds);
        let look = |own: u64, parent: u64| [quota("a/b", 0.5, Some(own)), quota("a", 1.0, Some(parent))];
        assert_eq!(
            meter.used_percent(&look(0, 0), 2, 0, start),
            None,
            "the first look"
        );
        let percent = meter
            .used_percent(&look(250_000, 250_000), 2, 0, later(1))
            .unwrap();
        assert!((percent - 50.0).abs() < 0.1, "{percent}");
        let percent = meter
            .used_percent(&look(250_000, 1_150_000), 2, 0, later(2))
            .unwrap();
        assert!((percent - 90.0).abs() < 0.1, "the parent's: {percent}");
        let percent = meter
            .used_percent(&look(9_000_000, 9_000_000), 2, 0, later(3))
            .unwrap();
        assert!((percent - 100.0).abs() < 0.1, "never more: {percent}");
        assert_eq!(
            meter.used_percent(&look(0, 0), 2, 0, later(3)),
            None,
            "no time has passed"
        );
    }

    #[test]
    fn a_quota_that_the_machine_cannot_give_is_none_and_own_use_stands_in() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let second = start + Duration::from_secs(1);
        let wide = [quota("a", 4.0, Some(0))];
        assert_eq!(meter.used_percent(&wide, 2, 0, start), None);
        assert_eq!(meter.used_percent(&wide, 2, 0, second), None);
        let uncounted = [quota("a", 0.5, None)];
        assert_eq!(meter.used_percent(&uncounted, 2, 0, start), None);
        let percent = meter.used_percent(&uncounted, 2, 100_000, second).unwrap();
        assert!((percent - 20.0).abs() < 0.1, "{percent}");
    }

    #[test]
    fn both_versions_say_what_was_used() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        put("cpuacct.usage", "5000000\n");
        put("cpu.stat", "usage_usec 7000\nuser_usec 1\n");
        assert_eq!(used_v1(directory.path()), Some(5_000));
        assert_eq!(used_v2(directory.path()), Some(7_000));
    }
}
