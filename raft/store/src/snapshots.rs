//! Decides when a snapshot is due, and cuts the log after it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::SnapshotPolicy;
use crate::retention::{Mark, Retention};
use crate::shared::Shared;
use crate::types::{LogId, Metrics};

const TICK: Duration = Duration::from_secs(1);

/// Asks for snapshots, and cuts the log, until the store is dropped.
pub(crate) async fn run(shared: Arc<Shared>, policy: SnapshotPolicy) {
    let mut last_at = Instant::now();
    let mut last_index = None;
    let mut retention = Retention::new(policy);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let metrics = shared.metrics();
        let cut = retention.note(mark(&shared, &metrics));
        let snapshot = metrics.snapshot.map(|id| id.index);
        if snapshot != last_index {
            last_index = snapshot;
            last_at = Instant::now();
            // Once for each snapshot: cutting costs a sync, and what a snapshot lacks must stay anyway.
            if let Some(upto) = cut.min(snapshot)
                && next(metrics.purged) <= upto
                && shared.raft.trigger().purge_log(upto).await.is_err()
            {
                return;
            }
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

fn mark(shared: &Shared, metrics: &Metrics) -> Mark {
    Mark {
        at: Instant::now(),
        index: metrics.last_applied.map_or(0, |id| id.index),
        bytes: shared.published.bytes_applied.load(Ordering::Relaxed),
    }
}

/// The index after an entry.
fn next(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |id| id.index + 1)
}
