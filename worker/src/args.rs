//! The worker's settings as flags, environment and file. A flag wins over the environment, that over the file.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::config::WorkerConfig;
use crate::error::ConfigError;
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
    /// Most endpoints that this worker takes [default: 100000]
    #[arg(long, env = "REEVE_WORKER_CAPACITY", value_name = "ENDPOINTS")]
    capacity: Option<u32>,
    /// Address of health and metrics, or "off" [default: 127.0.0.1:3030]
    #[arg(long, env = "REEVE_WORKER_HTTP_ADDR", value_name = "ADDR")]
    http_addr: Option<String>,
    /// How long a drain waits before it hangs up what still runs [default: 60s]
    #[arg(long, env = "REEVE_WORKER_DRAIN_DEADLINE", value_name = "TIME")]
    drain_deadline: Option<String>,
    /// A TOML file with the same settings: token, nodes, capacity, http_addr, drain_deadline
    #[arg(long, env = "REEVE_WORKER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A token that was not checked yet; checked late because the parser of flags repeats bad values.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    token: Option<Secret>,
    #[serde(default)]
    nodes: Vec<String>,
    capacity: Option<u32>,
    http_addr: Option<String>,
    drain_deadline: Option<String>,
}

impl WorkerArgs {
    /// Puts flags, environment, file and defaults together and checks every rule.
    pub fn into_config(self) -> Result<WorkerConfig, ConfigError> {
        let file = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let token = self.token.or(file.token).ok_or_else(|| {
            ConfigError::field(
                "token",
                "must be given, by REEVE_WORKER_TOKEN or in the configuration file",
            )
        })?;
        let mut nodes = if self.nodes.is_empty() {
            file.nodes
        } else {
            self.nodes
        };
        if nodes.is_empty() {
            nodes.push("127.0.0.1:50052".to_owned());
        }
        let nodes = nodes.iter().map(|node| node.trim().to_owned()).collect();
        let mut config = WorkerConfig::new(nodes, Token::parse(&token.0)?);
        config.capacity = self.capacity.or(file.capacity).unwrap_or(WorkerConfig::CAPACITY);
        config.http_addr = http_addr(self.http_addr.or(file.http_addr))?;
        if let Some(text) = self.drain_deadline.or(file.drain_deadline) {
            config.drain_deadline = time("drain_deadline", &text)?;
        }
        config.validate()?;
        Ok(config)
    }
}

fn http_addr(text: Option<String>) -> Result<Option<SocketAddr>, ConfigError> {
    match text.as_deref() {
        None => Ok(Some(WorkerConfig::HTTP_ADDR)),
        Some("off") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            ConfigError::field(
                "http_addr",
                format!("must be an address like 127.0.0.1:3030, or off, is {text:?}"),
            )
        }),
    }
}

fn time(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok());
    parsed.ok_or_else(|| ConfigError::field(field, format!("must be a time like 60s, 2m or 1h, is {text:?}")))
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        line: error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1),
        message: error.message().to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        worker: WorkerArgs,
    }

    fn token() -> String {
        format!("cmw_{}", "ab".repeat(32))
    }

    fn parse(flags: &[&str]) -> Result<WorkerConfig, ConfigError> {
        let flags = ["reeve-worker"].iter().chain(flags);
        Program::try_parse_from(flags).unwrap().worker.into_config()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    // Covers: R50
    #[test]
    fn defaults_are_those_of_the_documents() {
        let config = parse(&["--token", &token()]).unwrap();
        assert_eq!(config.nodes, ["127.0.0.1:50052"]);
        assert_eq!(config.capacity, 100_000);
        assert_eq!(config.http_addr, Some("127.0.0.1:3030".parse().unwrap()));
        assert_eq!(config.drain_deadline, Duration::from_secs(60));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let text = format!(
            "token = \"{}\"\nnodes = [\"a:1\", \"b:2\"]\ncapacity = 5\ndrain_deadline = \"2m\"",
            token()
        );
        let file = file(&text);
        let path = file.path().to_str().unwrap();
        let config = parse(&["--config", path, "--capacity", "7", "--http-addr", "off"]).unwrap();
        assert_eq!(
            (config.nodes.len(), config.capacity, config.http_addr),
            (2, 7, None)
        );
        assert_eq!(config.drain_deadline, Duration::from_secs(120));
        let config = parse(&["--config", path, "--nodes", "c:3,d:4"]).unwrap();
        assert_eq!(config.nodes, ["c:3", "d:4"]);
    }

    #[test]
    fn errors_name_the_field_and_the_rule() {
        let token = token();
        let refused = |flags: &[&str]| {
            let flags: Vec<_> = ["--token", token.as_str()].iter().chain(flags).copied().collect();
            parse(&flags).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&["--nodes", "a"]),
            "nodes: each must be host:port, \"a\" is not"
        );
        assert_eq!(
            refused(&["--nodes", "http://a:1"]),
            "nodes: each must be host:port, \"http://a:1\" is not"
        );
        assert_eq!(
            refused(&["--capacity", "0"]),
            "capacity: must be between 1 and 10000000 endpoints, is 0"
        );
        assert!(refused(&["--http-addr", "here"]).starts_with("http_addr: must be an address like"));
        assert!(refused(&["--drain-deadline", "soon"]).starts_with("drain_deadline: must be a time like"));
        assert!(refused(&["--config", "/nowhere"]).starts_with("config: cannot read /nowhere: "));
        assert!(
            parse(&[])
                .unwrap_err()
                .to_string()
                .starts_with("token: must be given")
        );
    }

    #[test]
    fn no_error_shows_the_token() {
        let bad = token().replace('b', "x");
        let flag = parse(&["--token", &bad]).unwrap_err().to_string();
        let file = file(&format!("capacity = 1\ntoken = [\"{bad}\"]\n"));
        let malformed = parse(&["--config", file.path().to_str().unwrap()])
            .unwrap_err()
            .to_string();
        assert!(malformed.contains("line 2: invalid type"), "{malformed}");
        let debug = format!(
            "{:?}",
            Program::try_parse_from(["w", "--token", &bad]).unwrap().worker
        );
        for text in [flag, malformed, debug] {
            assert!(!text.contains(&bad), "{text}");
        }
    }
}
