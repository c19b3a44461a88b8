//! Secrets as they are given: shown nowhere (R83, R90), and checked late, because the parser of flags repeats bad values.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::error::ConfigError;

/// A secret whose form was not checked yet.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the check and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

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

/// A prefix and so many hex digits. The error names the rule and never repeats the input.
pub(crate) fn check(
    field: &'static str,
    prefix: &str,
    digits: usize,
    text: &str,
) -> Result<String, ConfigError> {
    let text = text.trim();
    let found = text.strip_prefix(prefix).unwrap_or_default();
    if found.len() != digits || !found.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let rule = format!("must be {prefix} followed by {digits} hex digits (the value is not shown)");
        return Err(ConfigError::field(field, rule));
    }
    Ok(text.to_owned())
}
