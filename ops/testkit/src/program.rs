//! Where the programs are that we start.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The `reeve` program: the one that was named, else the one beside our own.
///
/// # Errors
/// There is none; the message says how to build it.
pub fn reeve_program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        bail!("{} is no file", path.display());
    }
    let own = std::env::current_exe().context("where this program is")?;
    let beside = own.with_file_name("reeve");
    if beside.is_file() {
        return Ok(beside);
    }
    bail!(
        "{} does not exist: build it with `cargo build -p reeve-cli --bin reeve` in the same profile, or name it with --reeve",
        beside.display()
    )
}

/// A program on the PATH; `None` if it is not installed.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_named_must_exist() {
        let missing = reeve_program(Some(Path::new("/nowhere/reeve")));
        assert!(missing.is_err_and(|error| error.to_string() == "/nowhere/reeve is no file"));
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("sh").is_some_and(|path| path.is_file()));
        assert_eq!(on_path("no-such-program-anywhere"), None);
    }
}
