//! The objects as they are, before the changes.

use std::collections::VecDeque;
use std::sync::Arc;

use reeve_proto::v1::ResourceKind as Kind;
use reeve_state::State;
use reeve_state::change::Row;
use reeve_state::id::Revision;

use super::super::Api;
use super::event::Event;
use super::filter::Filter;
use super::kinds;

/// A list that is handed out one by one; only what is asked for next is turned into an event.
pub struct Listing {
    state: Arc<State>,
    kinds: VecDeque<Kind>,
    rows: std::vec::IntoIter<Row>,
}

impl Listing {
    pub fn new(state: Arc<State>, filter: &Filter) -> Self {
        let kinds = kinds::every().into_iter().filter(|kind| filter.wants(*kind));
        Self {
            state,
            kinds: kinds.collect(),
            rows: Vec::new().into_iter(),
        }
    }

    /// The revision that it shows.
    pub fn revision(&self) -> Revision {
        self.state.meta().revision
    }

    pub fn next(&mut self, api: &Api, filter: &Filter) -> Option<Arc<Event>> {
        loop {
            let Some(row) = self.rows.next() else {
                self.rows = kinds::rows(&self.state, self.kinds.pop_front()?).into_iter();
                continue;
            };
            let Some(tags) = kinds::tags(&self.state, &row) else {
                continue;
            };
            if !filter.passes(&tags, false) {
                continue;
            }
            if let Some(put) = kinds::resource(api, &self.state, &row) {
                return Some(Arc::new(Event::new(tags, Some(put), self.revision())));
            }
        }
    }
}
