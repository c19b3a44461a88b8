//! The configuration file: the same settings as the flags, in TOML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::ConfigError;
use crate::secret::Secret;

/// What the file may hold; anything else is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub token: Option<Secret>,
    #[serde(default)]
    pub nodes: Vec<String>,
    pub capacity: Option<u32>,
    pub sip_capacity: Option<u32>,
    pub endpoints_per_core: Option<u32>,
    pub memory_per_endpoint: Option<String>,
    pub http_addr: Option<String>,
    pub drain_deadline: Option<String>,
    pub disk_path: Option<PathBuf>,
    pub health_interval: Option<String>,
    pub sip_ca: Option<PathBuf>,
    #[serde(default)]
    pub ping: bool,
    pub api_key: Option<Secret>,
    pub name: Option<String>,
    pub region: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub worker_version: Option<String>,
    pub ip_address: Option<String>,
    #[serde(default)]
    pub function_blocks: Vec<String>,
}

/// Reads and parses it.
pub fn read(path: &Path) -> Result<File, ConfigError> {
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
