//! Commands on callers' keys.

use crate::id::{KeyHash, KeyId};
use crate::record::Role;
use crate::time::Millis;

/// Command 50.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKey {
    /// Id of the new key.
    pub id: KeyId,
    /// Unique among keys that are not revoked.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The project that its calls are for.
    pub project: String,
    /// What it hashes to.
    pub hash: KeyHash,
    /// It is refused so long from now on; `None`: never.
    pub ttl: Option<Millis>,
    /// The first key of the cluster, which needs none: refused once there is any.
    pub bootstrap: bool,
}

/// Command 51. Refused if no admin key would be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKey {
    /// Which.
    pub key: KeyId,
}
