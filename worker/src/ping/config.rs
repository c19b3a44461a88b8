//! What a ping worker needs to know before it starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::backoff::BackoffLimits;
use crate::config::validate_nodes;
use crate::error::ConfigError;
use crate::health::HealthConfig;
use crate::key::ApiKey;

/// Longest name of anything, in bytes; a rule of the cluster.
const MAX_NAME_BYTES: usize = 128;

/// The configuration of one ping worker (source 003).
#[derive(Clone, Debug)]
pub struct PingConfig {
    /// gRPC addresses of nodes, `host:port`.
    pub nodes: Vec<String>,
    /// The key of the calls.
    pub key: ApiKey,
    /// The worker gets its id back by it; empty: the cluster makes one up.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// What selectors match.
    pub labels: BTreeMap<String, String>,
    /// Of the worker's program.
    pub version: String,
    /// For display; empty: not told.
    pub ip_address: String,
    /// What it executes, `package/name:major.minor.patch` (D17).
    pub function_blocks: Vec<String>,
    /// How the host or container is looked at.
    pub health: HealthConfig,
    /// Where health and metrics are served; None: nowhere.
    pub http_addr: Option<SocketAddr>,
    /// Limits of going on to the next node, and of the single calls.
    pub reconnect: BackoffLimits,
    /// How often registration is tried while the name is taken.
    pub name_taken_retry: Duration,
}

impl PingConfig {
    /// Defaults for everything but the addresses and the key; no HTTP.
    #[must_use]
    pub fn new(nodes: Vec<String>, key: ApiKey) -> Self {
        Self {
            nodes,
            key,
            name: String::new(),
            region: String::new(),
            labels: BTreeMap::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ip_address: String::new(),
            function_blocks: Vec::new(),
            health: HealthConfig::default(),
            http_addr: None,
            reconnect: BackoffLimits::default(),
            name_taken_retry: Duration::from_secs(10),
        }
    }

    /// Checks what can be checked without the cluster, which checks the rest; the error names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        validate_nodes(&self.nodes)?;
        self.health.validate()?;
        if !self.ip_address.is_empty() && self.ip_address.parse::<IpAddr>().is_err() {
            let rule = format!("must be an IPv4 or IPv6 address, is {:?}", self.ip_address);
            return Err(ConfigError::field("ip_address", rule));
        }
        match self
            .function_blocks
            .iter()
            .find(|block| !is_function_block(block))
        {
            Some(block) => Err(ConfigError::field(
                "function_blocks",
                format!("each must be package/name:major.minor.patch, {block:?} is not"),
            )),
            None => Ok(()),
        }
    }
}

/// `package/name:major.minor.patch`, as the cluster checks it.
fn is_function_block(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let word = |word: &str| !word.is_empty() && word.bytes().all(letter);
    let number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some((path, version)) = text.split_once(':') else {
        return false;
    };
    let named = path
        .split_once('/')
        .is_some_and(|(package, name)| word(package) && word(name));
    text.len() <= MAX_NAME_BYTES && named && version.split('.').count() == 3 && version.split('.').all(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> PingConfig {
        let key = ApiKey::parse(&format!("cmk_{}", "ab".repeat(16))).unwrap();
        PingConfig::new(vec!["a:1".to_owned()], key)
    }

    fn refused(change: impl FnOnce(&mut PingConfig)) -> String {
        let mut config = config();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    // Covers: R344, D17
    #[test]
    fn a_function_block_has_a_package_a_name_and_three_numbers() {
        for good in ["media/transcode:1.2.3", "a.b-c/d_e:0.0.1"] {
            assert!(is_function_block(good), "{good}");
        }
        for bad in [
            "transcode:1.2.3",
            "a/b",
            "a/b:1.2",
            "a/b:1.2.3.4",
            "a/b:1.2.x",
            "/b:1.2.3",
            "a/b/c:1.2.3",
            "a/b:1..3",
            "",
        ] {
            assert!(!is_function_block(bad), "{bad}");
        }
    }

    #[test]
    fn errors_name_the_field_and_the_rule() {
        assert!(config().validate().is_ok());
        assert_eq!(
            refused(|config| config.function_blocks.push("a:1".to_owned())),
            "function_blocks: each must be package/name:major.minor.patch, \"a:1\" is not"
        );
        assert!(
            refused(|config| config.ip_address = "here".to_owned())
                .starts_with("ip_address: must be an IPv4")
        );
        assert!(refused(|config| config.nodes.clear()).starts_with("nodes: must name at least one"));
    }

    // Covers: R90
    #[test]
    fn debug_does_not_show_the_key() {
        assert!(!format!("{:?}", config()).contains("abab"));
    }
}
