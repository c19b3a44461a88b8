//! The corpus on disk: `corpus/TARGET/FILE`, small files. Those named `crash-…` broke the target once and are run in every test.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where it is, in the source tree.
pub fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Every file of a target, with its name, in order.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn load(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let directory = directory(target);
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        files.push((name, bytes));
    }
    files.sort();
    Ok(files)
}

/// Keeps an input under a name that follows from its bytes.
///
/// # Errors
/// It cannot be written.
pub fn keep(target: &str, prefix: &str, input: &[u8]) -> Result<PathBuf> {
    let directory = directory(target);
    std::fs::create_dir_all(&directory)?;
    // FNV-1a: a name, nothing else.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = directory.join(format!("{prefix}-{hash:016x}"));
    std::fs::write(&path, input)?;
    Ok(path)
}
