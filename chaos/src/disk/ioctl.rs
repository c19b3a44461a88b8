//! The one system call that has no safe wrapper. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Loses what the journal has not written: as if the power went.
const NO_LOG_FLUSH: u32 = 2;

// Its number says that it reads, though it takes its argument.
nix::ioctl_read!(ext4_shutdown, b'X', 125, u32);

/// Shuts an ext4 file system down at once: no write reaches the disk any more, each gets EIO.
///
/// # Errors
/// This is no ext4, or we are not root.
pub(super) fn cut_power(directory: &File) -> nix::Result<()> {
    let mut flags = NO_LOG_FLUSH;
    // SAFETY: the descriptor is open for as long as `directory` is borrowed, and the kernel reads one u32 from a
    // pointer to a live one.
    unsafe { ext4_shutdown(directory.as_raw_fd(), &raw mut flags) }.map(|_| ())
}
