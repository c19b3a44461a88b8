//! The one place of a node where changes become events, once for all watchers that are up to date.

use std::collections::VecDeque;
use std::sync::Arc;

use reeve_state::State;
use reeve_state::id::Revision;
use reeve_store::{Feed, FeedItem, Store};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::super::Api;
use super::counts::Counts;
use super::event::Unit;
use super::filter::Filter;
use super::kinds::{self, Touch};
use super::replay::{Replay, Step, View};

/// Batches that wait for the slowest watcher; one that falls behind further replays the feed for itself.
const BATCHES: usize = 256;

/// What watchers get.
#[derive(Clone, Debug)]
pub enum Batch {
    /// What happened, in order.
    Units {
        /// May be empty.
        units: Arc<[Unit]>,
        /// A caller's key changed: who listens is looked at again.
        keys: bool,
    },
    /// Something is missing here: look at the feed.
    Gap {
        /// The whole state was replaced.
        replaced: bool,
    },
}

/// Where watchers meet what happens. A clone is the same place.
#[derive(Clone)]
pub struct Hub(broadcast::Sender<Batch>);

impl Hub {
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BATCHES))
    }

    /// What happens from now on. The state of this node is read after this call to know up to where it happened before.
    pub fn subscribe(&self) -> broadcast::Receiver<Batch> {
        self.0.subscribe()
    }
}

/// The feed in pieces that each end at a state that can be looked at.
pub struct Steps {
    feed: Feed,
    /// A piece that is not complete yet: kept here, so that waiting for it can be cut off.
    steps: VecDeque<Step>,
    upto: Option<Arc<State>>,
}

/// What comes next of the feed.
pub enum Next {
    /// The next commands, and the state after the last of them.
    Steps(VecDeque<Step>, Arc<State>),
    /// Changes are missing.
    Reset {
        /// The whole state was replaced.
        replaced: bool,
    },
}

impl Steps {
    pub fn new(feed: Feed) -> Self {
        Self {
            feed,
            steps: VecDeque::new(),
            upto: None,
        }
    }

    /// The next commands, up to the newest state. `None` when the store is gone. Safe to cancel.
    pub async fn next(&mut self, store: &Store) -> Option<Next> {
        loop {
            let (revision, changes) = match self.feed.next().await? {
                FeedItem::Changes { revision, changes } => (revision, changes),
                FeedItem::Reset { replaced, .. } => {
                    self.steps.clear();
                    self.upto = None;
                    return Some(Next::Reset { replaced });
                }
            };
            self.steps.push_back(Step { revision, changes });
            // A state is published just before its changes, and never without them: the feed is sure to get there.
            let state = self.upto.get_or_insert_with(|| store.local());
            if revision >= state.meta().revision {
                return Some(Next::Steps(std::mem::take(&mut self.steps), self.upto.take()?));
            }
        }
    }
}

impl Api {
    /// Tells watchers what happens, until the node stops.
    pub async fn tell_watchers(self) {
        let context = self.context().clone();
        // It begins with a reset, which finds nobody listening.
        let Ok(feed) = context.store.watch(None) else {
            return;
        };
        let mut steps = Steps::new(feed);
        let mut counts = Counts::default();
        let mut state = context.store.local();
        loop {
            let due = counts.next_due();
            let wake = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let batch = tokio::select! {
                () = context.shutdown.cancelled() => return,
                () = wake => self.shown_counts(&state, &mut counts),
                next = steps.next(&context.store) => match next {
                    Some(Next::Steps(steps, newest)) => {
                        state = newest;
                        self.shown_steps(&state, steps, &mut counts)
                    }
                    Some(Next::Reset { replaced }) => {
                        counts = Counts::default();
                        state = context.store.local();
                        Some(Batch::Gap { replaced })
                    }
                    None => return,
                },
            };
            if let Some(batch) = batch {
                // Nobody may be listening.
                let _ = self.hub.0.send(batch);
            }
        }
    }

    fn shown_steps(&self, state: &Arc<State>, steps: VecDeque<Step>, counts: &mut Counts) -> Option<Batch> {
        if self.hub.0.receiver_count() == 0 {
            *counts = Counts::default();
            return None;
        }
        let changes = || steps.iter().flat_map(|step| step.changes.iter());
        let keys = changes().any(|change| matches!(kinds::touch(change), Touch::Keys));
        let now = Instant::now();
        let mut replay = Replay::new(Arc::clone(state), steps);
        let filter = Filter::default();
        let mut view = View {
            api: self,
            filter: &filter,
            counts,
        };
        let mut units = Vec::new();
        while let Some(unit) = replay.next(&mut view, now) {
            units.push(unit);
        }
        units.extend(replay.counts(&mut view, state.meta().revision, now));
        tell(units, keys)
    }

    fn shown_counts(&self, state: &Arc<State>, counts: &mut Counts) -> Option<Batch> {
        let filter = Filter::default();
        let mut view = View {
            api: self,
            filter: &filter,
            counts,
        };
        let mut replay = Replay::new(Arc::clone(state), VecDeque::new());
        let at: Revision = state.meta().revision;
        let unit = replay.counts(&mut view, at, Instant::now());
        tell(unit.into_iter().collect(), false)
    }
}

/// Units without events say nothing; bookmarks tell how far a stream is.
fn tell(units: Vec<Unit>, keys: bool) -> Option<Batch> {
    let (says, last) = (units.iter().any(|unit| !unit.events.is_empty()), units.len());
    let units: Vec<Unit> = units
        .into_iter()
        .enumerate()
        .filter(|(index, unit)| !unit.events.is_empty() || index + 1 == last)
        .map(|(_, unit)| unit)
        .collect();
    (says || keys).then(|| Batch::Units {
        units: units.into(),
        keys,
    })
}
