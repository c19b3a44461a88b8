//! Which cgroups bound this process, from `/proc/self/cgroup` and `/proc/self/mountinfo`. Text in, paths out: no I/O.

use std::path::{Path, PathBuf};

/// Which interface files a cgroup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// The cgroups that bound this process for one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which files to read.
    pub version: Version,
    /// Where the tree is mounted.
    pub mount: PathBuf,
    /// Relative to the mount: the process's own cgroup first, then its ancestors, as far as they can be seen from here.
    pub levels: Vec<PathBuf>,
}

impl Hierarchy {
    /// Where the files of a level are.
    pub fn directory(&self, level: &Path) -> PathBuf {
        self.mount.join(level)
    }
}

/// The tree of a controller; None where there is no cgroup file system. A controller that has a tree of its own (v1) is not in
/// the common one (v2).
pub fn hierarchy(cgroup: &str, mountinfo: &str, controller: &str) -> Option<Hierarchy> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    let of = |version: Version| {
        let mount = mounts.iter().find(|mount| mount.serves(version, controller))?;
        let path = membership(cgroup, version, controller)?;
        Some(Hierarchy {
            version,
            mount: mount.point.clone(),
            levels: levels(&relative(path, &mount.root)),
        })
    };
    of(Version::V1).or_else(|| of(Version::V2))
}

/// The path of the process's cgroup, as `/proc/self/cgroup` tells it: lines of `id:controllers:path`.
fn membership<'a>(cgroup: &'a str, version: Version, controller: &str) -> Option<&'a str> {
    cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = match version {
            Version::V1 => controllers.split(',').any(|name| name == controller),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// A mounted cgroup file system.
struct Mount {
    root: String,
    point: PathBuf,
    version: Version,
    options: String,
}

impl Mount {
    /// `id parent device root point options [tags] - type source super-options`.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let version = match after.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        Some(Self {
            root: unescaped(root),
            point: unescaped(point).into(),
            version,
            options: after.nth(1).unwrap_or_default().to_owned(),
        })
    }

    fn serves(&self, version: Version, controller: &str) -> bool {
        self.version == version
            && match version {
                Version::V1 => self.options.split(',').any(|option| option == controller),
                Version::V2 => true,
            }
    }
}

/// The kernel writes blanks and the like as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// A cgroup's path below the mount point. A container sees either its own namespace, where all begins at `/`, or the host's
/// paths, of which only its own part is mounted. What lies outside of that cannot be seen: then the mount's root stands for it.
fn relative(path: &str, root: &str) -> PathBuf {
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let below = below.strip_prefix("/").unwrap_or(below);
    if below.components().any(|part| part.as_os_str() == "..") {
        return PathBuf::new();
    }
    below.to_owned()
}

fn levels(own: &Path) -> Vec<PathBuf> {
    own.ancestors().map(Path::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const V1_HOST: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const V1_CONTAINER: &str = "\
835 834 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:18 - cgroup cgroup rw,memory";
    const V2: &str = "\
30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
    const V2_ODD: &str = "30 24 0:26 / /mnt/a\\040b rw - cgroup2 none rw";

    fn found(cgroup: &str, mountinfo: &str, controller: &str) -> Option<(Version, Vec<String>)> {
        let hierarchy = hierarchy(cgroup, mountinfo, controller)?;
        let directory = |level: &PathBuf| {
            let text = hierarchy.directory(level).to_str().unwrap().to_owned();
            text.trim_end_matches('/').to_owned()
        };
        let levels = hierarchy.levels.iter().map(directory).collect();
        Some((hierarchy.version, levels))
    }

    // Covers: R82, R107
    #[test]
    fn a_process_is_bound_by_its_own_cgroup_and_all_above_it() {
        let cgroup = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/x";
        let table = [
            (
                cgroup,
                V1_HOST,
                "memory",
                Version::V1,
                vec![
                    "/sys/fs/cgroup/memory/a/b",
                    "/sys/fs/cgroup/memory/a",
                    "/sys/fs/cgroup/memory",
                ],
            ),
            (
                cgroup,
                V1_HOST,
                "cpuacct",
                Version::V1,
                vec!["/sys/fs/cgroup/cpu,cpuacct"],
            ),
            // No tree of its own: the common one.
            (
                cgroup,
                V1_HOST,
                "hugetlb",
                Version::V2,
                vec!["/sys/fs/cgroup/unified/x", "/sys/fs/cgroup/unified"],
            ),
            (
                "4:memory:/docker/abc/inner",
                V1_CONTAINER,
                "memory",
                Version::V1,
                vec!["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"],
            ),
            // Moved out of what its container shows.
            (
                "4:memory:/elsewhere",
                V1_CONTAINER,
                "memory",
                Version::V1,
                vec!["/sys/fs/cgroup/memory"],
            ),
            (
                "0::/user.slice/a:b.scope",
                V2,
                "memory",
                Version::V2,
                vec![
                    "/sys/fs/cgroup/user.slice/a:b.scope",
                    "/sys/fs/cgroup/user.slice",
                    "/sys/fs/cgroup",
                ],
            ),
            ("0::/../../out", V2, "cpu", Version::V2, vec!["/sys/fs/cgroup"]),
            ("0::/", V2_ODD, "cpu", Version::V2, vec!["/mnt/a b"]),
        ];
        for (cgroup, mountinfo, controller, version, levels) in table {
            let levels = levels.into_iter().map(str::to_owned).collect();
            assert_eq!(found(cgroup, mountinfo, controller), Some((version, levels)));
        }
    }

    #[test]
    fn without_a_cgroup_file_system_nothing_is_found() {
        assert_eq!(found("0::/", "", "memory"), None);
        assert_eq!(found("", V2, "memory"), None);
        assert_eq!(found("garbage\n::", "a b - c", "memory"), None);
    }
}
