//! An error of the REST API as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What every call answers that does not do what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorJson {
    /// The error.
    pub error: ErrorBodyJson,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBodyJson {
    /// A `google.rpc.Code`.
    pub code: String,
    /// Stable word, for programs.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Facts about it.
    pub details: ErrorDetailsJson,
}

/// Facts about an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetailsJson {
    /// By name.
    #[serde(flatten)]
    pub metadata: BTreeMap<String, String>,
    /// Fields that break rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ErrorFieldJson>,
    /// Repeating the call may help after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A field and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorFieldJson {
    /// The field.
    pub field: String,
    /// The rule.
    pub rule: String,
}
