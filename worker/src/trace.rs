//! What an executor hands over of SIP traces: messages, and how endpoints ended (R154).

use std::sync::Arc;

use reeve_sip::tap::Message;

use crate::clock::MonoMs;

/// Rows of a trace. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When they were handed over.
    pub at: MonoMs,
    /// In the order in which they happened.
    pub rows: Arc<[TraceRow]>,
}

/// A row of an endpoint's trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// Which endpoint: its offset from the assignment's first.
    pub offset: u32,
    /// When it happened.
    pub at: MonoMs,
    /// What.
    pub what: TraceItem,
}

/// See [`TraceRow`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceItem {
    /// A message was sent or received.
    Message {
        /// As it was on the wire, but for credentials.
        message: Message,
        /// Whether credentials were taken out of it.
        redacted: bool,
    },
    /// The endpoint ended.
    Ending {
        /// Why, for people.
        detail: String,
        /// The final response to INVITE that was on the wire.
        code: Option<u16>,
        /// Messages that its trace had no room for.
        dropped: u32,
    },
}

/// What a row takes up beside its bytes, about.
const ROW_BYTES: usize = 128;

impl Traced {
    /// What the rows take up in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |row: &TraceRow| match &row.what {
            TraceItem::Message { message, .. } => message.bytes.len(),
            TraceItem::Ending { detail, .. } => detail.len(),
        };
        self.rows.iter().map(|row| of(row) + ROW_BYTES).sum()
    }
}
