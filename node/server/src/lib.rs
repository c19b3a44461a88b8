//! The node: gateway, gRPC and REST API, and the reconciler, composed around the store.

pub mod api;
pub mod args;
pub mod bootstrap;
pub mod config;
mod context;
mod convert;
pub mod error;
pub mod evidence;
#[doc(hidden)]
pub mod fuzz;
pub mod gateway;
mod grpc;
pub mod liveness;
mod media;
mod mutants;
mod readiness;
pub mod reconciler;
mod rest;
mod run;
mod seal;
#[doc(hidden)]
pub mod sim;
mod telemetry;
pub mod webhooks;

pub use args::NodeArgs;
pub use config::{ConfigError, NodeConfig};
pub use context::Context;
pub use run::{NodeError, run};
