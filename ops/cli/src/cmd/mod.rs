//! The commands, a file for each noun.

pub(crate) mod cluster;
pub(crate) mod completions;
pub mod events;
mod explain;
pub(crate) mod key;
mod metrics;
pub(crate) mod node;
pub(crate) mod probe;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod sip;
pub(crate) mod status;
pub(crate) mod test;
mod trace;
mod watch;
pub(crate) mod webhook;
pub(crate) mod worker;
pub(crate) mod workers;

use crate::error::CliError;

/// Objects per page of a list call.
pub(crate) const PAGE_SIZE: u32 = 500;

/// The object of an answer, which every node sends.
fn present<T>(object: Option<T>) -> Result<T, CliError> {
    object.ok_or_else(|| CliError::message("the node answered without the object"))
}
