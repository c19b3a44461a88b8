//! A caller's key as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::v1;

/// A caller's key (D27a); never the secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyJson {
    /// UUID v7.
    pub id: String,
    /// Unique among keys in force.
    pub name: String,
    /// VIEWER, OPERATOR, ADMIN or WORKER.
    pub role: String,
    /// The project that its calls are for.
    pub project: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// From then on it is refused; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Since then it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// The answer to a creation: the only place where a key's secret appears.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedKeyJson {
    /// The new key.
    pub key: KeyJson,
    /// Shown this once; absent when the request is a repetition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
}

impl std::fmt::Debug for CreatedKeyJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKeyJson")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl From<&v1::Key> for KeyJson {
    fn from(key: &v1::Key) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            role: name_of::<v1::Role>(key.role).to_owned(),
            project: key.project.clone(),
            created_at: time(&key.created_at),
            expires_at: time(&key.expires_at),
            revoked_at: time(&key.revoked_at),
            revision: key.revision,
        }
    }
}
