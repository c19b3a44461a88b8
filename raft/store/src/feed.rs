//! The change feed: what each applied command changed, in order, from a revision that the consumer names.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_state::change::Change;
use reeve_state::id::Revision;
use tokio::sync::watch;

use crate::error::Compacted;

/// Most commands that the feed remembers.
const KEEP_COMMANDS: usize = 50_000;
/// Most bytes of changed rows, as they are on disk, that the feed remembers.
const KEEP_BYTES: usize = 32 << 20;

/// What a consumer of the feed gets.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedItem {
    /// What one command changed.
    Changes {
        /// The state's revision after it.
        revision: Revision,
        /// Every row that it changed.
        changes: Arc<[Change]>,
    },
    /// Changes are missing: list again. Changes after this revision follow.
    Reset {
        /// The state is at least as new as this.
        revision: Revision,
        /// The whole state was replaced; else the consumer was too slow, or said that it knows nothing.
        replaced: bool,
    },
}

/// One command's changes, before they are published.
pub(crate) struct Step {
    pub(crate) revision: Revision,
    pub(crate) changes: Arc<[Change]>,
    pub(crate) bytes: usize,
}

struct Ring {
    steps: VecDeque<Step>,
    bytes: usize,
    /// Changes up to here are not remembered.
    floor: Revision,
    /// Changes up to here are known.
    head: Revision,
    /// Counts the times that the whole state was replaced.
    replaced: u64,
}

/// Where changes are published.
#[derive(Clone)]
pub(crate) struct FeedHub {
    ring: Arc<Mutex<Ring>>,
    wake: Arc<watch::Sender<()>>,
}

impl FeedHub {
    pub(crate) fn new(head: Revision) -> Self {
        let ring = Ring {
            steps: VecDeque::new(),
            bytes: 0,
            floor: head,
            head,
            replaced: 0,
        };
        Self {
            ring: Arc::new(Mutex::new(ring)),
            wake: Arc::new(watch::Sender::new(())),
        }
    }

    /// Publishes what a batch of commands changed.
    pub(crate) fn publish(&self, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        {
            let mut ring = self.ring.lock();
            for step in steps {
                ring.head = step.revision;
                ring.bytes += step.bytes;
                ring.steps.push_back(step);
            }
            while ring.steps.len() > KEEP_COMMANDS || ring.bytes > KEEP_BYTES {
                let Some(oldest) = ring.steps.pop_front() else {
                    break;
                };
                ring.bytes -= oldest.bytes;
                ring.floor = oldest.revision;
            }
        }
        self.wake.send_replace(());
    }

    /// The whole state was replaced: every consumer starts again.
    pub(crate) fn reset(&self, head: Revision) {
        {
            let mut ring = self.ring.lock();
            ring.steps.clear();
            ring.bytes = 0;
            ring.floor = head;
            ring.head = head;
            ring.replaced += 1;
        }
        self.wake.send_replace(());
    }

    /// A consumer that knows the state at `after`; `None`: it knows nothing, and is told to list first.
    pub(crate) fn watch(&self, after: Option<Revision>) -> Result<Feed, Compacted> {
        let wake = self.wake.subscribe();
        let ring = self.ring.lock();
        let cursor = match after {
            Some(after) if after < ring.floor => return Err(Compacted { oldest: ring.floor }),
            Some(after) => Some(after),
            None => None,
        };
        Ok(Feed {
            ring: Arc::clone(&self.ring),
            wake,
            cursor,
            replaced: ring.replaced,
        })
    }
}

/// A consumer's place in the feed.
pub struct Feed {
    ring: Arc<Mutex<Ring>>,
    wake: watch::Receiver<()>,
    /// The last revision that it got; `None`: it has to list.
    cursor: Option<Revision>,
    replaced: u64,
}

impl Feed {
    /// What comes next; waits until there is something. `None` when the store is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<FeedItem> {
        loop {
            self.wake.mark_unchanged();
            if let Some(item) = self.take() {
                return Some(item);
            }
            self.wake.changed().await.ok()?;
        }
    }

    /// What comes next, if it is there already.
    pub fn take(&mut self) -> Option<FeedItem> {
        let ring = self.ring.lock();
        let cursor = match self.cursor {
            Some(cursor) if self.replaced == ring.replaced && cursor >= ring.floor => cursor,
            Some(_) | None => {
                let replaced = self.replaced != ring.replaced;
                self.cursor = Some(ring.head);
                self.replaced = ring.replaced;
                return Some(FeedItem::Reset {
                    revision: ring.head,
                    replaced,
                });
            }
        };
        let next = ring.steps.partition_point(|step| step.revision <= cursor);
        let step = ring.steps.get(next)?;
        self.cursor = Some(step.revision);
        Some(FeedItem::Changes {
            revision: step.revision,
            changes: Arc::clone(&step.changes),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn step(revision: u64, bytes: usize) -> Step {
        Step {
            revision: Revision(revision),
            changes: Arc::from([]),
            bytes,
        }
    }

    fn revision(item: Option<FeedItem>) -> Option<(bool, u64)> {
        item.map(|item| match item {
            FeedItem::Changes { revision, .. } => (false, revision.0),
            FeedItem::Reset { revision, .. } => (true, revision.0),
        })
    }

    #[test]
    fn a_consumer_resumes_after_the_revision_it_names() {
        let hub = FeedHub::new(Revision(0));
        hub.publish(vec![step(1, 1), step(2, 1), step(3, 1)]);
        let mut feed = hub.watch(Some(Revision(1))).unwrap();
        assert_eq!(revision(feed.take()), Some((false, 2)));
        assert_eq!(revision(feed.take()), Some((false, 3)));
        assert_eq!(revision(feed.take()), None);
    }

    #[test]
    fn a_consumer_without_a_revision_lists_first() {
        let hub = FeedHub::new(Revision(7));
        let mut feed = hub.watch(None).unwrap();
        assert_eq!(revision(feed.take()), Some((true, 7)));
        hub.publish(vec![step(8, 1)]);
        assert_eq!(revision(feed.take()), Some((false, 8)));
    }

    #[test]
    fn a_consumer_that_fell_behind_is_reset() {
        let hub = FeedHub::new(Revision(0));
        let mut feed = hub.watch(Some(Revision(0))).unwrap();
        hub.publish(vec![step(1, KEEP_BYTES), step(2, 1)]);
        assert_eq!(revision(feed.take()), Some((true, 2)));
        assert_eq!(
            hub.watch(Some(Revision(0))).err(),
            Some(Compacted { oldest: Revision(1) })
        );
    }

    #[test]
    fn a_replaced_state_resets_everyone() {
        let hub = FeedHub::new(Revision(5));
        let mut feed = hub.watch(Some(Revision(5))).unwrap();
        hub.reset(Revision(90));
        assert_eq!(revision(feed.take()), Some((true, 90)));
        assert_eq!(revision(feed.take()), None);
    }
}
