//! openraft's view of the log.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use parking_lot::Mutex;
use reeve_state::mutant::{self, Mutant};
use rocksdb::DB;
use tokio::sync::oneshot;

use super::disk;
use super::memory::{Memory, size};
use super::unsynced;
use super::writer::{Done, Request, Writer};
use crate::error::OpenError;
use crate::fatal::FatalCell;
use crate::sim::SimDisk;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Entries sent to a follower in one message hold about this much, well below the transport's limit.
const READ_BYTES: usize = 2 << 20;

/// The log. Clones share it; the last one closes the database.
#[derive(Clone)]
pub(crate) struct LogStore {
    // Before the database: the writer must have written everything when it closes.
    writer: Arc<Writer>,
    memory: Arc<Mutex<Memory>>,
    /// None in a simulation: all entries are in memory.
    db: Option<Arc<DB>>,
}

impl LogStore {
    /// Opens the log below `data_dir` and reads it through.
    pub(crate) fn open(data_dir: &Path, fatal: FatalCell) -> Result<Self, OpenError> {
        let path = disk::directory(data_dir);
        let db = Arc::new(disk::open(&path)?);
        let found = disk::inspect(&db, &path)?;
        let vote = if mutant::is(Mutant::NoFsyncVote) {
            unsynced::read_vote(&path).map_err(|source| OpenError::io(&path, source))?
        } else {
            found.vote
        };
        let memory = Memory::new(vote, found.committed, found.purged, found.last);
        let memory = Arc::new(Mutex::new(memory));
        let writer =
            Writer::start(Arc::clone(&db), Arc::clone(&memory), fatal).map_err(|source| OpenError::Io {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            writer: Arc::new(writer),
            memory,
            db: Some(db),
        })
    }

    /// Opens what is synced on a simulated disk.
    pub(crate) fn simulate(disk: &SimDisk) -> Self {
        let found = disk.log();
        let mut memory = Memory::new(found.vote, found.committed, found.purged, found.purged);
        found.entries.into_values().for_each(|entry| memory.append(entry));
        Self {
            writer: Arc::new(Writer::simulate(disk.clone())),
            memory: Arc::new(Mutex::new(memory)),
            db: None,
        }
    }

    async fn write(&self, request: impl FnOnce(Done) -> Request) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.writer.send(request(done))?;
        written
            .await
            .map_err(|_| io::Error::other("the log writer has stopped"))?
    }

    /// Entries from `start` on, without a gap: what is not in memory comes from disk, piece by piece, as both move on.
    fn read(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut next = start;
        while next < end && bytes < max_bytes {
            let tail_start = {
                let memory = self.memory.lock();
                next = next.max(memory.purged.map_or(0, |id| id.index + 1));
                if next >= memory.tail_start() {
                    for entry in memory.range(next, end) {
                        if bytes >= max_bytes {
                            break;
                        }
                        bytes += size(entry);
                        entries.push(entry.clone());
                    }
                    break;
                }
                memory.tail_start()
            };
            let Some(db) = &self.db else {
                break;
            };
            let found = disk::read_entries(db, next, end.min(tail_start), max_bytes - bytes)?;
            let first = found.first().map_or(tail_start, |entry| entry.log_id.index);
            if first != next && !entries.is_empty() {
                // Purged or truncated since the last look: what comes now does not follow.
                break;
            }
            next = found.last().map_or(tail_start, |entry| entry.log_id.index + 1);
            bytes += found.iter().map(size).sum::<usize>();
            entries.extend(found);
        }
        Ok(entries)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => *index + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => *index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let memory = self.memory.lock();
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: memory.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        if mutant::is(Mutant::NoFsyncVote) {
            unsynced::save_vote(self.db.path(), vote)?;
        } else {
            self.write(|done| Request::Vote { vote: *vote, done }).await?;
        }
        self.memory.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.memory.lock().committed = Some(committed);
            self.writer.send(Request::Committed(committed))?;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.memory.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut memory = self.memory.lock();
            entries.iter().cloned().for_each(|entry| memory.append(entry));
        }
        self.writer.send(Request::Append { entries, callback })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        // Only once it is on disk: else a power cut could bring the old entries back after new ones were applied.
        self.write(|done| Request::Truncate { from, done }).await?;
        self.memory.lock().truncate_after(last);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.memory.lock().purge(upto);
        self.write(|done| Request::Purge { upto, done }).await
    }
}

#[cfg(test)]
mod tests;
