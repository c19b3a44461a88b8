//! What the nodes of a cluster show each other where there is no TLS between them.

use std::fmt;

use reeve_proto::bearer::Bearer;
use sha2::{Digest, Sha256};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Fewest characters of a secret.
pub const MIN_SECRET_BYTES: usize = 32;

/// The secret that all nodes of a cluster know; never printed.
#[derive(Clone)]
pub struct ClusterSecret {
    bearer: Bearer,
    text: std::sync::Arc<str>,
    hash: [u8; 32],
}

impl ClusterSecret {
    /// From what the operator gave every node.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn new(secret: &str) -> Result<Self, String> {
        let secret = secret.trim();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!("must have at least {MIN_SECRET_BYTES} characters"));
        }
        let bearer = Bearer::new(secret).map_err(|_| "must be printable ASCII".to_owned())?;
        Ok(Self {
            bearer,
            text: secret.into(),
            hash: hash(secret.as_bytes()),
        })
    }
}

impl ClusterSecret {
    /// What other keys are derived from; never used as one itself, and never printed.
    pub fn material(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl PartialEq for ClusterSecret {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for ClusterSecret {}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(…)")
    }
}

/// What calls to other nodes carry.
pub fn shown(secret: Option<&ClusterSecret>) -> Bearer {
    secret.map_or(Bearer::NONE, |secret| secret.bearer.clone())
}

/// Turns calls away that do not carry the secret, whatever they are for.
#[derive(Clone, Debug)]
pub(crate) struct Guard(pub(crate) Option<ClusterSecret>);

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(expected) = &self.0 else {
            return Ok(request);
        };
        let given = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared, so that the time it takes tells nothing of the secret.
        match given.map(|given| hash(given.as_bytes())) {
            Some(given) if given == expected.hash => Ok(request),
            Some(_) => Err(Status::unauthenticated(
                "the cluster secret of the calling node is not this node's",
            )),
            None => Err(Status::unauthenticated(
                "the calling node shows no cluster secret",
            )),
        }
    }
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "a secret that is long enough to be one";

    fn call(guard: Option<&str>, caller: Option<&str>) -> Result<(), String> {
        let secret = |text: &str| ClusterSecret::new(text).unwrap();
        let caller = caller.map(secret);
        let request = shown(caller.as_ref()).call(Request::new(())).unwrap();
        let passed = Guard(guard.map(secret)).call(request);
        passed.map(|_| ()).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn only_who_knows_the_secret_gets_through() {
        let other = SECRET.to_uppercase();
        assert_eq!(call(Some(SECRET), Some(SECRET)), Ok(()));
        assert_eq!(call(None, None), Ok(()));
        assert_eq!(call(None, Some(SECRET)), Ok(()));
        assert!(
            call(Some(SECRET), Some(&other))
                .unwrap_err()
                .contains("is not this node's")
        );
        assert!(
            call(Some(SECRET), None)
                .unwrap_err()
                .contains("no cluster secret")
        );
    }

    #[test]
    fn a_secret_is_long_and_never_printed() {
        let short = ClusterSecret::new("short").unwrap_err();
        assert!(short.contains("32") && !short.contains("short"), "{short}");
        let printed = format!(
            "{:?} {:?}",
            ClusterSecret::new(SECRET),
            Guard(ClusterSecret::new(SECRET).ok())
        );
        assert!(!printed.contains("long enough"), "{printed}");
    }
}
