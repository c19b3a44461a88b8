//! One stream: where it is, and what it is told next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1::ResetReason;
use reeve_state::State;
use reeve_state::id::Revision;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::super::{Api, Call};
use super::counts::{COUNTS_INTERVAL, Counts};
use super::event::{Event, Item, Said, Unit};
use super::filter::Filter;
use super::hub::{Batch, Next, Steps};
use super::listing::Listing;
use super::replay::{Replay, View};
use crate::error::ApiError;

/// How often a stream on which nothing happens says how far it is.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(5);

/// What follows a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReset {
    /// The end: the client calls again.
    End,
    /// The changes after it, and before them the objects, if they were asked for.
    GoOn,
}

/// One watcher's place.
pub struct Watcher {
    api: Api,
    /// Ends with the caller's key.
    call: Call,
    filter: Filter,
    on_reset: OnReset,
    /// Objects are listed before changes, also after a reset.
    initial: bool,
    /// The stream is complete up to here.
    complete: Revision,
    source: Source,
    /// What waits until the client takes it; never more than one unit and a word about it.
    pending: VecDeque<Item>,
    bookmarks: Interval,
    ended: bool,
}

/// Where the next events come from.
enum Source {
    /// To be found out.
    Behind,
    /// The objects as they are.
    Listing(Listing),
    /// Changes that others have seen already; those that come meanwhile wait in the hub.
    Replaying {
        replay: Replay,
        counts: Counts,
        then: broadcast::Receiver<Batch>,
    },
    /// What happens.
    Live {
        hub: broadcast::Receiver<Batch>,
        /// Units up to here are known.
        seen: Revision,
    },
    /// Units of one batch.
    Batch {
        units: Arc<[Unit]>,
        next: usize,
        hub: broadcast::Receiver<Batch>,
        seen: Revision,
    },
}

impl Watcher {
    pub fn new(api: Api, call: Call, filter: Filter, after: Revision, on_reset: OnReset) -> Self {
        let mut bookmarks = tokio::time::interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            api,
            call,
            filter,
            on_reset,
            initial: false,
            complete: after,
            source: Source::Behind,
            pending: VecDeque::new(),
            bookmarks,
            ended: false,
        }
    }

    /// Lists objects after every reset, and this state before anything else.
    pub fn list_first(&mut self, state: Option<Arc<State>>) {
        self.initial = true;
        if let Some(state) = state {
            self.source = Source::Listing(Listing::new(state, &self.filter));
        }
    }

    /// Finds its place in the feed.
    ///
    /// # Errors
    /// The changes after its revision are gone; a stream that goes on after a reset begins with one.
    pub async fn begin(&mut self) -> Result<(), ApiError> {
        if matches!(self.source, Source::Listing(_)) {
            return Ok(());
        }
        let gone = match self.api.context.store.watch(Some(self.complete)) {
            Ok(_) => None,
            Err(compacted) => Some(compacted.oldest),
        };
        match (gone, self.on_reset) {
            (None, _) => self.say(Said::Bookmark),
            (Some(oldest), OnReset::End) => {
                return Err(ApiError::Compacted {
                    asked: self.complete,
                    oldest,
                });
            }
            (Some(_), OnReset::GoOn) => self.reset(ResetReason::RevisionCompacted),
        }
        Ok(())
    }

    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Item, ApiError>> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                self.bookmarks.reset();
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Takes one step towards the next message.
    async fn advance(&mut self) -> Result<(), ApiError> {
        match std::mem::replace(&mut self.source, Source::Behind) {
            Source::Behind => self.catch_up().await,
            Source::Listing(listing) => self.list(listing),
            Source::Replaying { replay, counts, then } => {
                self.replay(replay, counts, then);
                Ok(())
            }
            Source::Batch {
                units,
                next,
                hub,
                seen,
            } => {
                self.batch(units, next, hub, seen);
                Ok(())
            }
            Source::Live { hub, seen } => self.listen(hub, seen).await,
        }
    }

    fn list(&mut self, mut listing: Listing) -> Result<(), ApiError> {
        if let Some(event) = listing.next(&self.api, &self.filter) {
            self.pending.push_back(Item {
                complete: Revision(0),
                said: Said::Event { event, last: false },
            });
            self.source = Source::Listing(listing);
            return Ok(());
        }
        self.complete = listing.revision();
        self.say(Said::Bookmark);
        self.admitted()
    }

    /// From the feed to the hub: what happened up to now is replayed, what happens from now on comes from there.
    async fn catch_up(&mut self) -> Result<(), ApiError> {
        let hub = self.api.hub.subscribe();
        self.admitted()?;
        let store = self.api.context.store.clone();
        let newest = store.local().meta().revision;
        if newest <= self.complete {
            let seen = self.complete;
            self.source = Source::Live { hub, seen };
            return Ok(());
        }
        let Ok(feed) = store.watch(Some(self.complete)) else {
            self.reset(ResetReason::SlowConsumer);
            return Ok(());
        };
        let shutdown = self.api.context.shutdown.clone();
        let mut steps = Steps::new(feed);
        let next = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            next = steps.next(&store) => next,
        };
        match next {
            None => return Err(ApiError::ShuttingDown),
            Some(Next::Reset { replaced: true }) => self.reset(ResetReason::StateReplaced),
            Some(Next::Reset { replaced: false }) => self.reset(ResetReason::SlowConsumer),
            Some(Next::Steps(steps, state)) => {
                self.source = Source::Replaying {
                    replay: Replay::new(state, steps),
                    counts: Counts::default(),
                    then: hub,
                };
            }
        }
        Ok(())
    }

    fn replay(&mut self, mut replay: Replay, mut counts: Counts, then: broadcast::Receiver<Batch>) {
        let filter = self.filter.clone();
        let api = self.api.clone();
        let mut view = View {
            api: &api,
            filter: &filter,
            counts: &mut counts,
        };
        let now = Instant::now();
        if let Some(unit) = replay.next(&mut view, now) {
            self.tell(&unit);
            self.source = Source::Replaying { replay, counts, then };
            return;
        }
        // Whatever waits, waits no longer.
        let seen = replay.state().meta().revision;
        if let Some(unit) = replay.counts(&mut view, seen, now + COUNTS_INTERVAL) {
            self.tell(&unit);
        }
        self.complete = self.complete.max(seen);
        self.source = Source::Live { hub: then, seen };
    }

    fn batch(&mut self, units: Arc<[Unit]>, next: usize, hub: broadcast::Receiver<Batch>, seen: Revision) {
        let Some(unit) = units.get(next) else {
            self.source = Source::Live { hub, seen };
            return;
        };
        if unit.at > seen {
            self.tell(unit);
        }
        self.source = Source::Batch {
            units,
            next: next + 1,
            hub,
            seen,
        };
    }

    async fn listen(&mut self, mut hub: broadcast::Receiver<Batch>, seen: Revision) -> Result<(), ApiError> {
        let shutdown = self.api.context.shutdown.clone();
        let heard = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(ApiError::ShuttingDown),
            heard = hub.recv() => heard,
            _ = self.bookmarks.tick() => {
                self.admitted()?;
                self.say(Said::Bookmark);
                self.source = Source::Live { hub, seen };
                return Ok(());
            }
        };
        match heard {
            Ok(Batch::Units { units, keys }) => {
                if keys {
                    self.admitted()?;
                }
                self.source = Source::Batch {
                    units,
                    next: 0,
                    hub,
                    seen,
                };
            }
            Ok(Batch::Gap { replaced }) => {
                let store = &self.api.context.store;
                if replaced && store.watch(Some(self.complete)).is_err() {
                    self.reset(ResetReason::StateReplaced);
                }
            }
            // It looks at the feed, which remembers more.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(ApiError::ShuttingDown),
        }
        Ok(())
    }

    /// What passes of one unit. Only with the last of it is the stream complete up to it.
    fn tell(&mut self, unit: &Unit) {
        let passes = |event: &&Arc<Event>| self.filter.passes(&event.tags, event.put.is_none());
        let events: Vec<Arc<Event>> = unit.events.iter().filter(passes).cloned().collect();
        let before = self.complete;
        self.complete = before.max(unit.complete);
        let count = events.len();
        for (index, event) in events.into_iter().enumerate() {
            let last = index + 1 == count;
            let complete = if last { self.complete } else { before };
            self.pending.push_back(Item {
                complete,
                said: Said::Event { event, last },
            });
        }
    }

    /// Says that changes are missing. What follows begins at the state as it is.
    fn reset(&mut self, reason: ResetReason) {
        let state = self.api.context.store.local();
        self.complete = self.complete.max(state.meta().revision);
        self.say(Said::Reset(reason));
        match self.on_reset {
            OnReset::End => self.ended = true,
            OnReset::GoOn if self.initial => {
                self.source = Source::Listing(Listing::new(state, &self.filter));
            }
            OnReset::GoOn => self.source = Source::Behind,
        }
    }

    fn say(&mut self, said: Said) {
        self.pending.push_back(Item {
            complete: self.complete,
            said,
        });
    }

    /// A key that is revoked or runs out ends its streams.
    fn admitted(&self) -> Result<(), ApiError> {
        let state = self.api.context.store.local();
        self.api.still_admitted(&state, &self.call)
    }
}
