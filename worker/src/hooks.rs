//! What a program around the agent may put in its place: who watches it, and what does the work. For test harnesses; the
//! programs of this crate use neither.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::executor::{AssignmentKey, EventSink, Executors};
use crate::sim::Sim;
use crate::sip::Sip;

/// Watches what the agent knows of its own session. Called from the agent's loop at the moment that it happens, so nothing in
/// it may wait for long.
pub trait Observer: Send + Sync {
    /// The node said Welcome.
    fn session(&self, node: &str) {
        let _ = node;
    }

    /// Heartbeat `seq` of the session is about to be sent.
    fn beat(&self, node: &str, seq: u64) {
        let _ = (node, seq);
    }

    /// The node acknowledged heartbeat `seq`.
    fn acked(&self, node: &str, seq: u64) {
        let _ = (node, seq);
    }

    /// The session is over; `reason` is the label of a cause, or `left` if the agent said Goodbye.
    fn ended(&self, node: &str, reason: &str) {
        let _ = (node, reason);
    }

    /// No session came of an attempt; `reason` is the label of a cause.
    fn refused(&self, node: &str, reason: &str) {
        let _ = (node, reason);
    }

    /// The node offered an assignment, new or once more.
    fn offered(&self, node: &str, key: &AssignmentKey, endpoints: u32) {
        let _ = (node, key, endpoints);
    }
}

/// Nobody watches.
struct Nobody;

impl Observer for Nobody {}

/// Makes the executors once the agent's clock runs.
pub type MakeExecutors = Box<dyn FnOnce(Clock, EventSink) -> Executors + Send>;

/// See the module.
pub struct Hooks {
    /// Who watches.
    pub observer: Arc<dyn Observer>,
    /// What does the work.
    pub executors: MakeExecutors,
}

impl Default for Hooks {
    /// As in the programs: nobody, scripted endpoints and SIP user agents.
    fn default() -> Self {
        Self::with_sip_ca(None)
    }
}

impl Hooks {
    /// The same; registrars within TLS are to be certified by this file.
    #[must_use]
    pub fn with_sip_ca(ca: Option<PathBuf>) -> Self {
        let all = |clock: Clock, sink: EventSink| Executors {
            sim: Arc::new(Sim::spawn(clock.clone(), sink.clone())),
            sip: Some(Arc::new(Sip::new(clock, sink, ca))),
        };
        Self {
            observer: Arc::new(Nobody),
            executors: Box::new(all),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hooks").finish_non_exhaustive()
    }
}
