//! The worker's credential. It is shown nowhere: not in logs, not in errors, not by `Debug` (R83, R102).

use std::fmt;

use crate::error::ConfigError;
use crate::secret::check;

const PREFIX: &str = "cmw_";
const DIGITS: usize = 64;

/// A worker token: `cmw_` and 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Checks the form of a token. The error names the rule and never repeats the input.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        check("token", PREFIX, DIGITS, text).map(Self)
    }

    /// The token itself, for the first message of a session and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}…")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    // Covers: R83
    #[test]
    fn a_token_has_its_prefix_and_64_hex_digits() {
        let good = format!("cmw_{}", "0123456789abcdef".repeat(4));
        assert!(Token::parse(&good).is_ok());
        assert!(Token::parse(&format!(" {good}\n")).is_ok());
        for bad in [
            "",
            "cmw_",
            "cmk_00",
            &good[..67],
            &format!("{good}0"),
            &good.replace('f', "g"),
        ] {
            let error = Token::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("token: must be cmw_"), "{error}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_it() {
        let secret = "5ec2e7".repeat(10);
        let token = Token::parse(&format!("cmw_{secret}0000")).unwrap();
        assert_eq!(format!("{token:?}"), "cmw_…");
        let error = Token::parse(&format!("cmx_{secret}")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret));
    }
}
