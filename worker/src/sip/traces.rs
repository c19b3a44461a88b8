//! From what endpoints say of their messages to rows of a trace. Credentials are taken out here, before anything is written down.

use std::time::Duration;

use reeve_sip::redact::redact;
use reeve_sip::tap::Message;

use crate::clock::MonoMs;
use crate::trace::{TraceItem, TraceRow, Traced};

/// The traces of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Traces {
    /// Which endpoint.
    pub offset: u32,
    /// When it was made: its messages count from there.
    pub made: MonoMs,
    /// Credentials stay in.
    pub credentials: bool,
}

impl Traces {
    /// Messages that were sent and received.
    pub fn messages(&self, now: MonoMs, messages: Vec<Message>) -> Traced {
        let row = |message| self.message(now, message);
        Traced {
            at: now,
            rows: messages.into_iter().map(row).collect(),
        }
    }

    fn message(&self, now: MonoMs, mut message: Message) -> TraceRow {
        let without = if self.credentials {
            None
        } else {
            redact(&message.bytes)
        };
        let redacted = without.is_some();
        message.bytes = without.unwrap_or(message.bytes);
        // Clocks of milliseconds are rounded down: nothing happened later than it was told.
        let at = self
            .made
            .after(Duration::from_millis(millis(message.since)))
            .min(now);
        TraceRow {
            offset: self.offset,
            at,
            what: TraceItem::Message { message, redacted },
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The ends of endpoints for the same reason.
pub fn endings(now: MonoMs, offsets: impl Iterator<Item = u32>, ending: &TraceItem) -> Traced {
    let row = |offset| TraceRow {
        offset,
        at: now,
        what: ending.clone(),
    };
    Traced {
        at: now,
        rows: offsets.map(row).collect(),
    }
}

/// An end that no message led to.
pub fn without_messages(detail: &str) -> TraceItem {
    TraceItem::Ending {
        detail: detail.to_owned(),
        code: None,
        dropped: 0,
    }
}
