//! Programs of the system that faults are made with: ip, nft, mount and the like.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use reeve_testkit::on_path;

/// Administrators' programs are here even where the PATH of a user does not say so.
const ALSO: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Where a program is; `None` if it is not installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let elsewhere = || {
        let mut candidates = ALSO.iter().map(|directory| PathBuf::from(directory).join(name));
        candidates.find(|candidate| candidate.is_file())
    };
    on_path(name).or_else(elsewhere)
}

/// A command line that starts with this program.
pub fn command<I, S>(name: &str, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(find(name).unwrap_or_else(|| PathBuf::from(name)));
    command.args(arguments);
    command
}

/// Runs it to its end, and gives what it printed.
///
/// # Errors
/// It cannot be started, or it failed; the message is its own.
pub fn run(command: Command) -> Result<String> {
    feed(command, "")
}

/// Runs it with this on its stdin, and gives what it printed.
///
/// # Errors
/// As [`run`].
pub fn feed(mut command: Command, input: &str) -> Result<String> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| shown.clone())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says itself what it did not like.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| shown.clone())?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_program_prints_is_given_back_and_what_it_complains_of_is_the_error() {
        assert_eq!(feed(command("cat", ["-"]), "hello").unwrap(), "hello");
        let failed = run(command("sh", ["-c", "echo no >&2; exit 3"])).unwrap_err();
        assert!(failed.to_string().ends_with("exit status: 3: no"), "{failed}");
    }

    #[test]
    fn a_program_that_is_not_installed_is_not_found() {
        assert_eq!(find("no-such-program-anywhere"), None);
        assert!(run(command("no-such-program-anywhere", [""; 0])).is_err());
    }
}
