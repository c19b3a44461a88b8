//! Log entries: many encoded envelopes under one stamp.

use bytes::{Bytes, BytesMut};
use prost::Message;
use reeve_proto::internal as wire;
use reeve_state::time::Time;

use crate::types::EntryData;

/// Version of the entry's layout.
pub(crate) const VERSION: u32 = 1;

/// An entry of these envelopes, in this order.
pub(crate) fn encode(stamp: Time, envelopes: Vec<Bytes>) -> EntryData {
    let entry = wire::LogEntry {
        version: VERSION,
        stamp_ms: stamp.0,
        envelopes,
    };
    let mut bytes = BytesMut::with_capacity(entry.encoded_len());
    entry.encode_raw(&mut bytes);
    EntryData(bytes.freeze())
}
