//! The key of a ping worker (D27a): its role is WORKER. It is shown nowhere: not in logs, not in errors, not by `Debug`.

use std::fmt;

use tonic::metadata::{Ascii, MetadataValue};

use crate::error::ConfigError;
use crate::secret::check;

const FIELD: &str = "api_key";
const PREFIX: &str = "cmk_";
const DIGITS: usize = 32;

/// A caller's key: `cmk_` and 32 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Checks the form of a key. The error names the rule and never repeats the input.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        check(FIELD, PREFIX, DIGITS, text).map(Self)
    }

    /// The value of the header `authorization`; marked as sensitive, so that no layer below logs it.
    pub(crate) fn authorization(&self) -> Result<MetadataValue<Ascii>, ConfigError> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", self.0))
            .map_err(|_| ConfigError::field(FIELD, "cannot be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}…")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // The form of D27a.
    #[test]
    fn a_key_has_its_prefix_and_32_hex_digits() {
        let good = format!("cmk_{}", "0123456789abcdef".repeat(2));
        assert!(ApiKey::parse(&good).is_ok());
        for bad in [
            "",
            "cmk_",
            &good[..35],
            &format!("{good}0"),
            &good.replace('k', "w"),
        ] {
            let error = ApiKey::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("api_key: must be cmk_"), "{error}");
        }
    }

    // Covers: R90
    #[test]
    fn neither_debug_nor_an_error_shows_it() {
        let secret = "5ec2e7ab".repeat(4);
        let key = ApiKey::parse(&format!("cmk_{secret}")).unwrap();
        let error = ApiKey::parse(&format!("cmx_{secret}")).unwrap_err();
        let shown = format!("{key:?} {:?} {error} {error:?}", key.authorization().unwrap());
        assert!(!shown.contains(&secret), "{shown}");
    }
}
