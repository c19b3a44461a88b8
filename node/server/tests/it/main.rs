//! A whole node in this process, over real gRPC and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod admission;
mod bad_input;
mod cluster;
mod drain;
mod events;
mod evidence;
mod explain;
mod grpc;
mod http;
mod limits;
mod moving;
#[cfg(feature = "mutants")]
mod mutants;
mod node;
mod ops;
mod ping;
mod probes;
mod projects;
mod registry;
mod rest;
mod rest_workers;
mod session;
mod sip_events;
mod sse;
mod watch;
mod webhooks;
