//! Decides when a snapshot is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::SnapshotPolicy;
use crate::shared::Shared;
use crate::types::LogId;

const TICK: Duration = Duration::from_secs(1);

/// Asks for snapshots until the store is dropped.
pub(crate) async fn run(shared: Arc<Shared>, policy: SnapshotPolicy) {
    let mut last_at = Instant::now();
    let mut last_index = shared.metrics().snapshot.map(|id| id.index);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let metrics = shared.metrics();
        let snapshot = metrics.snapshot.map(|id| id.index);
        if snapshot != last_index {
            last_index = snapshot;
            last_at = Instant::now();
        }
        let bytes = shared.published.bytes_since_snapshot.load(Ordering::Relaxed);
        let entries = next(metrics.last_applied).saturating_sub(next(metrics.snapshot));
        let due = bytes >= policy.bytes
            || entries >= policy.entries
            || (entries > 0 && last_at.elapsed() >= policy.interval);
        if due {
            last_at = Instant::now();
            if shared.raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
    }
}

/// The index after an entry.
fn next(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |id| id.index + 1)
}
