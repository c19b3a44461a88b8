//! Media files that lost their last name go from this node's store.
//!
//! A store may be shared with other nodes, and with what is not this cluster's at all. So only those files are deleted that this
//! process saw named by its own cluster and then, at two looks in a row, not any more. A file that it never saw named stays: one that was
//! stored and got no name, one that had it for less than the time between two looks, and one whose name went shortly before a restart.
//! Clusters that are to keep the same bytes independently of each other need prefixes of their own.
//!
//! The same bytes may come again between the check and the delete: they are found in the store, and get their name when they are gone.
//! So what is deleted is kept in memory until every such write has its name or has failed, and what is named then is put back.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use object_store::Error::NotFound;
use reeve_store::{Consistency, ReadError};
use tokio::time::Instant;

use super::Objects;
use crate::context::Context;
use crate::media;

/// How often each node looks.
const EVERY: Duration = Duration::from_secs(3_600);
/// How soon it looks again if it could not.
const AGAIN: Duration = Duration::from_secs(60);
/// How long the question what is named may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after it found its bytes stored a write may still get its name: twice what a call may ask for.
const SETTLING: Duration = Duration::from_secs(2 * 60);
/// Files that are deleted, and kept in memory, at once.
const AT_ONCE: usize = 32;

type Hashes = BTreeSet<[u8; 32]>;
/// Its hash and its bytes.
type File = ([u8; 32], Bytes);

/// Until the node stops.
pub async fn run(context: Context) {
    let mut sweep = Sweep::new(SETTLING);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match sweep.look(&context).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "media files that have no name any more are deleted"),
            Err(error) => {
                tracing::debug!(error, "it is not known which media files have names");
                ticks.reset_after(AGAIN);
            }
        }
    }
}

/// What this process saw of its cluster's media files.
pub(crate) struct Sweep {
    settling: Duration,
    /// Had a name when it was last asked for.
    named: Hashes,
    /// Had one before, and none at the last look.
    marked: Hashes,
}

impl Sweep {
    /// That has seen nothing yet. What it deletes it holds for so long.
    pub(crate) fn new(settling: Duration) -> Self {
        Self {
            settling,
            named: Hashes::new(),
            marked: Hashes::new(),
        }
    }

    /// Deletes the files that were without a name at the last look and still are. Says how many.
    ///
    /// # Errors
    /// The cluster did not say what is named; then it is as if nobody had looked.
    pub(crate) async fn look(&mut self, context: &Context) -> Result<usize, String> {
        let now = named(context).await?;
        let due: Vec<[u8; 32]> = self.marked.difference(&now).copied().collect();
        self.marked = self.named.difference(&now).copied().collect();
        self.named = now;
        let mut deleted = 0;
        for batch in due.chunks(AT_ONCE) {
            deleted += self.delete(context, batch).await;
        }
        Ok(deleted)
    }

    /// What cannot be deleted stays marked.
    async fn delete(&mut self, context: &Context, batch: &[[u8; 32]]) -> usize {
        let objects = context.evidence.objects();
        let mut gone = Vec::new();
        for sha256 in batch {
            match taken(objects, &media::path(sha256)).await {
                Ok(Some(data)) => gone.push((*sha256, data)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a media file without a name cannot be deleted");
                    self.marked.insert(*sha256);
                }
            }
        }
        if gone.is_empty() {
            return 0;
        }
        // At once, so that no worker waits for what has its name already; and when no write is left that may give one.
        if let Ok(now) = named(context).await {
            gone = self.put_back(objects, gone, &now).await;
        }
        tokio::time::sleep(self.settling).await;
        if let Ok(now) = named(context).await {
            return self.put_back(objects, gone, &now).await.len();
        }
        // Nobody says what is named: all of it may be.
        let all = gone.iter().map(|(sha256, _)| *sha256).collect();
        self.put_back(objects, gone, &all).await;
        0
    }

    /// Stores again what is named `now`, as if it had never been without, and hands back the rest.
    async fn put_back(&mut self, objects: &Objects, gone: Vec<File>, now: &Hashes) -> Vec<File> {
        let (back, rest): (Vec<File>, Vec<File>) =
            gone.into_iter().partition(|(sha256, _)| now.contains(sha256));
        for (sha256, data) in back {
            if let Err(error) = objects.put(&media::path(&sha256), data).await {
                tracing::warn!(%error, "a media file that may have a name again cannot be stored again");
            }
            self.named.insert(sha256);
        }
        rest
    }
}

/// Deletes an object and hands out its bytes; `None`: there is none.
async fn taken(objects: &Objects, path: &str) -> object_store::Result<Option<Bytes>> {
    let data = match objects.get(path).await {
        Ok(data) => data,
        Err(NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    objects.delete(path).await?;
    Ok(Some(data))
}

/// The hashes that have names. What this node has applied may be old, so the cluster is asked.
async fn named(context: &Context) -> Result<Hashes, String> {
    let read = context
        .store
        .read(Consistency::Linearizable, Instant::now() + PATIENCE);
    let state = read.await.map_err(|error| match error {
        ReadError::Unavailable { reason } => reason.name().to_owned(),
        ReadError::Fatal(_) => "this node has failed".to_owned(),
    })?;
    Ok(state.media_files().map(|file| file.sha256).collect())
}
