//! Signatures as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, one for each secret in force.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reeve_state::id::SigningSecret;
use sha2::Sha256;

/// What a secret begins with where people see it.
const SECRET_PREFIX: &str = "whsec_";

/// A secret as it is shown, once.
pub(crate) fn shown(secret: &SigningSecret) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret.0))
}

/// The header `webhook-signature`: one signature for each secret, separated by spaces.
pub(super) fn signatures<'a>(
    secrets: impl Iterator<Item = &'a SigningSecret>,
    id: &str,
    timestamp: u64,
    body: &[u8],
) -> String {
    let signed: Vec<String> = secrets
        .map(|secret| signature(&secret.0, id, timestamp, body))
        .collect();
    signed.join(" ")
}

fn signature(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> String {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    let mac = mac
        .chain_update(id)
        .chain_update(".")
        .chain_update(timestamp.to_string())
        .chain_update(".")
        .chain_update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks are tested with.
    #[test]
    fn the_known_example_is_signed_as_others_sign_it() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            signature(&secret, id, 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let secrets = [SigningSecret([1; 32]), SigningSecret([2; 32])];
        let both = signatures(secrets.iter(), "m", 1, b"x");
        let each: Vec<String> = secrets
            .iter()
            .map(|secret| signatures([secret].into_iter(), "m", 1, b"x"))
            .collect();
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
    }

    #[test]
    fn a_secret_is_shown_with_its_prefix() {
        let text = shown(&SigningSecret([0; 32]));
        assert_eq!(text, format!("whsec_{}=", "A".repeat(43)));
    }
}
