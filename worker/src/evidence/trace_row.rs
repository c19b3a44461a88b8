//! The rest of a row of a trace, as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reeve_sip::tap::{Message, Transport, Way};
use serde::Serialize;

use crate::trace::TraceItem;

/// Fields that say nothing are left out.
#[derive(Serialize)]
struct MessageFields<'a> {
    seq: u32,
    us: u64,
    wall_ns: i64,
    way: &'a str,
    local: String,
    remote: String,
    transport: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    redacted: bool,
    raw: String,
}

#[derive(Serialize)]
struct EndingFields<'a> {
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u32,
}

// Serde asks with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The fields of what happened, with their braces. These always have a form in JSON.
pub fn fields(item: &TraceItem) -> String {
    let json = match item {
        TraceItem::Message { message, redacted } => serde_json::to_string(&of_message(message, *redacted)),
        TraceItem::Ending {
            detail,
            code,
            dropped,
        } => serde_json::to_string(&EndingFields {
            detail,
            code: *code,
            dropped: *dropped,
        }),
    };
    json.unwrap_or_default()
}

fn of_message(message: &Message, redacted: bool) -> MessageFields<'static> {
    MessageFields {
        seq: message.seq,
        us: u64::try_from(message.since.as_micros()).unwrap_or(u64::MAX),
        wall_ns: message.wall_ns,
        way: match message.way {
            Way::Sent => "sent",
            Way::Received => "received",
        },
        local: message.local.to_string(),
        remote: message.remote.to_string(),
        transport: match message.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        },
        repeats: message.repeats,
        truncated: message.truncated,
        redacted,
        raw: BASE64_STANDARD.encode(&message.bytes),
    }
}
