//! How much memory the worker may use, and how much of that is used.

use std::fs::read_to_string;
use std::path::Path;

use super::cgroup::{Hierarchy, Version};
use super::used_percent;

/// A limit and what counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Bytes.
    pub limit_bytes: u64,
    /// Bytes, without what the kernel can drop at once.
    pub used_bytes: u64,
}

/// The memory of this process's surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The tightest limit.
    pub allowance_bytes: u64,
    /// Of the limit that is nearest to being reached: a parent's may be so although the own one is far away.
    pub used_percent: u32,
}

/// Of the cgroups' limits, and of the host where none is tighter than the host itself.
pub fn judge(levels: &[Level], host: Level) -> Memory {
    let limited = levels.iter().filter(|level| level.limit_bytes < host.limit_bytes);
    let percent = |level: &Level| used_percent(level.used_bytes, level.limit_bytes);
    let tightest = limited.clone().map(|level| level.limit_bytes).min();
    Memory {
        allowance_bytes: tightest.unwrap_or(host.limit_bytes),
        used_percent: limited.map(percent).max().unwrap_or_else(|| percent(&host)),
    }
}

/// Reads the levels that have a limit.
pub fn read(hierarchy: &Hierarchy) -> Vec<Level> {
    let level = |level: &std::path::PathBuf| read_level(hierarchy.version, &hierarchy.directory(level));
    hierarchy.levels.iter().filter_map(level).collect()
}

fn read_level(version: Version, directory: &Path) -> Option<Level> {
    let (limit, used, cache) = match version {
        Version::V1 => (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
        Version::V2 => ("memory.max", "memory.current", "inactive_file"),
    };
    let limit_bytes = number(&read_to_string(directory.join(limit)).ok()?)?;
    let used_bytes = number(&read_to_string(directory.join(used)).ok()?)?;
    let stat = read_to_string(directory.join("memory.stat")).unwrap_or_default();
    Some(Level {
        limit_bytes,
        used_bytes: used_bytes.saturating_sub(field(&stat, cache).unwrap_or(0)),
    })
}

/// A number; None for `max`, which is no limit.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A line `name value`.
fn field(stat: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').and_then(number);
    stat.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Level = Level {
        limit_bytes: 1_000,
        used_bytes: 500,
    };

    fn level(limit_bytes: u64, used_bytes: u64) -> Level {
        Level {
            limit_bytes,
            used_bytes,
        }
    }

    // Covers: R60, R93, R107
    #[test]
    fn the_tightest_limit_counts_and_the_fullest_one_is_shown() {
        let unlimited = 9_223_372_036_854_771_712;
        let table = [
            (vec![], 1_000, 50, "no cgroup: the host"),
            (vec![level(unlimited, 300)], 1_000, 50, "no limit: the host"),
            (vec![level(1_000, 300)], 1_000, 50, "as much as the host has"),
            (vec![level(200, 50), level(400, 100)], 200, 25, "the own limit"),
            (
                vec![level(400, 100), level(200, 150)],
                200,
                75,
                "a parent's limit",
            ),
            (
                vec![level(100, 10), level(400, 380)],
                100,
                95,
                "the parent is nearly full",
            ),
            (vec![level(100, 130)], 100, 100, "over it"),
            (vec![level(0, 0)], 0, 100, "nothing is allowed"),
        ];
        for (levels, allowance_bytes, used_percent, why) in table {
            let expected = Memory {
                allowance_bytes,
                used_percent,
            };
            assert_eq!(judge(&levels, HOST), expected, "{why}");
        }
    }

    #[test]
    fn files_are_read_as_the_kernel_writes_them() {
        assert_eq!(number("max\n"), None);
        assert_eq!(number("268435456\n"), Some(268_435_456));
        let stat = "inactive_file 4096\ntotal_inactive_file 8192\nactive_file 1\n";
        assert_eq!(field(stat, "inactive_file"), Some(4_096));
        assert_eq!(field(stat, "total_inactive_file"), Some(8_192));
        assert_eq!(field(stat, "inactive"), None);
    }

    #[test]
    fn both_versions_leave_out_the_cache_that_can_be_dropped() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
        put("memory.max", "1000\n")?;
        put("memory.current", "700\n")?;
        put("memory.limit_in_bytes", "2000\n")?;
        put("memory.usage_in_bytes", "900\n")?;
        put("memory.stat", "inactive_file 100\ntotal_inactive_file 300\n")?;
        assert_eq!(read_level(Version::V2, directory.path()), Some(level(1_000, 600)));
        assert_eq!(read_level(Version::V1, directory.path()), Some(level(2_000, 600)));
        put("memory.max", "max\n")?;
        assert_eq!(read_level(Version::V2, directory.path()), None);
        Ok(())
    }
}
