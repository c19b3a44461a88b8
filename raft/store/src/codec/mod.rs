//! Between the plain types of `reeve-state` and the bytes of the log, the disk and the wire.
//!
//! Written by hand, type by type, so that a change of a state type does not compile until its bytes are considered.

mod command;
mod enums;
mod evidence;
mod probe;
mod project;
mod raft;
mod record;
mod reply;
mod row;
mod run;
mod sip;
mod sip_resources;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

use bytes::Bytes;
use prost::Message;
use reeve_proto::internal as wire;
use reeve_state::command::{Command, Envelope};
use reeve_state::time::{Millis, Time};
use thiserror::Error;

pub(crate) use row::{TABLES, key_of, meta_from_bytes, meta_to_bytes, row_after, row_key};
pub use row::{row_from_bytes, row_to_bytes};

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not a message at all.
    #[error("not a valid message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field of fixed length has another one.
    #[error("field {field} has {got} bytes, not {expected}")]
    Length {
        /// The field.
        field: &'static str,
        /// Its length by definition.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A number that stands for nothing that this program knows.
    #[error("field {field} has the unknown value {value}")]
    Unknown {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A command, an event or another alternative that this program does not know.
    #[error("{0} of a kind that this program does not know")]
    UnknownKind(&'static str),
    /// Values that do not belong together.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// The bytes hold something that this program does not read: a newer one wrote them.
    #[error("{0} does not encode to the same bytes again: a newer program wrote it")]
    NotCanonical(&'static str),
}

/// A type with bytes of its own.
pub(crate) trait Wire: Sized {
    /// The generated message.
    type Proto: Message + Default;
    /// To the message.
    fn to_proto(&self) -> Self::Proto;
    /// From the message.
    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError>;
}

/// The bytes of an envelope, as they stand in the log.
pub fn encode_envelope(envelope: &Envelope) -> Bytes {
    Bytes::from(envelope.to_proto().encode_to_vec())
}

/// An envelope from its bytes. Bytes that would not encode to the same again are refused: a guess could differ between nodes.
pub fn decode_envelope(bytes: &Bytes) -> Result<Envelope, DecodeError> {
    let proto = wire::Envelope::decode(bytes.clone())?;
    if proto.command.is_none() {
        return Err(DecodeError::UnknownKind("command"));
    }
    let envelope = Envelope::from_proto(proto)?;
    if encode_envelope(&envelope) != *bytes {
        return Err(DecodeError::NotCanonical("command"));
    }
    Ok(envelope)
}

/// The name of a command, for a panic's message.
pub(crate) fn describe(command: &Command) -> String {
    format!("command {} ({})", command.number(), command.name())
}

// === helpers of the codec modules ===

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing(field))
}

fn message<T: Wire>(field: &'static str, value: Option<T::Proto>) -> Result<T, DecodeError> {
    T::from_proto(required(field, value)?)
}

fn optional<T: Wire>(value: Option<T::Proto>) -> Result<Option<T>, DecodeError> {
    value.map(T::from_proto).transpose()
}

fn list<T: Wire>(values: Vec<T::Proto>) -> Result<Vec<T>, DecodeError> {
    values.into_iter().map(T::from_proto).collect()
}

fn protos<T: Wire>(values: &[T]) -> Vec<T::Proto> {
    values.iter().map(T::to_proto).collect()
}

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    <[u8; N]>::try_from(bytes).map_err(|_| DecodeError::Length {
        field,
        expected: N,
        got: bytes.len(),
    })
}

fn id_bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn time(ms: Option<u64>) -> Option<Time> {
    ms.map(Time)
}

fn ms(time: Option<Time>) -> Option<u64> {
    time.map(|time| time.0)
}

const fn span(ms: u64) -> Millis {
    Millis(ms)
}
