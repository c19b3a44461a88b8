//! Holds the engine's thread up, as a machine does that has no time for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::nanos;

/// Pulled once, it stops the thread once. Clones are the same brake.
#[derive(Clone, Debug, Default)]
pub struct Brake(Arc<AtomicU64>);

impl Brake {
    /// Stops the thread for this long, as soon as it looks.
    pub fn pull(&self, time: Duration) {
        self.0.store(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn stop_if_pulled(&self) {
        let time = self.0.swap(0, Ordering::Relaxed);
        if time > 0 {
            thread::sleep(Duration::from_nanos(time));
        }
    }
}
