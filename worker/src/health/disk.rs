//! How full the file system of a path is, as `df` counts it.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::used_percent;

/// Per cent of what an ordinary user can fill.
#[allow(clippy::useless_conversion, reason = "counts are narrower on other systems")]
pub fn read(path: &Path) -> Result<u32, Errno> {
    let stat = statvfs(path)?;
    let (blocks, free, available) = (
        u64::from(stat.blocks()),
        u64::from(stat.blocks_free()),
        u64::from(stat.blocks_available()),
    );
    Ok(filled(blocks, free, available))
}

/// What is kept for root (free less available) is neither used nor to be had.
fn filled(blocks: u64, free: u64, available: u64) -> u32 {
    let used = blocks.saturating_sub(free);
    if used == 0 && available == 0 {
        // A file system without blocks, like /proc.
        return 0;
    }
    used_percent(used, used.saturating_add(available))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R53
    #[test]
    fn blocks_that_are_kept_for_root_are_not_to_be_had() {
        assert_eq!(filled(100, 60, 60), 40);
        assert_eq!(filled(100, 20, 0), 100);
        assert_eq!(filled(100, 20, 20), 80);
        assert_eq!(filled(0, 0, 0), 0);
        assert_eq!(filled(10, 20, 20), 0);
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        assert_eq!(read(Path::new("/nowhere")), Err(Errno::ENOENT));
        assert!(read(Path::new("/")).is_ok_and(|percent| percent <= 100));
    }
}
