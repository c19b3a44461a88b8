//! Messages that carry a secret are printed without it: what derives `Debug` from the wire would put it into a log line.

use std::fmt;

use crate::v1;

macro_rules! redacted {
    ($($message:ident { $($shown:ident),+ }),+ $(,)?) => {
        $(impl fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), &self.$shown))+
                    .finish_non_exhaustive()
            }
        })+
    };
}

// The same names as in build.rs, which leaves them without a derived `Debug`.
redacted! {
    CreateWorkerResponse { worker },
    RegenerateTokenResponse { worker },
    BootstrapKeyRequest { name },
    BootstrapKeyResponse { key },
    CreateKeyResponse { key },
    CreateWebhookResponse { webhook },
    RotateWebhookSecretResponse { webhook },
    Hello { incarnation, capacity, health, held, version, wall_ms, draining },
    SipCredentials { username, realm },
    NewSipAccount { username, realm },
    GetMediaRequest { sha256 },
    PutChunkRequest { run_id, epoch, kind, seq, rows, last, dropped },
}

impl fmt::Debug for crate::internal::SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R90
    #[test]
    fn secrets_are_not_in_what_is_printed_for_developers() {
        let secret = || "cmw_5ec2e7".to_owned();
        let hello = v1::Hello {
            token: secret(),
            ..Default::default()
        };
        let credentials = v1::SipCredentials {
            secret: secret(),
            ..Default::default()
        };
        let texts = [
            format!("{credentials:?}"),
            format!(
                "{:?}",
                v1::ApplyAccountsRequest {
                    accounts: vec![v1::NewSipAccount {
                        secret: Some(secret()),
                        ..Default::default()
                    }],
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::GetMediaRequest {
                    token: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::SipOffer {
                    accounts: vec![credentials.clone()],
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                v1::CreateWorkerResponse {
                    worker: Some(v1::Worker::default()),
                    token: secret()
                }
            ),
            format!(
                "{:?}",
                v1::RegenerateTokenResponse {
                    worker: None,
                    token: secret()
                }
            ),
            format!(
                "{:?}",
                v1::BootstrapKeyResponse {
                    key: None,
                    secret: secret()
                }
            ),
            format!(
                "{:?}",
                v1::CreateKeyResponse {
                    key: None,
                    secret: secret()
                }
            ),
            format!(
                "{:?}",
                v1::CreateWebhookResponse {
                    webhook: None,
                    secret: secret()
                }
            ),
            format!(
                "{:?}",
                v1::RotateWebhookSecretResponse {
                    webhook: None,
                    secret: secret()
                }
            ),
            format!(
                "{:?}",
                crate::internal::SigningSecret {
                    secret: secret().into_bytes().into()
                }
            ),
            format!("{hello:?}"),
            format!(
                "{:#?}",
                v1::SessionRequest {
                    message: Some(v1::session_request::Message::Hello(hello.clone()))
                }
            ),
        ];
        for text in texts {
            assert!(!text.contains("5ec2e7"), "{text}");
            assert!(
                text.contains(".."),
                "{text} does not say that something is left out"
            );
        }
    }
}
