//! What is applied, for everyone who reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use reeve_state::State;
use tokio::sync::watch;

use crate::feed::FeedHub;

struct Version {
    /// The index after the last applied entry.
    next: u64,
    state: Arc<State>,
}

/// The newest state that is applied, replaced as a whole.
pub(crate) struct Published {
    version: ArcSwap<Version>,
    next: watch::Sender<u64>,
    pub(crate) feed: FeedHub,
    /// Bytes of commands applied since the last snapshot.
    pub(crate) bytes_since_snapshot: AtomicU64,
    /// Bytes of commands applied since the start.
    pub(crate) bytes_applied: AtomicU64,
}

impl Published {
    pub(crate) fn new(next: u64, state: State) -> Self {
        let feed = FeedHub::new(state.meta().revision);
        Self {
            version: ArcSwap::from_pointee(Version {
                next,
                state: Arc::new(state),
            }),
            next: watch::Sender::new(next),
            feed,
            bytes_since_snapshot: AtomicU64::new(0),
            bytes_applied: AtomicU64::new(0),
        }
    }

    /// Makes a state visible; readers that wait for its index go on.
    pub(crate) fn publish(&self, next: u64, state: State) {
        self.version.store(Arc::new(Version {
            next,
            state: Arc::new(state),
        }));
        self.next.send_replace(next);
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.version.load().state)
    }

    /// The state, and the index of the last entry that is in it; 0 also if there is none.
    pub(crate) fn with_index(&self) -> (u64, Arc<State>) {
        let version = self.version.load();
        (version.next.saturating_sub(1), Arc::clone(&version.state))
    }

    /// Waits until the entry at `index` is applied.
    pub(crate) async fn applied(&self, index: u64) {
        let mut next = self.next.subscribe();
        // The sender lives as long as `self`.
        drop(next.wait_for(|next| *next > index).await);
    }

    pub(crate) fn count_bytes(&self, bytes: usize) {
        self.bytes_since_snapshot
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.bytes_applied.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
