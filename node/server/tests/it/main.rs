//! A whole node in this process, over real gRPC and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod admission;
mod cluster;
mod drain;
mod grpc;
mod http;
mod node;
mod ops;
mod ping;
mod probes;
mod registry;
mod rest;
mod rest_workers;
mod session;
mod watch;
mod webhooks;
