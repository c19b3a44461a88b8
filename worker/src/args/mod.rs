//! The worker's settings as flags, environment and file. A flag wins over the environment, that over the file.

mod file;
mod help;
mod parse;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use self::file::File;
pub use self::help::AFTER_HELP;
use crate::capacity::{CapacityRules, SipRule};
use crate::config::WorkerConfig;
use crate::error::ConfigError;
use crate::health::HealthConfig;
use crate::key::ApiKey;
use crate::ping::PingConfig;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::token::Token;

/// Flags and environment of `reeve worker` and `reeve-worker`.
#[derive(Args, Clone, Debug, Default)]
pub struct WorkerArgs {
    /// The worker's token, cmw_ and 64 hex digits. Better given by the environment or the file: others can see flags
    #[arg(
        long,
        env = "REEVE_WORKER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<Secret>,
    /// Nodes to connect to, host:port, separated by commas [default: 127.0.0.1:50052]
    #[arg(
        long = "node",
        visible_alias = "nodes",
        env = "REEVE_NODES",
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    nodes: Vec<String>,
    /// Address of health and metrics, or "off" [default: 127.0.0.1:3030]
    #[arg(long, env = "REEVE_WORKER_HTTP_ADDR", value_name = "ADDR")]
    http_addr: Option<String>,
    /// How long a drain waits before it hangs up what still runs [default: 60s]
    #[arg(long, env = "REEVE_WORKER_DRAIN_DEADLINE", value_name = "TIME")]
    drain_deadline: Option<String>,
    /// A PEM file with the certificate authorities of registrars that speak TLS [default: those of this machine]
    #[arg(long, env = "REEVE_WORKER_SIP_CA", value_name = "FILE")]
    sip_ca: Option<PathBuf>,
    /// A TOML file with the same settings; names as the flags', with _ for -, lists as nodes, labels, function_blocks
    #[arg(long, env = "REEVE_WORKER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    ping: PingArgs,
}

/// How much the worker takes, and how it watches its surroundings.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Capacity and health")]
struct LimitArgs {
    /// Most endpoints that this worker takes; fewer if CPU or memory allow fewer [default: what they allow; none with --ping]
    #[arg(long, env = "REEVE_WORKER_CAPACITY", value_name = "ENDPOINTS")]
    capacity: Option<u32>,
    /// Most SIP endpoints among them [default: what the machine carries, measured at the start]
    #[arg(long, env = "REEVE_WORKER_SIP_CAPACITY", value_name = "ENDPOINTS")]
    sip_capacity: Option<u32>,
    /// Endpoints for each processor that the worker may use, of its container if that has a limit [default: 50000]
    #[arg(long, env = "REEVE_WORKER_ENDPOINTS_PER_CORE", value_name = "ENDPOINTS")]
    endpoints_per_core: Option<u32>,
    /// Memory for each endpoint, of the container's limit if it has one [default: 16KiB]
    #[arg(long, env = "REEVE_WORKER_MEMORY_PER_ENDPOINT", value_name = "SIZE")]
    memory_per_endpoint: Option<String>,
    /// The disk that health reports tell of is that of this path [default: /]
    #[arg(long, env = "REEVE_WORKER_DISK_PATH", value_name = "PATH")]
    disk_path: Option<PathBuf>,
    /// Time between two looks at CPU, memory and disk; CPU use is the mean of the last twelve [default: 5s]
    #[arg(long, env = "REEVE_WORKER_HEALTH_INTERVAL", value_name = "TIME")]
    health_interval: Option<String>,
}

/// What a ping worker says of itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Ping mode")]
struct PingArgs {
    /// Register and ping instead of holding a session: for workers that take jobs. Needs an API key and no token
    #[arg(long, env = "REEVE_WORKER_PING")]
    ping: bool,
    /// Key with the role WORKER, cmk_ and 32 hex digits. Better given by the environment or the file
    #[arg(
        // Where a program has a global flag of this name, this one is it.
        global = true,long, env = "REEVE_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<Secret>,
    /// The worker's name; it gets its id back by it [default: the cluster makes one up]
    #[arg(long, env = "REEVE_WORKER_NAME", value_name = "NAME")]
    name: Option<String>,
    /// Where it is
    #[arg(long, env = "REEVE_WORKER_REGION", value_name = "REGION")]
    region: Option<String>,
    /// What selectors match; may be repeated
    #[arg(
        long = "label",
        env = "REEVE_WORKER_LABELS",
        value_delimiter = ',',
        value_name = "KEY=VALUE"
    )]
    labels: Vec<String>,
    /// Version of the worker's program [default: that of this one]
    #[arg(long, env = "REEVE_WORKER_VERSION", value_name = "VERSION")]
    worker_version: Option<String>,
    /// Where others reach it; for display
    #[arg(long, env = "REEVE_WORKER_IP_ADDRESS", value_name = "ADDRESS")]
    ip_address: Option<String>,
    /// A function block that it executes; may be repeated
    #[arg(
        long = "function-block",
        env = "REEVE_WORKER_FUNCTION_BLOCKS",
        value_delimiter = ',',
        value_name = "PACKAGE/NAME:1.2.3"
    )]
    function_blocks: Vec<String>,
}

impl WorkerArgs {
    /// Puts flags, environment, file and defaults together and checks every rule.
    pub fn into_settings(mut self) -> Result<Settings, ConfigError> {
        let path = self.config.take();
        let file = path.as_deref().map(file::read).transpose()?.unwrap_or_default();
        if self.ping.ping || file.ping {
            self.into_ping(file).map(Box::new).map(Settings::Ping)
        } else {
            self.into_session(file, path).map(Box::new).map(Settings::Session)
        }
    }

    fn into_session(self, file: File, path: Option<PathBuf>) -> Result<WorkerConfig, ConfigError> {
        self.ping.refused_in_a_session(&file)?;
        let token_file = path.filter(|_| self.token.is_none());
        let token = self.token.or(file.token).ok_or_else(|| {
            ConfigError::field(
                "token",
                "must be given, by REEVE_WORKER_TOKEN or in the configuration file",
            )
        })?;
        let nodes = nodes(self.nodes, file.nodes);
        let mut config = WorkerConfig::new(nodes, Token::parse(token.reveal())?);
        config.token_file = token_file;
        let limits = self.limits;
        config.health = health(
            limits.disk_path.or(file.disk_path),
            limits.health_interval.or(file.health_interval),
        )?;
        config.capacity = CapacityRules {
            configured: limits.capacity.or(file.capacity),
            endpoints_per_core: limits
                .endpoints_per_core
                .or(file.endpoints_per_core)
                .unwrap_or(CapacityRules::ENDPOINTS_PER_CORE),
            memory_per_endpoint_bytes: limits
                .memory_per_endpoint
                .or(file.memory_per_endpoint)
                .map_or(Ok(CapacityRules::MEMORY_PER_ENDPOINT_BYTES), |text| {
                    parse::bytes("memory_per_endpoint", &text)
                })?,
            sip: limits
                .sip_capacity
                .or(file.sip_capacity)
                .map_or(SipRule::Measured, SipRule::Given),
        };
        config.sip_ca = self.sip_ca.or(file.sip_ca);
        config.http_addr = parse::http_addr(self.http_addr.or(file.http_addr))?;
        if let Some(text) = self.drain_deadline.or(file.drain_deadline) {
            config.drain_deadline = parse::time("drain_deadline", &text)?;
        }
        config.validate()?;
        Ok(config)
    }

    fn into_ping(self, file: File) -> Result<PingConfig, ConfigError> {
        let (ping, limits) = (self.ping, self.limits);
        let key = ping.api_key.or(file.api_key).ok_or_else(|| {
            ConfigError::field(
                "api_key",
                "must be given in ping mode, by REEVE_API_KEY or in the configuration file; its role is WORKER",
            )
        })?;
        let placed = "is for workers with a session: no endpoints are placed on one that pings";
        let calls = "is for workers with a session: one that pings makes no calls";
        for (field, given, rule) in [
            ("capacity", limits.capacity.or(file.capacity).is_some(), placed),
            (
                "sip_capacity",
                limits.sip_capacity.or(file.sip_capacity).is_some(),
                placed,
            ),
            ("sip_ca", self.sip_ca.or(file.sip_ca).is_some(), calls),
        ] {
            if given {
                return Err(ConfigError::field(field, rule));
            }
        }
        let mut config = PingConfig::new(nodes(self.nodes, file.nodes), ApiKey::parse(key.reveal())?);
        config.name = ping.name.or(file.name).unwrap_or_default();
        config.region = ping.region.or(file.region).unwrap_or_default();
        config.labels = labels(&ping.labels, file.labels)?;
        if let Some(version) = ping.worker_version.or(file.worker_version) {
            config.version = version;
        }
        config.ip_address = ping.ip_address.or(file.ip_address).unwrap_or_default();
        config.function_blocks = first_given(ping.function_blocks, file.function_blocks);
        config.health = health(
            limits.disk_path.or(file.disk_path),
            limits.health_interval.or(file.health_interval),
        )?;
        config.http_addr = parse::http_addr(self.http_addr.or(file.http_addr))?;
        config.validate()?;
        Ok(config)
    }
}

impl PingArgs {
    /// A session worker is registered beforehand: what it is called and where it is stands there. The key is not among these:
    /// the client commands read it from the same environment.
    fn refused_in_a_session(&self, file: &File) -> Result<(), ConfigError> {
        let given = [
            ("name", self.name.is_some() || file.name.is_some()),
            ("region", self.region.is_some() || file.region.is_some()),
            ("labels", !self.labels.is_empty() || !file.labels.is_empty()),
            (
                "worker_version",
                self.worker_version.is_some() || file.worker_version.is_some(),
            ),
            (
                "ip_address",
                self.ip_address.is_some() || file.ip_address.is_some(),
            ),
            (
                "function_blocks",
                !self.function_blocks.is_empty() || !file.function_blocks.is_empty(),
            ),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(ConfigError::field(
                field,
                "only with --ping; a session worker has it from its registration",
            )),
            None => Ok(()),
        }
    }
}

/// The token that the file holds now, if it can be had.
pub(crate) fn token_in(path: &Path) -> Option<Token> {
    let token = file::read(path).ok()?.token?;
    Token::parse(token.reveal()).ok()
}

fn nodes(flags: Vec<String>, file: Vec<String>) -> Vec<String> {
    let mut nodes = first_given(flags, file);
    if nodes.is_empty() {
        nodes.push("127.0.0.1:50052".to_owned());
    }
    nodes.iter().map(|node| node.trim().to_owned()).collect()
}

fn first_given(flags: Vec<String>, file: Vec<String>) -> Vec<String> {
    if flags.is_empty() { file } else { flags }
}

fn labels(flags: &[String], file: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    if flags.is_empty() {
        return Ok(file);
    }
    flags.iter().map(|text| parse::label(text)).collect()
}

fn health(disk_path: Option<PathBuf>, interval: Option<String>) -> Result<HealthConfig, ConfigError> {
    let mut health = HealthConfig::default();
    if let Some(path) = disk_path {
        health.disk_path = path;
    }
    if let Some(text) = interval {
        health.interval = parse::time("health_interval", &text)?;
    }
    Ok(health)
}

#[cfg(test)]
mod tests;
