//! Which endpoint a message belongs to.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::head::Head;
use crate::tap::{Seen, Tap};

/// The taps of all endpoints of a socket.
#[derive(Debug, Default)]
pub struct Taps {
    by_call: RwLock<HashMap<String, Arc<Tap>>>,
    by_user: RwLock<HashMap<String, Arc<Tap>>>,
}

impl Taps {
    /// Messages of this call or registration are this endpoint's.
    pub fn bind_call(&self, call_id: &str, tap: &Arc<Tap>) {
        self.by_call.write().insert(call_id.to_owned(), Arc::clone(tap));
    }

    /// Requests to this user of ours begin calls of this endpoint.
    pub fn bind_user(&self, user: &str, tap: &Arc<Tap>) {
        self.by_user.write().insert(user.to_owned(), Arc::clone(tap));
    }

    /// The endpoint is gone: nothing more is written down for it.
    pub fn forget(&self, user: &str) {
        if let Some(tap) = self.by_user.write().remove(user) {
            self.by_call.write().retain(|_, other| !Arc::ptr_eq(other, &tap));
        }
    }

    /// Hands a message to its endpoint. What belongs to none is not kept.
    pub fn note(&self, seen: &Seen<'_>) {
        let head = Head::of(seen.bytes);
        if let Some(tap) = self.owner(&head) {
            tap.note(seen, &head);
        }
    }

    /// A message did not leave.
    pub fn unsent(&self, bytes: &[u8], error: &io::Error) {
        let head = Head::of(bytes);
        if let Some(tap) = self.owner(&head) {
            tap.unsent(error);
        }
    }

    fn owner(&self, head: &Head<'_>) -> Option<Arc<Tap>> {
        if let Some(tap) = self.by_call.read().get(head.call_id) {
            return Some(Arc::clone(tap));
        }
        let tap = self.by_user.read().get(head.request_user()?).cloned()?;
        self.bind_call(head.call_id, &tap);
        Some(tap)
    }
}
