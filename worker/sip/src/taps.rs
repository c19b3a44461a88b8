//! Which endpoint a message belongs to.
//!
//! Both ends of a call may be endpoints of one socket, with a proxy between them: then every message of the call passes the socket twice, with
//! the same Call-ID. Whose it is follows from who sent the request that it is, or answers.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::head::Head;
use crate::tap::{Seen, Tap, Unsent, Way};

/// The taps of all endpoints of a socket.
#[derive(Debug, Default)]
pub struct Taps {
    calls: Mutex<Calls>,
    by_user: RwLock<HashMap<String, Arc<Tap>>>,
}

/// Calls by their Call-ID, and which each endpoint is in: what an endpoint leaves behind is found without a look at everybody's.
#[derive(Debug, Default)]
struct Calls {
    by_id: HashMap<String, Call>,
    /// By the address of the tap, which is somebody else's only once it is forgotten.
    of_tap: HashMap<usize, Vec<String>>,
}

impl Calls {
    fn insert(&mut self, call_id: &str, call: Call) {
        let sides = [&call.caller, &call.callee];
        for tap in sides.into_iter().flatten() {
            joined(&mut self.of_tap, tap, call_id);
        }
        self.by_id.insert(call_id.to_owned(), call);
    }
}

fn joined(of_tap: &mut HashMap<usize, Vec<String>>, tap: &Arc<Tap>, call_id: &str) {
    of_tap
        .entry(Arc::as_ptr(tap).addr())
        .or_default()
        .push(call_id.to_owned());
}

/// A call, or a registration, and who of us is in it.
#[derive(Debug, Default)]
struct Call {
    /// The tag in From of whoever began it, once it is known.
    tag: Option<String>,
    /// Who began it.
    caller: Option<Arc<Tap>>,
    /// Who was called.
    callee: Option<Arc<Tap>>,
}

impl Call {
    /// Whether the one of us that this message is about began the call.
    fn is_callers(&mut self, way: Way, head: &Head<'_>) -> bool {
        // A request that we send and a response that we receive belong to whoever made the request.
        let requester = (way == Way::Sent) == head.request().is_some();
        let tag = self.tag.get_or_insert_with(|| head.from_tag.to_owned());
        requester == (tag == head.from_tag)
    }
}

impl Taps {
    /// This endpoint begins a call, or a registration, of that name.
    pub fn bind_call(&self, call_id: &str, tap: &Arc<Tap>) {
        let call = Call {
            caller: Some(Arc::clone(tap)),
            ..Call::default()
        };
        self.calls.lock().insert(call_id, call);
    }

    /// Requests to this user of ours begin calls of this endpoint.
    pub fn bind_user(&self, user: &str, tap: &Arc<Tap>) {
        self.by_user.write().insert(user.to_owned(), Arc::clone(tap));
    }

    /// The endpoint is gone: nothing more is written down for it.
    pub fn forget(&self, user: &str) {
        let Some(tap) = self.by_user.write().remove(user) else {
            return;
        };
        let mut calls = self.calls.lock();
        let Calls { by_id, of_tap } = &mut *calls;
        for call_id in of_tap.remove(&Arc::as_ptr(&tap).addr()).unwrap_or_default() {
            let Some(call) = by_id.get_mut(&call_id) else {
                continue;
            };
            for side in [&mut call.caller, &mut call.callee] {
                side.take_if(|other| Arc::ptr_eq(other, &tap));
            }
            if call.caller.is_none() && call.callee.is_none() {
                by_id.remove(&call_id);
            }
        }
    }

    /// Whether there is no endpoint any more.
    pub fn idle(&self) -> bool {
        self.by_user.read().is_empty()
    }

    /// Hands a message to its endpoint. What belongs to none is not kept.
    pub fn note(&self, seen: &Seen<'_>) {
        let head = Head::of(seen.bytes);
        if let Some(tap) = self.owner(seen.way, &head) {
            tap.note(seen, &head);
        }
    }

    /// A message did not leave.
    pub fn unsent(&self, bytes: &[u8], why: &Unsent) {
        let head = Head::of(bytes);
        if let Some(tap) = self.owner(Way::Sent, &head) {
            tap.unsent(&head, why);
        }
    }

    fn owner(&self, way: Way, head: &Head<'_>) -> Option<Arc<Tap>> {
        let mut calls = self.calls.lock();
        let Calls { by_id, of_tap } = &mut *calls;
        if let Some(call) = by_id.get_mut(head.call_id) {
            if call.is_callers(way, head) {
                return call.caller.clone();
            }
            if call.callee.is_none() {
                call.callee = self.called(head);
                if let Some(tap) = &call.callee {
                    joined(of_tap, tap, head.call_id);
                }
            }
            return call.callee.clone();
        }
        let callee = self.called(head)?;
        let call = Call {
            tag: Some(head.from_tag.to_owned()),
            caller: None,
            callee: Some(Arc::clone(&callee)),
        };
        calls.insert(head.call_id, call);
        Some(callee)
    }

    /// Whom a request is for.
    fn called(&self, head: &Head<'_>) -> Option<Arc<Tap>> {
        self.by_user.read().get(head.request_user()?).cloned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(start: &str, from: &str) -> String {
        format!("{start}\r\nFrom: <sip:x>;tag={from}\r\nCall-ID: q\r\nCSeq: 1 INVITE\r\n\r\n")
    }

    const INVITE: &str = "INVITE sip:bob@h SIP/2.0";
    const OK: &str = "SIP/2.0 200 OK";
    const BYE: &str = "BYE sip:alice@h SIP/2.0";

    /// With a proxy between them, each message is seen when it leaves one end and when it reaches the other.
    #[test]
    fn both_ends_of_a_call_on_one_socket_have_each_their_own_messages() {
        let taps = Taps::default();
        let (alice, bob) = (Arc::<Tap>::default(), Arc::<Tap>::default());
        taps.bind_user("alice", &alice);
        taps.bind_user("bob", &bob);
        taps.bind_call("q", &alice);
        let (a, b) = ("a", "b");
        let table = [
            (Way::Sent, INVITE, a, &alice),
            (Way::Received, INVITE, a, &bob),
            (Way::Sent, OK, a, &bob),
            (Way::Received, OK, a, &alice),
            // The one that was called hangs up.
            (Way::Sent, BYE, b, &bob),
            (Way::Received, BYE, b, &alice),
            (Way::Sent, OK, b, &alice),
            (Way::Received, OK, b, &bob),
        ];
        for (way, start, from, owner) in table {
            let text = message(start, from);
            let found = taps.owner(way, &Head::of(text.as_bytes())).unwrap();
            assert!(Arc::ptr_eq(&found, owner), "{way:?} {start} {from}");
        }
        taps.forget("alice");
        assert!(
            taps.owner(Way::Received, &Head::of(message(OK, a).as_bytes()))
                .is_none()
        );
        taps.forget("bob");
        let calls = taps.calls.lock();
        assert!(calls.by_id.is_empty() && calls.of_tap.is_empty());
    }

    #[test]
    fn a_strangers_call_is_its_callees() {
        let taps = Taps::default();
        let bob = Arc::<Tap>::default();
        taps.bind_user("bob", &bob);
        for (way, start, from) in [
            (Way::Received, INVITE, "s"),
            (Way::Sent, OK, "s"),
            (Way::Sent, BYE, "b"),
        ] {
            let text = message(start, from);
            assert!(Arc::ptr_eq(
                &taps.owner(way, &Head::of(text.as_bytes())).unwrap(),
                &bob
            ));
        }
        let nobody = message(INVITE, "s")
            .replace("bob", "ann")
            .replace("Call-ID: q", "Call-ID: p");
        assert!(taps.owner(Way::Received, &Head::of(nobody.as_bytes())).is_none());
    }
}
