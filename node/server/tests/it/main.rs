//! A whole node in this process, over real gRPC and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod grpc;
mod http;
mod node;
mod ops;
mod rest;
mod watch;
