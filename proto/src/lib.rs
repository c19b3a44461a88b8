//! The wire: code generated from the `.proto` files beside this crate, and the forms in which people meet it
//! (YAML and JSON documents, names of statuses).

pub mod bearer;
pub mod definition;
pub mod json;
pub mod names;
pub mod probe;
mod redacted;
pub mod response;
pub mod trace;

/// The public API, package `reeve.v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("reeve.v1");
}

/// Node to node, package `reeve.internal.v1`.
#[allow(missing_docs, clippy::all)]
pub mod internal {
    tonic::include_proto!("reeve.internal.v1");
}

/// Descriptors of all packages, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
