//! The worker agent: one session to any node of the cluster, and the executors that do the work behind it.
//!
//! The crate knows only the wire. What can be decided without I/O is decided in small pure files ([`ramp`], [`wheel`],
//! [`backoff`], [`clock`], [`fleet`], [`sim::script`]); `agent` is the one loop that ties them to the network and to time.
//!
//! A started assignment needs no node: while the worker is disconnected its endpoints go on, and what they did is
//! reported when a session stands again, each change exactly once (D14, D30).

mod agent;
mod args;
pub mod backoff;
mod capacity;
mod cause;
pub mod clock;
mod config;
mod connect;
mod error;
mod evidence;
pub mod executor;
pub mod fleet;
mod health;
mod hooks;
mod http;
mod key;
mod link;
mod log_filter;
mod nodes;
mod ping;
pub mod ramp;
mod secret;
mod settings;
pub mod sim;
mod sip;
mod skew;
mod telemetry;
mod token;
pub mod trace;
pub mod wheel;

pub use agent::{run, run_with};
pub use args::{AFTER_HELP, WorkerArgs};
pub use backoff::BackoffLimits;
pub use capacity::CapacityRules;
pub use config::WorkerConfig;
pub use error::{ConfigError, WorkerError};
pub use executor::{AssignmentKey, EndpointChange, Event, EventSink, Executor, Executors, Samples, Work};
pub use health::HealthConfig;
pub use hooks::{Hooks, MakeExecutors, Observer};
pub use key::ApiKey;
pub use log_filter::log_filter;
pub use ping::{PingConfig, run_ping};
pub use secret::Secret;
pub use settings::Settings;
pub use token::Token;
