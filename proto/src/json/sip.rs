//! What SIP endpoints need, as JSON. Secrets of accounts are in none of it.

use serde::{Deserialize, Serialize};

use super::time;
use crate::names::name_of;
use crate::v1;

/// Where accounts register, and where calls go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegistrarJson {
    /// Unique in its project.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// Realm of the addresses of record.
    pub domain: String,
    /// Where requests go; absent: to the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Absent: 5060, or 5061 for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// UDP, TCP or TLS.
    pub transport: String,
    /// A SIP URI that all requests pass first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_proxy: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// An account of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SipAccountJson {
    /// The user part of the address of record, unique in its pool.
    pub username: String,
    /// Its pool.
    pub pool: String,
    /// Whose it is.
    pub project: String,
    /// Answers only this realm's challenges; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Whether it has a secret, which is never shown.
    pub has_secret: bool,
    /// The run that uses it; absent: it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by_run: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

/// A pool of accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccountPoolJson {
    /// Unique in its project.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// How many accounts it has.
    pub accounts: u32,
    /// How many of them runs use.
    pub in_use: u32,
}

/// A sound file that endpoints send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MediaFileJson {
    /// Unique in its project.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// Of its bytes, in hex.
    pub sha256: String,
    /// How many.
    pub bytes: u64,
    /// How long it plays, for example `1s500ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

fn set(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl From<&v1::Registrar> for RegistrarJson {
    fn from(row: &v1::Registrar) -> Self {
        Self {
            name: row.name.clone(),
            project: row.project.clone(),
            domain: row.domain.clone(),
            host: set(&row.host),
            port: (row.port != 0).then_some(row.port),
            transport: name_of::<v1::SipTransport>(row.transport).to_owned(),
            outbound_proxy: set(&row.outbound_proxy),
            created_at: time(&row.created_at),
            updated_at: time(&row.updated_at),
            revision: row.revision,
        }
    }
}

impl From<&v1::SipAccount> for SipAccountJson {
    fn from(row: &v1::SipAccount) -> Self {
        Self {
            username: row.username.clone(),
            pool: row.pool.clone(),
            project: row.project.clone(),
            realm: set(&row.realm),
            has_secret: row.has_secret,
            used_by_run: set(&row.used_by_run),
            updated_at: time(&row.updated_at),
            revision: row.revision,
        }
    }
}

impl From<&v1::AccountPool> for AccountPoolJson {
    fn from(row: &v1::AccountPool) -> Self {
        Self {
            name: row.name.clone(),
            project: row.project.clone(),
            accounts: row.accounts,
            in_use: row.in_use,
        }
    }
}

impl From<&v1::MediaFile> for MediaFileJson {
    fn from(row: &v1::MediaFile) -> Self {
        Self {
            name: row.name.clone(),
            project: row.project.clone(),
            sha256: row.sha256.clone(),
            bytes: row.bytes,
            duration: row.duration.as_ref().map(crate::definition::format_duration),
            created_at: time(&row.created_at),
            updated_at: time(&row.updated_at),
            revision: row.revision,
        }
    }
}
