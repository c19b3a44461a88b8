//! A test definition as people write it, in YAML or JSON, and its way to the wire and back.
//!
//! Here are only syntax and types; the limits (how long, how many) are the server's to check.

mod document;
mod duration;
mod from_wire;
mod loss;
mod outcomes;
mod quality;
mod sip;
mod to_wire;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use document::{
    CalleeDocument, DefinitionDocument, FailAboveDocument, GroupDocument, QualityDocument, SimDocument,
    SipActionDocument, SipDocument, WorkerLossDocument,
};
pub use duration::{format_duration, parse_duration};

use crate::v1;

/// One rule that one field breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct FieldViolation {
    /// Path of the field in the document, for example `groups[0].sim.setup`; empty for the document as a whole.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl FieldViolation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// Reads a definition from JSON.
///
/// # Errors
/// Every violation that can be seen: one if the document cannot be read at all, else all bad values.
pub fn from_json(json: &[u8]) -> Result<v1::TestDefinition, Vec<FieldViolation>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let document = read(&mut deserializer).map_err(|violation| vec![violation])?;
    deserializer
        .end()
        .map_err(|error| vec![FieldViolation::new("", error.to_string())])?;
    document.try_into()
}

/// Reads the document from any serde format; used with the YAML reader by the command line.
///
/// # Errors
/// The field path, with the format's own message and position.
pub fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DefinitionDocument, FieldViolation> {
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        // "." is the document itself, "?" an object that broke off before its key was known.
        let path = error.path().to_string();
        let field = path.trim_end_matches('?').trim_end_matches('.').to_owned();
        FieldViolation::new(field, error.inner().to_string())
    })
}
