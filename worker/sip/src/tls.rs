//! Whom connections within TLS are made to: the certificate of the other side is always checked.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Why nobody can be trusted.
#[derive(Debug, Error)]
pub enum TrustError {
    /// See the message.
    #[error("{path} cannot be read as certificates: {why}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// See the message.
    #[error("no certificate authorities are installed on this machine; give it a file of them")]
    NoSystem,
    /// See the message.
    #[error("{0:?} is no name that a certificate can have")]
    Name(String),
    /// See the message.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The certificate authorities that are trusted.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of this machine. Reads files.
    ///
    /// # Errors
    /// There are none.
    pub fn system() -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(TrustError::NoSystem);
        }
        Self::of(roots)
    }

    /// Those of a PEM file, and no others.
    ///
    /// # Errors
    /// It cannot be read, or there is no certificate in it.
    pub fn file(path: &Path) -> Result<Self, TrustError> {
        let bad = |why: String| TrustError::File {
            path: path.display().to_string(),
            why,
        };
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("there is none in it".to_owned()));
        }
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// To the peer that has a certificate for this host: a name or an address.
    ///
    /// # Errors
    /// It is neither.
    pub fn named(&self, host: &str) -> Result<Tls, TrustError> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        Ok(Tls {
            trust: self.clone(),
            name: name.map_err(|_| TrustError::Name(host.to_owned()))?,
        })
    }
}

/// See [`Trust::named`].
#[derive(Clone, Debug)]
pub struct Tls {
    trust: Trust,
    name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.trust.0)
    }

    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_trusts_nobody_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let why = || Trust::file(&file).unwrap_err().to_string();
        assert!(
            why().contains("ca.pem cannot be read as certificates"),
            "{}",
            why()
        );
        std::fs::write(&file, "no certificate\n").unwrap();
        assert!(why().ends_with("there is none in it"), "{}", why());
        std::fs::write(
            &file,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(why().contains("ca.pem"), "{}", why());
    }
}
