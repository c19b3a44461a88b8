//! The service `Watch`: the change feed as changes of resources.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures::Stream;
use reeve_proto::v1;
use reeve_proto::v1::watch_response::Event;
use reeve_state::change::{Change, Delta};
use reeve_state::id::{ProjectName, Revision, RunId};
use reeve_store::{Feed, FeedItem};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Api, Call};
use crate::convert::{run, test};
use crate::error::ApiError;

/// How often a stream on which nothing happens says how far it is.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(5);

/// Which changes a watcher asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    /// None: all.
    kinds: BTreeSet<i32>,
    /// Empty: all.
    id: String,
}

impl Filter {
    fn decode(kinds: &[i32], id: String) -> Result<Self, ApiError> {
        for kind in kinds {
            match v1::ResourceKind::try_from(*kind) {
                Ok(v1::ResourceKind::Test | v1::ResourceKind::Run | v1::ResourceKind::Worker) => {}
                Ok(v1::ResourceKind::Unspecified) | Err(_) => {
                    return Err(ApiError::invalid(
                        "kinds",
                        format!("{kind} is not a ResourceKind"),
                    ));
                }
            }
        }
        Ok(Self {
            kinds: kinds.iter().copied().collect(),
            id,
        })
    }

    fn passes(&self, kind: v1::ResourceKind, id: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind.into())) && (self.id.is_empty() || self.id == id)
    }
}

/// One watcher's place in the feed.
struct Watcher {
    api: Api,
    /// Ends with the caller's key.
    call: Call,
    feed: Feed,
    filter: Filter,
    /// The stream is complete up to here.
    revision: Revision,
    /// Answers that wait until the client takes them.
    pending: VecDeque<v1::WatchResponse>,
    /// Revision of the state from which a run was last shown, where changes up to it are still to come.
    shown: BTreeMap<RunId, Revision>,
    bookmarks: Interval,
    ended: bool,
}

impl Api {
    /// Changes after a revision, until the caller or the node leaves.
    ///
    /// # Errors
    /// A revision whose changes are gone, or a kind that does not exist.
    pub fn watch(
        &self,
        request: v1::WatchRequest,
        call: Call,
    ) -> Result<impl Stream<Item = Result<v1::WatchResponse, ApiError>> + Send + use<>, ApiError> {
        let filter = Filter::decode(&request.kinds, request.id)?;
        let after = (request.from_revision > 0).then_some(Revision(request.from_revision));
        // Subscribed first: a change in between is then delivered twice rather than never.
        let revision = after.unwrap_or_else(|| self.context.store.local().meta().revision);
        let feed = self
            .context
            .store
            .watch(Some(revision))
            .map_err(|compacted| ApiError::Compacted {
                asked: revision,
                oldest: compacted.oldest,
            })?;
        let mut bookmarks = tokio::time::interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watcher = Watcher {
            api: self.clone(),
            call,
            feed,
            filter,
            revision,
            pending: VecDeque::from([response(revision, Event::Bookmark(v1::Bookmark {}))]),
            shown: BTreeMap::new(),
            bookmarks,
            ended: false,
        };
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next().await?;
            Some((item, watcher))
        }))
    }
}

fn response(revision: Revision, event: Event) -> v1::WatchResponse {
    v1::WatchResponse {
        revision: revision.0,
        event: Some(event),
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<v1::WatchResponse, ApiError>> {
        loop {
            if let Some(response) = self.pending.pop_front() {
                self.bookmarks.reset();
                return Some(Ok(response));
            }
            if self.ended {
                return None;
            }
            let shutdown = self.api.context.shutdown.clone();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.ended = true;
                    return Some(Err(ApiError::ShuttingDown));
                }
                item = self.feed.next() => match item {
                    Some(FeedItem::Changes { revision, changes }) => {
                        if let Err(ended) = self.admitted() {
                            return Some(Err(ended));
                        }
                        self.take(revision, &changes);
                    }
                    Some(FeedItem::Reset { revision }) => {
                        self.ended = true;
                        self.pending.push_back(response(revision, Event::Reset(v1::Reset {})));
                    }
                    None => {
                        self.ended = true;
                        return Some(Err(ApiError::ShuttingDown));
                    }
                },
                _ = self.bookmarks.tick() => {
                    if let Err(ended) = self.admitted() {
                        return Some(Err(ended));
                    }
                    self.pending.push_back(response(self.revision, Event::Bookmark(v1::Bookmark {})));
                }
            }
        }
    }

    /// A key that is revoked or runs out ends its streams.
    fn admitted(&mut self) -> Result<(), ApiError> {
        let state = self.api.context.store.local();
        self.api
            .still_admitted(&state, &self.call)
            .inspect_err(|_| self.ended = true)
    }

    /// Turns the changes of one revision into answers.
    fn take(&mut self, revision: Revision, changes: &[Change]) {
        let before = self.revision;
        self.shown.retain(|_, shown| *shown > revision);
        let mut runs = BTreeSet::new();
        let mut events = Vec::new();
        for change in changes {
            match change {
                Change::Test(delta) if !self.sees(delta, |row| &row.project) => {}
                Change::Run(delta) if !self.sees(delta, |row| &row.project) => {}
                Change::Test(delta) => {
                    let put = delta
                        .after
                        .as_ref()
                        .map(|row| v1::resource::Resource::Test(test::test(row)));
                    events.extend(self.event(v1::ResourceKind::Test, delta.key.to_string(), put));
                }
                Change::Worker(delta) => {
                    let state = self.api.context.store.local();
                    let put = delta
                        .after
                        .as_ref()
                        .map(|row| v1::resource::Resource::Worker(self.api.worker_message(&state, row)));
                    events.extend(self.event(v1::ResourceKind::Worker, delta.key.to_string(), put));
                }
                Change::Run(delta) if delta.after.is_none() => {
                    events.extend(self.event(v1::ResourceKind::Run, delta.key.to_string(), None));
                }
                Change::Run(delta) => {
                    runs.insert(delta.key);
                }
                Change::Assignment(delta) => {
                    runs.insert(delta.key.run);
                }
                Change::Chunk(delta) => {
                    runs.insert(delta.key.assignment.run);
                }
                Change::Request(_)
                | Change::Event(_)
                | Change::Key(_)
                | Change::Webhook(_)
                | Change::Delivery(_) => {}
            }
        }
        events.extend(runs.into_iter().filter_map(|run| self.run_event(run)));
        self.revision = self.revision.max(revision);
        // Only with the last of them is the stream complete up to this revision.
        let last = events.len().saturating_sub(1);
        for (index, event) in events.into_iter().enumerate() {
            let complete = if index == last { self.revision } else { before };
            self.pending.push_back(response(complete, event));
        }
    }

    /// Whether the caller may know of a row.
    fn sees<K, V>(&self, delta: &Delta<K, V>, project: impl Fn(&V) -> &ProjectName) -> bool {
        let row = delta.after.as_ref().or(delta.before.as_ref());
        row.is_some_and(|row| self.call.caller.sees(project(row)))
    }

    fn event(
        &self,
        kind: v1::ResourceKind,
        id: String,
        put: Option<v1::resource::Resource>,
    ) -> Option<Event> {
        if !self.filter.passes(kind, &id) {
            return None;
        }
        Some(match put {
            Some(resource) => Event::Put(v1::Resource {
                resource: Some(resource),
            }),
            None => Event::Deleted(v1::ResourceRef {
                kind: kind.into(),
                id,
            }),
        })
    }

    /// A run consists of many rows, so it is shown from this node's state, at this revision or a later one; what the
    /// changes up to that one did to it is then not shown again.
    fn run_event(&mut self, id: RunId) -> Option<Event> {
        let text = id.to_string();
        if !self.filter.passes(v1::ResourceKind::Run, &text) || self.shown.contains_key(&id) {
            return None;
        }
        let state = self.api.context.store.local();
        // Gone since: its deletion is still to come.
        let row = state.run(id).filter(|row| self.call.caller.sees(&row.project))?;
        self.shown.insert(id, state.meta().revision);
        self.event(
            v1::ResourceKind::Run,
            text,
            Some(v1::resource::Resource::Run(run::run(&state, row))),
        )
    }
}
