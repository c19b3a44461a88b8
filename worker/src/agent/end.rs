//! The end in order: the drain of a process that was told to end, and the farewell.

use std::time::Duration;

use reeve_proto::v1::session_request::Message as Request;
use reeve_proto::v1::{DrainRequest, Goodbye};
use tokio::time::timeout;
use tracing::info;

use super::drain::Drain;
use super::session::Session;
use super::{Agent, request};
use crate::clock::MonoMs;
use crate::error::WorkerError;
use crate::link::LinkEvent;

/// How long a stream may take to end after Goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

impl Agent {
    pub(super) fn begin_drain(&mut self) {
        let (active, deadline) = (self.fleet.active_endpoints(), self.config.drain_deadline);
        info!(active, ?deadline, "told to end: draining");
        self.fleet.drain();
        self.drain = Some(Drain::new(self.clock.now(), deadline));
    }

    pub(super) fn tell_drain(&mut self, now: MonoMs) {
        let (Some(drain), Some(session)) = (&self.drain, &mut self.session) else {
            return;
        };
        if session.told_drain {
            return;
        }
        let deadline_ms = u32::try_from(drain.remaining(now).as_millis()).unwrap_or(u32::MAX);
        let drain = DrainRequest {
            deadline_ms,
            reason: "SIGTERM".to_owned(),
        };
        session.told_drain = session.link.send(request(Request::Drain(drain)));
    }

    /// Everything is confirmed: says Goodbye and waits a moment for the node to end the stream.
    pub(super) async fn leave(mut self) -> Result<(), WorkerError> {
        if let Some(mut session) = self.session.take().filter(Session::is_up) {
            self.observer.ended(&session.link.node, "left");
            session.link.send(request(Request::Goodbye(Goodbye {
                reason: "drained".to_owned(),
            })));
            session.link.finish();
            let ended = async { while !matches!(session.link.next().await, LinkEvent::Ended(_)) {} };
            // The node may not bother; the worker holds nothing, so nothing depends on it.
            let _ = timeout(FAREWELL, ended).await;
        }
        info!("nothing is held any more: leaving");
        Ok(())
    }
}
