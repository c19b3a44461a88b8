//! Clusters of real processes, for programs that measure Reeve (`bench/`) or break it (`chaos/`).
//!
//! A cluster lives in one directory, on ports that were free a moment ago. Every process is ended, by its pid, when its
//! value is dropped, and ends by itself when its parent dies.

mod child;
mod cluster;
mod ports;
mod program;
mod wait;
mod worker;

pub use child::Child;
pub use cluster::{ADMIN_KEY, Cluster, ClusterSpec, NodeAddresses};
pub use ports::free_addresses;
pub use program::{on_path, reeve_program};
pub use wait::{until, until_some};
pub use worker::{Program, WorkerProcess, create_worker};
