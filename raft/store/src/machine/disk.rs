//! The tables on disk. Without a log of its own: what is lost in a crash is applied again from Raft's log.
//!
//! All tables share one column family, told apart by the first byte of the key. RocksDB then flushes them, the applied position
//! and the membership at the same point by itself; several column families would be flushed one by one through this binding,
//! and could come back from a crash with different positions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use reeve_state::change::Row;
use reeve_state::{Meta, State};
use rocksdb::{DB, Direction, IteratorMode, LogLevel, Options, WriteBatch, WriteOptions};

use crate::codec::{TABLES, Wire, key_of, meta_from_bytes, meta_to_bytes, row_from_bytes, row_to_bytes};
use crate::error::OpenError;
use crate::files::{sync_directory, write_atomically};
use crate::types::{LogId, StoredMembership};

const META: &[u8] = &[0, b'm'];
const APPLIED: &[u8] = &[0, b'a'];
const MEMBERSHIP: &[u8] = &[0, b's'];
/// Rows written at once when a whole state is.
const ROWS_PER_BATCH: usize = 4_096;

/// What is found on disk.
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

/// The database in force.
pub(crate) struct StateDb {
    db: DB,
    /// `state/`: holds the file `CURRENT` and the database that it names.
    root: PathBuf,
    generation: u64,
}

impl StateDb {
    /// Opens the database that `CURRENT` names; a new data directory gets an empty one.
    pub(super) fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let root = data_dir.join("state");
        fs::create_dir_all(&root).map_err(|source| OpenError::io(&root, source))?;
        let current = root.join("CURRENT");
        let generation = match fs::read_to_string(&current) {
            Ok(name) => parse(name.trim_end())
                .ok_or_else(|| OpenError::corrupt(&current, format!("{name:?} names no database")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                point_to(&root, 1).map_err(|source| OpenError::io(&current, source))?;
                1
            }
            Err(source) => return Err(OpenError::io(&current, source)),
        };
        remove_others(&root, generation).map_err(|source| OpenError::io(&root, source))?;
        let path = root.join(name(generation));
        let db = open_db(&path).map_err(|error| OpenError::database(&path, error))?;
        Ok(Self { db, root, generation })
    }

    /// Reads everything.
    pub(super) fn load(&self) -> Result<Loaded, OpenError> {
        let path = self.root.join(name(self.generation));
        self.read()
            .map_err(|error| OpenError::corrupt(&path, error.to_string()))
    }

    fn read(&self) -> io::Result<Loaded> {
        let meta = match self.db.get(META).map_err(io::Error::other)? {
            Some(bytes) => meta_from_bytes(&bytes).map_err(io::Error::other)?,
            None => Meta::default(),
        };
        let mut rows = Vec::new();
        for item in self
            .db
            .iterator(IteratorMode::From(&[*TABLES.start()], Direction::Forward))
        {
            let (key, value) = item.map_err(io::Error::other)?;
            let row =
                row_from_bytes(&value).map_err(|error| io::Error::other(format!("row {key:?}: {error}")))?;
            if key_of(&row) != *key {
                return Err(io::Error::other(format!("row {key:?} holds another row")));
            }
            rows.push(row);
        }
        Ok(Loaded {
            state: State::from_rows(meta, rows),
            applied: self.get(APPLIED)?,
            membership: self.get(MEMBERSHIP)?.unwrap_or_default(),
        })
    }

    fn get<T: Wire>(&self, key: &[u8]) -> io::Result<Option<T>> {
        match self.db.get(key).map_err(io::Error::other)? {
            None => Ok(None),
            Some(bytes) => {
                let proto = T::Proto::decode(bytes.as_slice()).map_err(io::Error::other)?;
                T::from_proto(proto).map(Some).map_err(io::Error::other)
            }
        }
    }

    /// Writes a batch with the position that it leads to.
    pub(super) fn write(
        &self,
        mut batch: WriteBatch,
        meta: &Meta,
        applied: Option<&LogId>,
        membership: &StoredMembership,
    ) -> io::Result<()> {
        batch.put(META, meta_to_bytes(meta));
        batch.put(MEMBERSHIP, membership.to_proto().encode_to_vec());
        if let Some(applied) = applied {
            batch.put(APPLIED, applied.to_proto().encode_to_vec());
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(io::Error::other)
    }

    /// Makes everything written so far durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.db.flush().map_err(io::Error::other)
    }

    /// Writes a whole state beside this database, durably, and puts it into force by replacing `CURRENT`.
    pub(super) fn replace(
        &self,
        state: &State,
        applied: Option<&LogId>,
        membership: &StoredMembership,
    ) -> io::Result<Self> {
        let generation = self.generation + 1;
        let path = self.root.join(name(generation));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        let db = open_db(&path).map_err(io::Error::other)?;
        let next = Self {
            db,
            root: self.root.clone(),
            generation,
        };
        let mut batch = WriteBatch::default();
        for row in state.rows() {
            put(&mut batch, &row);
            if batch.len() >= ROWS_PER_BATCH {
                next.write(std::mem::take(&mut batch), state.meta(), None, membership)?;
            }
        }
        next.write(batch, state.meta(), applied, membership)?;
        next.flush()?;
        sync_directory(&path)?;
        point_to(&self.root, generation)?;
        Ok(next)
    }

    /// Removes a database that is no longer in force.
    pub(super) fn retire(self) -> io::Result<()> {
        let path = self.root.join(name(self.generation));
        drop(self.db);
        fs::remove_dir_all(path)
    }
}

/// Adds a row to a batch; how many bytes it takes.
pub(super) fn put(batch: &mut WriteBatch, row: &Row) -> usize {
    let bytes = row_to_bytes(row);
    let size = bytes.len();
    batch.put(key_of(row), bytes);
    size
}

fn open_db(path: &Path) -> Result<DB, rocksdb::Error> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(64 << 20);
    options.set_keep_log_file_num(4);
    // RocksDB aborts the process when a line of its own diary cannot be written, as on a full disk. We report what it returns.
    options.set_log_level(LogLevel::Fatal);
    options.set_max_open_files(256);
    DB::open(&options, path)
}

fn name(generation: u64) -> String {
    format!("db-{generation}")
}

fn parse(name: &str) -> Option<u64> {
    name.strip_prefix("db-")?.parse().ok()
}

fn point_to(root: &Path, generation: u64) -> io::Result<()> {
    write_atomically(
        &root.join("CURRENT"),
        format!("{}\n", name(generation)).as_bytes(),
    )
}

/// Removes what an interrupted installation left.
fn remove_others(root: &Path, keep: u64) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let generation = entry.file_name().to_str().and_then(parse);
        if generation.is_some_and(|generation| generation != keep) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
