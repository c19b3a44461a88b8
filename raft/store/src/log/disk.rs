//! What the log's database holds, and how it is read.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use rocksdb::{DB, DBRecoveryMode, Direction, IteratorMode, LogLevel, Options};

use super::memory::size;
use super::wal;
use crate::codec::Wire;
use crate::error::OpenError;
use crate::types::{Entry, LogId, Vote};

pub(super) const VOTE: &[u8] = b"m/vote";
pub(super) const COMMITTED: &[u8] = b"m/committed";
pub(super) const PURGED: &[u8] = b"m/purged";
const ENTRY: u8 = b"e"[0];

/// The key of an entry.
pub(super) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [ENTRY; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The first key after all entries.
pub(super) const fn entries_end() -> [u8; 1] {
    [ENTRY + 1]
}

/// What is found when the log is opened.
pub(super) struct Found {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
}

/// Opens the database. A record that is damaged, and is not the torn end of the last write, is an error: going on would drop
/// entries that were acknowledged.
pub(super) fn open(path: &Path) -> Result<DB, OpenError> {
    if path.exists()
        && let Some((file, at)) =
            wal::broken_in_the_middle(path).map_err(|source| OpenError::io(path, source))?
    {
        return Err(OpenError::corrupt(
            &file,
            format!("a record is broken at byte {at}, and sound ones follow it"),
        ));
    }
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_write_buffer_size(32 << 20);
    options.set_max_total_wal_size(128 << 20);
    options.set_keep_log_file_num(4);
    // RocksDB aborts the process when a line of its own diary cannot be written, as on a full disk. We report what it returns.
    options.set_log_level(LogLevel::Fatal);
    options.set_max_open_files(256);
    DB::open(&options, path).map_err(|error| OpenError::database(path, error))
}

/// Reads the log through once: every entry is there, and every block's checksum holds.
pub(super) fn inspect(db: &DB, path: &Path) -> Result<Found, OpenError> {
    let corrupt = |detail: String| OpenError::corrupt(path, detail);
    let purged: Option<LogId> = read(db, PURGED).map_err(|error| corrupt(error.to_string()))?;
    let mut found = Found {
        vote: read(db, VOTE).map_err(|error| corrupt(error.to_string()))?,
        committed: read(db, COMMITTED).map_err(|error| corrupt(error.to_string()))?,
        purged,
        last: purged,
    };
    let start = purged.map_or(0, |id| id.index + 1);
    let items = db.iterator(IteratorMode::From(&entry_key(0), Direction::Forward));
    for (expected, item) in (start..).zip(items) {
        let (key, value) = item.map_err(|error| corrupt(error.into_string()))?;
        if key.first() != Some(&ENTRY) {
            break;
        }
        if *key != entry_key(expected) {
            return Err(corrupt(format!("entry {expected} of the log is missing")));
        }
        let entry = decode(Bytes::from(value)).map_err(|error| corrupt(error.to_string()))?;
        if entry.log_id.index != expected {
            return Err(corrupt(format!(
                "entry {expected} of the log says it is {}",
                entry.log_id.index
            )));
        }
        found.last = Some(entry.log_id);
    }
    Ok(found)
}

fn read<T: Wire>(db: &DB, key: &[u8]) -> io::Result<Option<T>> {
    match db.get(key).map_err(io::Error::other)? {
        None => Ok(None),
        Some(bytes) => {
            let proto = T::Proto::decode(bytes.as_slice()).map_err(io::Error::other)?;
            T::from_proto(proto).map(Some).map_err(io::Error::other)
        }
    }
}

/// Entries of `start..end` without a gap between them, as far as they are there; at least one if one is there, and then about
/// `max_bytes`.
pub(super) fn read_entries(db: &DB, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for item in db.iterator(IteratorMode::From(&entry_key(start), Direction::Forward)) {
        let (key, value) = item.map_err(io::Error::other)?;
        if key.as_ref() >= entry_key(end).as_slice() || key.first() != Some(&ENTRY) || bytes >= max_bytes {
            break;
        }
        let entry = decode(Bytes::from(value)).map_err(io::Error::other)?;
        if entries
            .last()
            .is_some_and(|last: &Entry| last.log_id.index + 1 != entry.log_id.index)
        {
            break;
        }
        bytes += size(&entry);
        entries.push(entry);
    }
    Ok(entries)
}

fn decode(bytes: Bytes) -> io::Result<Entry> {
    let proto = <Entry as Wire>::Proto::decode(bytes).map_err(io::Error::other)?;
    Entry::from_proto(proto).map_err(io::Error::other)
}

/// Where the log lies below the data directory.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}
