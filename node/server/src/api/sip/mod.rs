//! The service `Sip`: what SIP endpoints need beside a definition.

mod accounts;
mod media;
mod registrars;

use reeve_state::command::ObjectKind;
use reeve_state::id::ScopedName;

use super::page::PageRequest;
use crate::error::ApiError;

fn not_found(kind: ObjectKind, name: &str) -> ApiError {
    ApiError::NotFound {
        kind,
        id: name.to_owned(),
    }
}

/// The last name of the page before: project and name, with a byte between them that stands in neither.
fn after(page: &PageRequest) -> Result<Option<ScopedName>, ApiError> {
    page.after(|key| {
        let (project, name) = std::str::from_utf8(key).ok()?.split_once('\0')?;
        Some(ScopedName::new(&project.into(), name))
    })
}

fn page_key(key: &ScopedName) -> Vec<u8> {
    format!("{}\0{}", key.project, key.name).into_bytes()
}
