//! Media files that nobody knows any more go from this node's store.

use std::time::{Duration, SystemTime};

use reeve_store::{Consistency, ReadError};
use tokio::time::Instant;

use crate::context::Context;
use crate::media;

/// How often each node looks.
const EVERY: Duration = Duration::from_secs(3_600);
/// What was stored within this time stays: it may be known in a moment, and a worker may still fetch what a run was offered.
const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// How long the question what is known may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until the node stops.
pub async fn run(context: Context) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match sweep(&context, KEPT_FOR).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "media files that nobody knows any more are deleted"),
            // The next look finds them again.
            Err(error) => tracing::debug!(error, "media files were not looked through"),
        }
    }
}

/// Deletes media files that were stored longer ago than `kept_for` and that no name of the state has. Says how many.
pub(crate) async fn sweep(context: &Context, kept_for: Duration) -> Result<usize, String> {
    let objects = context.evidence.objects();
    let now = SystemTime::now();
    let stored = objects.media().await.map_err(|error| error.to_string())?;
    let old: Vec<[u8; 32]> = stored
        .into_iter()
        .filter(|(_, at)| now.duration_since(*at).is_ok_and(|age| age >= kept_for))
        .map(|(sha256, _)| sha256)
        .collect();
    if old.is_empty() {
        return Ok(0);
    }
    // What this node has applied may be old: a store may be shared, and then it is not for this node alone.
    let read = context
        .store
        .read(Consistency::Linearizable, Instant::now() + PATIENCE);
    let state = read.await.map_err(|error| match error {
        ReadError::Unavailable { reason } => reason.name().to_owned(),
        ReadError::Fatal(_) => "this node has failed".to_owned(),
    })?;
    let mut deleted = 0;
    for sha256 in old.into_iter().filter(|sha256| !state.media_known(sha256)) {
        let gone = objects.delete(&media::path(&sha256)).await;
        gone.map_err(|error| error.to_string())?;
        deleted += 1;
    }
    Ok(deleted)
}
