//! The handlers, one function per call, shared by gRPC and REST: decode, one call to the store, encode.
//!
//! Nothing here decides about state; what a command may do is decided when it is applied.

mod admission;
pub mod call;
mod cluster;
mod connections;
mod evidence;
mod explain;
pub(crate) mod keys;
mod live;
mod page;
mod probes;
mod projects;
mod read;
mod runs;
mod scope;
pub mod secret;
mod sip;
mod tests;
pub(crate) mod trace;
pub mod watch;
mod webhooks;
mod workers;
mod write;

use crate::context::Context;

pub use call::Call;
pub use page::to_hex;

/// The handlers of the public API.
#[derive(Clone)]
pub struct Api {
    context: Context,
    hub: watch::Hub,
}

impl Api {
    /// Serves what the context's store holds. Watchers are told what happens by [`Api::tell_watchers`].
    pub fn new(context: Context) -> Self {
        Self {
            context,
            hub: watch::Hub::new(),
        }
    }

    /// What the handlers work on.
    pub fn context(&self) -> &Context {
        &self.context
    }
}
