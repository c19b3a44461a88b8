//! Small files that must survive a power cut, and the identity of a data directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::OpenError;

/// Replaces a file at once: after a crash it has the old content or the new one.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("a file needs a directory"))?;
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_directory(parent)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Claims a data directory at first start; later refuses any other cluster or node.
pub(crate) fn claim(data_dir: &Path, cluster_id: &str, node_id: u64) -> Result<(), OpenError> {
    fs::create_dir_all(data_dir).map_err(|source| OpenError::io(data_dir, source))?;
    let path = data_dir.join("node");
    let configured = identity(cluster_id, node_id);
    match fs::read_to_string(&path) {
        Ok(stored) if stored == configured => Ok(()),
        Ok(stored) => Err(OpenError::Identity {
            path,
            stored: stored.trim_end().replace('\n', ", "),
            configured: configured.trim_end().replace('\n', ", "),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_atomically(&path, configured.as_bytes()).map_err(|source| OpenError::io(&path, source))
        }
        Err(source) => Err(OpenError::io(&path, source)),
    }
}

fn identity(cluster_id: &str, node_id: u64) -> String {
    format!("cluster {cluster_id:?}\nnode {node_id}\n")
}
