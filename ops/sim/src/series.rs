//! Many seeds, on as many threads as there are cores.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::coverage::Coverage;
use crate::run::{Options, Outcome, run};

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// How many ran.
    pub seeds: u64,
    /// What they went through.
    pub coverage: Coverage,
    /// Those that broke a law; the first of them ends the series.
    pub failed: Vec<Outcome>,
}

/// Runs seeds until one breaks a law.
pub fn series(seeds: Range<u64>, jobs: usize, options: Options) -> Series {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let sum = Mutex::new(Series::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, options);
                    let mut sum = sum.lock();
                    sum.seeds += 1;
                    sum.coverage.add(&outcome.coverage);
                    if outcome.violation.is_some() {
                        failed.store(true, Ordering::Relaxed);
                        sum.failed.push(outcome);
                    }
                }
            });
        }
    });
    sum.into_inner()
}

/// One a core.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
