//! The newest entries, and what is known of the log without reading it.

use std::collections::VecDeque;

use openraft::EntryPayload;

use crate::types::{Entry, LogId, Vote};

/// How many bytes of flushed entries stay in memory for replication and apply.
const KEEP_BYTES: usize = 8 << 20;

/// Every entry that is not on disk yet is in here; of those that are, the newest.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    /// Entries up to this index, exclusive, are on disk.
    flushed: u64,
}

impl Memory {
    pub(super) fn new(
        vote: Option<Vote>,
        committed: Option<LogId>,
        purged: Option<LogId>,
        last: Option<LogId>,
    ) -> Self {
        let flushed = last.map_or(0, |id| id.index + 1);
        Self {
            vote,
            committed,
            purged,
            last,
            flushed,
            ..Self::default()
        }
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.tail_bytes += size(&entry);
        self.last = Some(entry.log_id);
        self.tail.push_back(entry);
    }

    /// Entries before `next` are on disk; the oldest of them give way when there are too many.
    pub(super) fn flushed(&mut self, next: u64) {
        self.flushed = self.flushed.max(next);
        while self.tail_bytes > KEEP_BYTES {
            match self.tail.front() {
                Some(entry) if entry.log_id.index < self.flushed => self.drop_front(),
                Some(_) | None => break,
            }
        }
    }

    /// Forgets entries after `last`. They are off the disk already.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) {
        let next = last.map_or(0, |id| id.index + 1);
        while self.tail.back().is_some_and(|entry| entry.log_id.index >= next) {
            if let Some(entry) = self.tail.pop_back() {
                self.tail_bytes -= size(&entry);
            }
        }
        self.flushed = self.flushed.min(next);
        self.last = self.last.min(last);
    }

    /// Forgets entries up to `upto`.
    pub(super) fn purge(&mut self, upto: LogId) {
        while self
            .tail
            .front()
            .is_some_and(|entry| entry.log_id.index <= upto.index)
        {
            self.drop_front();
        }
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    /// The first index that need not be read from disk.
    pub(super) fn tail_start(&self) -> u64 {
        self.tail
            .front()
            .map_or(self.last.map_or(0, |id| id.index + 1), |entry| entry.log_id.index)
    }

    /// Entries of `start..end` that are in memory.
    pub(super) fn range(&self, start: u64, end: u64) -> impl Iterator<Item = &Entry> {
        let first = self.tail_start();
        let skip = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        let take = usize::try_from(end.saturating_sub(start.max(first))).unwrap_or(usize::MAX);
        self.tail.iter().skip(skip).take(take)
    }

    fn drop_front(&mut self) {
        if let Some(entry) = self.tail.pop_front() {
            self.tail_bytes -= size(&entry);
        }
    }
}

/// Roughly what an entry takes.
pub(super) fn size(entry: &Entry) -> usize {
    const OVERHEAD: usize = 64;
    match &entry.payload {
        EntryPayload::Normal(data) => data.0.len() + OVERHEAD,
        EntryPayload::Blank | EntryPayload::Membership(_) => OVERHEAD,
    }
}
