//! What `GET /events` says beside the objects themselves.

use serde::{Deserialize, Serialize};

use crate::names::Named;
use crate::v1;

/// An object is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeletedJson {
    /// TEST, RUN, WORKER, …
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Of what is known by a name within its project: registrars, pools of accounts, media files.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// Of the deletion (D28).
    pub revision: u64,
}

/// Nothing that was asked for happened up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BookmarkJson {
    /// The stream is complete up to here.
    pub revision: u64,
}

/// Changes are missing: what was read before is to be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResetJson {
    /// SLOW_CONSUMER, STATE_REPLACED or REVISION_COMPACTED.
    pub reason: String,
    /// Changes after this revision follow.
    pub revision: u64,
}

impl DeletedJson {
    /// Of this kind, at this revision.
    pub fn new(kind: v1::ResourceKind, id: &str, project: &str, revision: u64) -> Self {
        Self {
            kind: kind.name().to_owned(),
            id: id.to_owned(),
            project: project.to_owned(),
            revision,
        }
    }
}

impl ResetJson {
    /// For this reason, at this revision.
    pub fn new(reason: v1::ResetReason, revision: u64) -> Self {
        Self {
            reason: reason.name().to_owned(),
            revision,
        }
    }
}
