//! Evidence: what each endpoint did and measured, written down beside the work and uploaded in chunks (R153, D14).
//!
//! The agent's loop only passes on what executors say. A thread of its own writes rows and compresses them; a task uploads
//! the chunks over the session's connection. All three are bounded: what does not get through is dropped, oldest first, and counted.

mod chunk;
mod collector;
mod live;
mod queue;
mod recorder;
mod row;
mod trace_row;
mod upload;

#[cfg(test)]
pub use collector::BYTES_PER_ENDPOINT;
pub use recorder::{Input, Recorder};
pub use upload::Uploader;

/// Samples of one metric are whole thousandths of its unit.
pub type Milli = i64;

/// The set-up of a call, from its endpoint's start until it is in its call; without its wait as a registered SIP endpoint.
pub const SETUP_TIME: &str = "setup_time_ms";
/// From INCALL until it hangs up.
pub const CALL_DURATION: &str = "call_duration_ms";
/// How much later than the ramp says an endpoint started.
pub const START_LATENESS: &str = "start_lateness_ms";
/// How much later than its slot an endpoint called.
pub const CALL_LATENESS: &str = "call_lateness_ms";
