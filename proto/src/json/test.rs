//! A test as JSON.

use serde::{Deserialize, Serialize};

use super::time;
use crate::definition::DefinitionDocument;
use crate::v1;

/// A test and its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TestJson {
    /// UUID v7.
    pub id: String,
    /// Unique among the tests of its project.
    pub name: String,
    /// Whose it is.
    #[serde(default)]
    pub project: String,
    /// Rises with each change of the definition.
    pub version: u32,
    /// In the form in which it can be applied again.
    pub definition: DefinitionDocument,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Revision of the last change (D28).
    pub revision: u64,
}

impl From<&v1::Test> for TestJson {
    fn from(test: &v1::Test) -> Self {
        Self {
            id: test.id.clone(),
            name: test.name.clone(),
            project: test.project.clone(),
            version: test.version,
            definition: test
                .definition
                .as_ref()
                .map(DefinitionDocument::from)
                .unwrap_or_default(),
            created_at: time(&test.created_at),
            updated_at: time(&test.updated_at),
            revision: test.revision,
        }
    }
}
