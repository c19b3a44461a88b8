//! Against real peers: Kamailio as registrar and proxy, SIPp and baresip as caller and callee. Needs `ops/bootstrap sip`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "interop/baresip.rs"]
mod baresip;
#[path = "interop/given.rs"]
mod given;
#[path = "interop/kamailio.rs"]
mod kamailio;
#[path = "interop/peer.rs"]
mod peer;
#[path = "interop/sandbox.rs"]
mod sandbox;
#[path = "interop/sipp.rs"]
mod sipp;
#[path = "interop/tcp.rs"]
mod tcp;
#[path = "interop/tls.rs"]
mod tls;
