//! Secrets that are shown once and kept only as hashes: tokens of workers (R83, R84), keys of callers (D27a).

use std::fmt;

use rand::RngCore;
use reeve_state::id::{KeyHash, TokenHash};
use sha2::{Digest, Sha256};

use super::page::to_hex;

/// What a caller's key begins with.
const KEY_PREFIX: &str = "cmk_";
/// Hex digits of a caller's key.
const KEY_DIGITS: usize = 32;
/// What a worker's token begins with.
const TOKEN_PREFIX: &str = "cmw_";

/// A secret on its way to the one who asked for it: never printed.
pub(super) struct Secret(String);

impl Secret {
    /// A new worker's token: `cmw_` and 64 hex digits.
    pub(super) fn token() -> Self {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(format!("{TOKEN_PREFIX}{}", to_hex(bytes)))
    }

    /// A new caller's key: `cmk_` and 32 hex digits.
    pub(super) fn key() -> Self {
        let mut bytes = [0_u8; KEY_DIGITS / 2];
        rand::rng().fill_bytes(&mut bytes);
        Self(format!("{KEY_PREFIX}{}", to_hex(bytes)))
    }

    /// A caller's key that the caller has made up, or a new one if it gave none; `None`: it gave something else.
    pub(super) fn key_given(given: &str) -> Option<Self> {
        if given.is_empty() {
            return Some(Self::key());
        }
        key_hash(given).map(|_| Self(given.to_owned()))
    }

    pub(super) fn token_hash(&self) -> TokenHash {
        TokenHash(digest(&self.0))
    }

    pub(super) fn key_hash(&self) -> KeyHash {
        KeyHash(digest(&self.0))
    }

    /// For the answer to the one call that made it.
    pub(super) fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// What a caller's key hashes to; `None` if it is not of the form of one.
pub fn key_hash(secret: &str) -> Option<KeyHash> {
    let digits = secret.strip_prefix(KEY_PREFIX)?;
    let is_hex = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits.len() == KEY_DIGITS && is_hex).then(|| KeyHash(digest(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R83, R84, R85, R90
    #[test]
    fn tokens_have_the_form_of_the_contract_and_are_never_printed() {
        let token = Secret::token();
        assert_eq!(format!("{token:?}"), "Secret(…)");
        assert_ne!(token.0, Secret::token().0);
        assert_eq!(
            token.token_hash(),
            TokenHash(Sha256::digest(token.0.as_bytes()).into())
        );
        let token = token.reveal();
        assert_eq!(token.len(), 68);
        let digits = token.strip_prefix("cmw_").unwrap_or_default();
        assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn only_what_has_the_form_of_a_key_is_taken_for_one() {
        let key = Secret::key();
        assert_eq!(key_hash(&key.0), Some(key.key_hash()));
        assert_eq!(
            Secret::key_given(&key.0).map(|given| given.0),
            Some(key.0.clone())
        );
        assert!(Secret::key_given("").is_some() && Secret::key_given("cmk_1").is_none());
        let key = key.reveal();
        let short = &key[..key.len() - 1];
        let upper = key.to_uppercase();
        let token = Secret::token().reveal();
        for wrong in ["", "cmk_", short, &upper, &token, &format!("{key}0")] {
            assert_eq!(key_hash(wrong), None, "{}", wrong.len());
        }
    }
}
