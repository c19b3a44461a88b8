//! Reads JSON lines that a process wrote which may have been killed.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

/// A torn last line is what a killed process leaves; any other that cannot be read is an error.
///
/// # Errors
/// The file cannot be read.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines = Vec::new();
    let whole = text.ends_with('\n');
    let count = text.lines().count();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str(line) {
            Ok(line) => lines.push(line),
            Err(_) if number == count && !whole => {}
            Err(error) => bail!("{}:{number}: {error}", path.display()),
        }
    }
    Ok(lines)
}
