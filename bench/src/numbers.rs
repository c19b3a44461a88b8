//! Numbers that no two writes of this process share, so that every write changes something.

use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A number that was not given out before.
pub fn fresh() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}
