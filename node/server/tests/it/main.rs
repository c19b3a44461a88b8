//! A whole node in this process, over real gRPC and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod grpc;
mod http;
mod node;
mod ops;
mod rest;
mod watch;
