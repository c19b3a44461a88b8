//! Values that are more than a word or a number. Each error names the field and shows what a good value looks like.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::WorkerConfig;
use crate::error::ConfigError;

/// An address, or `off`.
pub fn http_addr(text: Option<String>) -> Result<Option<SocketAddr>, ConfigError> {
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

/// A time like `60s`.
pub fn time(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok());
    parsed.ok_or_else(|| ConfigError::field(field, format!("must be a time like 60s, 2m or 1h, is {text:?}")))
}

/// A number of bytes, or of KiB, MiB or GiB.
pub fn bytes(field: &'static str, text: &str) -> Result<u64, ConfigError> {
    let text = text.trim();
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: Option<u64> = match unit.trim() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| ConfigError::field(field, format!("must be a size like 16KiB or 1MiB, is {text:?}")))
}

/// `key=value`.
pub fn label(text: &str) -> Result<(String, String), ConfigError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(ConfigError::field(
            "labels",
            format!("each must be key=value, {text:?} is not"),
        )),
    }
}
