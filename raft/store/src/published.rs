//! What is applied, for everyone who reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reeve_state::State;
use reeve_state::id::Revision;
use tokio::sync::{oneshot, watch};

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
    /// Who waits for which revision, so that each publication wakes only those whose turn it is.
    waiting: Mutex<BTreeMap<Revision, Vec<oneshot::Sender<()>>>>,
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
            waiting: Mutex::new(BTreeMap::new()),
            feed,
            bytes_since_snapshot: AtomicU64::new(0),
            bytes_applied: AtomicU64::new(0),
        }
    }

    /// Makes a state visible; readers that wait for its index go on.
    pub(crate) fn publish(&self, next: u64, state: State) {
        let revision = state.meta().revision;
        self.version.store(Arc::new(Version {
            next,
            state: Arc::new(state),
        }));
        self.next.send_replace(next);
        let mut waiting = self.waiting.lock();
        let later = waiting.split_off(&revision.next());
        let reached = std::mem::replace(&mut *waiting, later);
        drop(waiting);
        for waiter in reached.into_values().flatten() {
            // Who waited may have given up.
            let _ = waiter.send(());
        }
    }

    /// The first state at this revision or a later one.
    pub(crate) async fn reached(&self, revision: Revision) -> Arc<State> {
        loop {
            let turn = {
                let mut waiting = self.waiting.lock();
                // Looked at under the lock, so that a publication either is seen here or finds the waiter.
                let state = self.state();
                if state.meta().revision >= revision {
                    return state;
                }
                let (waiter, turn) = oneshot::channel();
                waiting.entry(revision).or_default().push(waiter);
                turn
            };
            // The sender is used or stays in the map, which lives as long as `self`.
            let _ = turn.await;
        }
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
