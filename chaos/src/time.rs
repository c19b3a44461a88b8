//! The clock of everything that is written down: CLOCK_MONOTONIC, which all processes of the machine share, so that times of clients,
//! workers and faults compare, and a jump of the wall clock touches none of them.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds.
pub fn now_ns() -> u64 {
    // It fails only for clocks that do not exist.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
    })
}

/// Microseconds.
pub fn now_us() -> u64 {
    now_ns() / 1_000
}
