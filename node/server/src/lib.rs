//! The node: gateway, gRPC and REST API, and the reconciler, composed around the store.

pub mod args;
pub mod config;
pub mod context;
pub mod gateway;
pub mod liveness;
pub mod reconciler;

pub use args::NodeArgs;
pub use config::{ConfigError, NodeConfig};
pub use context::Context;
