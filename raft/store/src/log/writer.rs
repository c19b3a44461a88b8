//! The log's only writer: a thread that drains its queue into one batch, syncs once, and then answers everyone.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use prost::Message;
use reeve_state::mutant::{self, Mutant};
use rocksdb::{DB, WriteBatch, WriteOptions};
use tokio::sync::{mpsc, oneshot};

use super::disk::{COMMITTED, PURGED, VOTE, entries_end, entry_key};
use super::memory::Memory;
use crate::codec::Wire;
use crate::fatal::FatalCell;
use crate::sim::SimDisk;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Most requests in one batch.
const MAX_REQUESTS: usize = 1_024;

pub(crate) type Done = oneshot::Sender<io::Result<()>>;

/// What can be written. All of it goes through one queue, so that votes and entries keep their order.
pub(crate) enum Request {
    Append {
        entries: Vec<Entry>,
        callback: IOFlushed<TypeConfig>,
    },
    Vote {
        vote: Vote,
        done: Done,
    },
    /// Not synced: it only saves work after a restart.
    Committed(LogId),
    /// Removes entries from this index on.
    Truncate {
        from: u64,
        done: Done,
    },
    /// Removes entries up to this one.
    Purge {
        upto: LogId,
        done: Done,
    },
}

/// The queue's end, and the thread.
pub(super) struct Writer {
    queue: Option<Queue>,
    thread: Option<JoinHandle<()>>,
}

enum Queue {
    Thread(Sender<Request>),
    Simulated(mpsc::UnboundedSender<Request>),
}

impl Writer {
    pub(super) fn start(db: Arc<DB>, memory: Arc<Mutex<Memory>>, fatal: FatalCell) -> io::Result<Self> {
        let (queue, requests) = channel();
        let worker = Worker {
            db,
            memory,
            fatal,
            failed: None,
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || worker.run(&requests))?;
        Ok(Self {
            queue: Some(Queue::Thread(queue)),
            thread: Some(thread),
        })
    }

    /// Writes to a simulated disk, as a task.
    pub(super) fn simulate(disk: SimDisk) -> Self {
        let (queue, requests) = mpsc::unbounded_channel();
        tokio::spawn(disk.write_log(requests));
        Self {
            queue: Some(Queue::Simulated(queue)),
            thread: None,
        }
    }

    pub(super) fn send(&self, request: Request) -> io::Result<()> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        match queue {
            Queue::Thread(queue) => queue.send(request).map_err(|_| stopped()),
            Queue::Simulated(queue) => queue.send(request).map_err(|_| stopped()),
        }
    }
}

impl Drop for Writer {
    /// Everything that was queued is written before the database closes.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the log writer has stopped")
}

/// Whom to answer once a batch is on disk.
pub(crate) enum Waiter {
    Append(IOFlushed<TypeConfig>),
    Done(Done),
}

impl Waiter {
    /// It is on disk.
    pub(crate) fn answer(self) {
        self.tell(Ok(()));
    }

    fn tell(self, answer: io::Result<()>) {
        match self {
            Self::Append(callback) => callback.io_completed(answer),
            // Whoever asked may be gone.
            Self::Done(done) => drop(done.send(answer)),
        }
    }
}

struct Worker {
    db: Arc<DB>,
    memory: Arc<Mutex<Memory>>,
    fatal: FatalCell,
    failed: Option<String>,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut batch = Batch::default();
            batch.add(first);
            while batch.requests < MAX_REQUESTS
                && let Ok(next) = requests.try_recv()
            {
                batch.add(next);
            }
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Batch) {
        let next = batch.next;
        let result = match &self.failed {
            Some(message) => Err(io::Error::other(message.clone())),
            None => self.sync(batch.writes, batch.sync),
        };
        if let Err(error) = &result {
            let message = format!("writing the log failed: {error}");
            self.fatal.set(message.clone());
            if self.failed.replace(message).is_none() {
                // Closing a database after a failed write may abort the process: it stays open until the process ends.
                std::mem::forget(Arc::clone(&self.db));
            }
        } else if let Some(next) = next {
            self.memory.lock().flushed(next);
        }
        for waiter in batch.waiters {
            let answer = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            waiter.tell(answer);
        }
    }

    fn sync(&self, writes: WriteBatch, sync: bool) -> io::Result<()> {
        let started = Instant::now();
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(writes, &options).map_err(io::Error::other)?;
        if sync {
            metrics::histogram!("reeve_log_sync_seconds").record(started.elapsed().as_secs_f64());
        }
        Ok(())
    }
}

#[derive(Default)]
struct Batch {
    writes: WriteBatch,
    waiters: Vec<Waiter>,
    requests: usize,
    sync: bool,
    /// The index after the last entry of the batch.
    next: Option<u64>,
}

impl Batch {
    fn add(&mut self, request: Request) {
        self.requests += 1;
        match request {
            Request::Append { entries, callback } => {
                for entry in entries {
                    self.next = Some(entry.log_id.index + 1);
                    self.writes
                        .put(entry_key(entry.log_id.index), entry.to_proto().encode_to_vec());
                }
                self.sync |= !mutant::is(Mutant::NoFsyncAppend);
                self.waiters.push(Waiter::Append(callback));
            }
            Request::Vote { vote, done } => {
                self.writes.put(VOTE, vote.to_proto().encode_to_vec());
                self.sync = true;
                self.waiters.push(Waiter::Done(done));
            }
            Request::Committed(log_id) => self.writes.put(COMMITTED, log_id.to_proto().encode_to_vec()),
            Request::Truncate { from, done } => {
                self.writes
                    .delete_range(entry_key(from).as_slice(), entries_end().as_slice());
                self.next = self.next.map(|next| next.min(from));
                self.sync = true;
                self.waiters.push(Waiter::Done(done));
            }
            Request::Purge { upto, done } => {
                self.writes.delete_range(entry_key(0), entry_key(upto.index + 1));
                self.writes.put(PURGED, upto.to_proto().encode_to_vec());
                self.sync = true;
                self.waiters.push(Waiter::Done(done));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaderId;

    /// Whether a batch with this request alone is synced before anybody is answered.
    fn synced(request: Request) -> bool {
        let mut batch = Batch::default();
        batch.add(request);
        batch.sync
    }

    fn log_id() -> LogId {
        LogId::new(LeaderId { term: 1, node_id: 1 }, 1)
    }

    fn append() -> Request {
        Request::Append {
            entries: Vec::new(),
            callback: IOFlushed::noop(),
        }
    }

    fn done() -> Done {
        oneshot::channel().0
    }

    #[test]
    fn what_is_answered_is_on_disk() {
        assert!(synced(append()));
        let vote = Vote::new(1, 1);
        assert!(synced(Request::Vote { vote, done: done() }));
        assert!(synced(Request::Truncate {
            from: 1,
            done: done()
        }));
        let upto = log_id();
        assert!(synced(Request::Purge { upto, done: done() }));
        assert!(!synced(Request::Committed(log_id())), "it only saves work");
    }

    #[cfg(feature = "mutants")]
    #[test]
    #[allow(clippy::unwrap_used)]
    fn the_mutant_no_fsync_append_answers_before_it_is_on_disk() {
        mutant::choose(Mutant::NoFsyncAppend).unwrap();
        assert!(!synced(append()));
        let vote = Vote::new(1, 1);
        assert!(synced(Request::Vote { vote, done: done() }));
    }
}
