//! Watching: what exists at a revision, then every change after it, for gRPC `Watch` and for `GET /events`.
//!
//! One task per node ([`hub`]) turns the change feed into events of the API, once for all watchers. A watcher ([`watcher`]) that is
//! not at the hub's place, because it resumes or was slow, replays the feed for itself until it is. Nothing is kept for a
//! watcher but its place, so a slow one costs nothing; it is told when the changes that it needs are gone.

mod counts;
mod event;
mod filter;
mod hub;
mod kinds;
mod listing;
mod replay;
mod watcher;

use std::time::Duration;

use futures::{Stream, StreamExt};
use reeve_proto::v1;
use reeve_state::id::Revision;
use tokio::time::timeout_at;

pub use event::{Item, Said};
pub(super) use hub::Hub;
pub use kinds::name as kind_name;
pub use watcher::OnReset;

use self::filter::Filter;
use self::watcher::Watcher;
use super::{Api, Call};
use crate::error::ApiError;

/// How long a stream waits for a revision that this node has not applied yet.
const BEHIND_PATIENCE: Duration = Duration::from_secs(5);

/// What a watcher asks for.
pub struct Wish {
    /// Resume after this revision; `None`: from now on.
    pub after: Option<Revision>,
    /// The objects as they are come first, where nothing is resumed.
    pub initial: bool,
    /// Which objects.
    pub request: v1::WatchRequest,
    /// What follows a reset.
    pub on_reset: OnReset,
}

impl Api {
    /// Changes after a revision, until the caller or the node leaves.
    ///
    /// # Errors
    /// A revision whose changes are gone or that does not come, or a filter that names what does not exist.
    pub async fn watch(
        &self,
        request: v1::WatchRequest,
        call: Call,
    ) -> Result<impl Stream<Item = Result<v1::WatchResponse, ApiError>> + Send + use<>, ApiError> {
        let wish = Wish {
            after: (request.from_revision > 0).then_some(Revision(request.from_revision)),
            initial: request.send_initial,
            request,
            on_reset: OnReset::End,
        };
        let items = self.watch_items(wish, call).await?;
        Ok(items.map(|item| item.map(v1::WatchResponse::from)))
    }

    /// The same, in the form that both transports are made from.
    ///
    /// # Errors
    /// As [`Api::watch`].
    pub async fn watch_items(
        &self,
        wish: Wish,
        call: Call,
    ) -> Result<impl Stream<Item = Result<Item, ApiError>> + Send + use<>, ApiError> {
        let mut watcher = self.watcher(wish, call).await?;
        watcher.begin().await?;
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next().await?;
            Some((item, watcher))
        }))
    }

    async fn watcher(&self, wish: Wish, call: Call) -> Result<Watcher, ApiError> {
        if let Some(after) = wish.after {
            self.wait_for(after, &call).await?;
        }
        let list = wish.initial && wish.after.is_none();
        let state = if list {
            self.read(wish.request.consistency, &call).await?
        } else {
            self.context.store.local()
        };
        let filter = Filter::decode(&wish.request, &state, &call.caller)?;
        let revision = wish.after.unwrap_or(state.meta().revision);
        let mut watcher = Watcher::new(self.clone(), call, filter, revision, wish.on_reset);
        if wish.initial {
            watcher.list_first(list.then_some(state));
        }
        Ok(watcher)
    }

    /// Until this node has applied a revision that the caller saw elsewhere.
    async fn wait_for(&self, asked: Revision, call: &Call) -> Result<(), ApiError> {
        let patience = (tokio::time::Instant::now() + BEHIND_PATIENCE).min(call.deadline);
        let reached = timeout_at(patience, self.context.store.reached(asked)).await;
        reached.map(drop).map_err(|_| ApiError::Behind {
            asked,
            at: self.context.store.local().meta().revision,
        })
    }
}
