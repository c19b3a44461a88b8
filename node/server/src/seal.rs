//! Secrets of SIP accounts on their way into the log and out of it again: sealed with a key of the cluster secret (ADR 21).

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand::RngCore;
use reeve_state::record::{SealedSecret, SipAccountKey};
use reeve_store::ClusterSecret;
use sha2::Sha256;
use thiserror::Error;

/// Bytes of a nonce.
const NONCE: usize = 24;

/// Why a secret cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The node has no cluster secret.
    #[error("this node has no cluster secret (REEVE_CLUSTER_SECRET)")]
    NoClusterSecret,
    /// It was sealed with another cluster secret.
    #[error("it was sealed with another cluster secret: apply the accounts again, or give nodes the old one")]
    OtherClusterSecret,
    /// It is not what was sealed for this account.
    #[error("it is damaged")]
    Damaged,
}

/// Seals and opens.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: [u8; 8],
    fingerprint: [u8; 32],
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// With keys of this secret. Each use has a key of its own, and none tells of another.
    pub fn new(secret: &ClusterSecret) -> Self {
        let keys = Hkdf::<Sha256>::new(Some(b"reeve sip accounts"), secret.material());
        Self {
            cipher: XChaCha20Poly1305::new(Key::from_slice(&expand::<32>(&keys, b"seal"))),
            key_id: expand(&keys, b"key id"),
            fingerprint: expand(&keys, b"fingerprint"),
        }
    }

    /// `None`: it could not be sealed, which the cipher rules out for anything that fits into memory.
    pub fn seal(&self, account: &SipAccountKey, secret: &str) -> Option<SealedSecret> {
        let mut nonce = [0_u8; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: &whose(account),
        };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some(SealedSecret {
            key_id: self.key_id,
            sealed: nonce.into_iter().chain(sealed).collect(),
        })
    }

    /// The secret of an account.
    ///
    /// # Errors
    /// It was sealed with another cluster secret, or for another account.
    pub fn open(&self, account: &SipAccountKey, secret: &SealedSecret) -> Result<String, Unreadable> {
        if secret.key_id != self.key_id {
            return Err(Unreadable::OtherClusterSecret);
        }
        let (nonce, sealed) = secret.sealed.split_at_checked(NONCE).ok_or(Unreadable::Damaged)?;
        let payload = Payload {
            msg: sealed,
            aad: &whose(account),
        };
        let opened = self.cipher.decrypt(XNonce::from_slice(nonce), payload);
        opened
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(Unreadable::Damaged)
    }

    /// The same for the same secret, and of no use to guess it by without the cluster secret: for hashes of requests, which are in the log.
    pub fn fingerprint(&self, secret: &str) -> [u8; 32] {
        // HMAC takes keys of any length.
        match <Hmac<Sha256> as Mac>::new_from_slice(&self.fingerprint) {
            Ok(mac) => mac.chain_update(secret.as_bytes()).finalize().into_bytes().into(),
            Err(_) => [0; 32],
        }
    }
}

fn expand<const N: usize>(keys: &Hkdf<Sha256>, info: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    // Fails only for more than 8,160 bytes.
    let expanded = keys.expand(info, &mut key);
    debug_assert!(expanded.is_ok());
    key
}

/// A secret that is moved to another account does not open there. Lengths come first, so that no two accounts look alike.
fn whose(account: &SipAccountKey) -> Vec<u8> {
    let parts = [
        account.pool.project.as_str(),
        &account.pool.name,
        &account.username,
    ];
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use reeve_state::id::{ProjectName, ScopedName};

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&ClusterSecret::new(secret).unwrap())
    }

    fn account(pool: &str, username: &str) -> SipAccountKey {
        SipAccountKey {
            pool: ScopedName::new(&ProjectName::default(), pool),
            username: username.into(),
        }
    }

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "0123456789abcdef0123456789abcdeF";

    #[test]
    fn a_secret_opens_for_its_account_with_its_cluster_secret_and_nowhere_else() {
        let (here, there) = (sealer(ONE), sealer(OTHER));
        let sealed = here.seal(&account("p", "1001"), "s3cret").unwrap();
        assert_eq!(
            sealer(ONE).open(&account("p", "1001"), &sealed),
            Ok("s3cret".to_owned())
        );
        for other in [account("p", "1002"), account("p1", "001"), account("q", "1001")] {
            assert_eq!(here.open(&other, &sealed), Err(Unreadable::Damaged), "{other:?}");
        }
        assert_eq!(
            there.open(&account("p", "1001"), &sealed),
            Err(Unreadable::OtherClusterSecret)
        );
        for byte in 0..sealed.sealed.len() {
            let mut bad = sealed.clone();
            bad.sealed[byte] ^= 1;
            assert_eq!(here.open(&account("p", "1001"), &bad), Err(Unreadable::Damaged));
        }
        let cut = SealedSecret {
            sealed: vec![1; 3],
            ..sealed
        };
        assert_eq!(here.open(&account("p", "1001"), &cut), Err(Unreadable::Damaged));
    }

    #[test]
    fn nothing_of_a_secret_is_in_what_is_stored_or_printed() {
        let here = sealer(ONE);
        let (one, two) = (
            here.seal(&account("p", "1"), "s3cret").unwrap(),
            here.seal(&account("p", "1"), "s3cret").unwrap(),
        );
        assert_ne!(one, two, "two secrets that are alike do not look alike");
        assert!(!one.sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(one.sealed.len(), 24 + 6 + 16, "nonce, text, tag");
        assert_eq!(format!("{here:?} {one:?}"), "Sealer(…) SealedSecret(…)");
    }

    #[test]
    fn fingerprints_tell_secrets_apart_and_need_the_cluster_secret() {
        let here = sealer(ONE);
        assert_eq!(here.fingerprint("a"), sealer(ONE).fingerprint("a"));
        assert_ne!(here.fingerprint("a"), here.fingerprint("b"));
        assert_ne!(here.fingerprint("a"), sealer(OTHER).fingerprint("a"));
    }
}
