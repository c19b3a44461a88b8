//! Decides when a snapshot is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::SnapshotPolicy;
use crate::shared::Shared;

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
        let applied = metrics.last_applied.map(|id| id.index);
        let bytes = shared.published.bytes_since_snapshot.load(Ordering::Relaxed);
        let entries = applied.map_or(0, |index| index + 1)
            - snapshot
                .map_or(0, |index| index + 1)
                .min(applied.map_or(0, |index| index + 1));
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
