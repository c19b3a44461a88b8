//! The replicated store: `reeve-state` behind Raft (openraft), on disk (RocksDB), and the calls between nodes.
//!
//! The one crate that knows how the state is kept. Everything else sees [`Store`]: propose, read, watch, and change the cluster.

mod admin;
mod boot;
mod clock;
mod codec;
mod config;
mod entry;
mod error;
mod fatal;
mod feed;
mod files;
mod forward;
mod lanes;
mod leadership;
mod log;
mod machine;
mod member;
mod network;
#[doc(hidden)]
pub mod outside;
mod peers;
mod proposer;
mod published;
mod reader;
mod retention;
mod runtime;
mod secret;
mod server;
mod shared;
#[doc(hidden)]
pub mod sim;
mod snapshots;
mod status;
mod store;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod types;

pub use codec::{DecodeError, decode_envelope, encode_envelope};
#[doc(hidden)]
pub use codec::{row_from_bytes, row_to_bytes};
pub use config::{RaftTimings, SnapshotPolicy, StoreConfig};
pub use error::{AdminError, Compacted, OpenError, ProposeError, ReadError, UnavailableReason};
pub use fatal::FatalError;
pub use feed::{Feed, FeedItem};
pub use lanes::Lane;
pub use leadership::Leadership;
pub use member::MemberInfo;
pub use reader::Consistency;
pub use secret::{ClusterSecret, shown as shown_secret};
pub use status::{MemberRole, MemberStatus, StoreStatus};
pub use store::Store;
