//! For tests, here and in other crates: a path with delay, jitter and loss, and a brake for the engine's thread.

mod brake;
mod relay;

pub use brake::Brake;
pub use relay::{Counted, Path, Relay};
