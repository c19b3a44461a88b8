//! The disk of a simulated node, and the store that runs on it. Nothing but a simulation uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_state::State;
use tokio::sync::mpsc;

use crate::log::{Request, RequestDone};
use crate::machine::Loaded;
use crate::outside;
use crate::types::{Entry, LogId, StoredMembership, Vote};

pub use crate::machine::Apply;

/// What a disk does wrong on purpose, so that the simulation can show that it would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Entries are acknowledged and never synced.
    pub forget_entries: bool,
    /// Votes are acknowledged and never synced.
    pub forget_votes: bool,
}

/// A disk that survives the crash of its node, up to what was synced. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Content>>);

struct Content {
    sync_ms: std::ops::RangeInclusive<u64>,
    faults: DiskFaults,
    log: SimLog,
    tables: SimTables,
    synced: SimTables,
}

/// What is synced of a log.
#[derive(Clone, Default)]
pub(crate) struct SimLog {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    pub(crate) entries: BTreeMap<u64, Entry>,
}

/// The state and what it covers.
#[derive(Clone, Default)]
pub(crate) struct SimTables {
    state: State,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl From<SimTables> for Loaded {
    fn from(tables: SimTables) -> Self {
        Self {
            state: tables.state,
            applied: tables.applied,
            membership: tables.membership,
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    /// Empty. A sync takes as long as one of `sync_ms`.
    pub fn new(sync_ms: std::ops::RangeInclusive<u64>, faults: DiskFaults) -> Self {
        Self(Arc::new(Mutex::new(Content {
            sync_ms,
            faults,
            log: SimLog::default(),
            tables: SimTables::default(),
            synced: SimTables::default(),
        })))
    }

    /// The node crashed: what was not synced is gone.
    pub fn crash(&self) {
        let mut content = self.0.lock();
        content.tables = content.synced.clone();
    }

    /// Synced entries: index, the term and the node that proposed them, and what they say.
    pub fn entries(&self) -> Vec<(u64, (u64, u64), String)> {
        let content = self.0.lock();
        let entry = |entry: &Entry| {
            let payload = match &entry.payload {
                openraft::EntryPayload::Normal(data) => format!("{:x}", md(&data.0)),
                openraft::EntryPayload::Blank => "blank".to_owned(),
                openraft::EntryPayload::Membership(members) => format!("{members:?}"),
            };
            {
                let leader = entry.log_id.leader_id;
                (entry.log_id.index, (leader.term, leader.node_id), payload)
            }
        };
        content.log.entries.values().map(entry).collect()
    }

    pub(crate) fn log(&self) -> SimLog {
        self.0.lock().log.clone()
    }

    pub(crate) fn tables(&self) -> SimTables {
        self.0.lock().tables.clone()
    }

    pub(crate) fn write_tables(&self, state: &State, applied: Option<&LogId>, membership: &StoredMembership) {
        self.0.lock().tables = SimTables {
            state: state.clone(),
            applied: applied.copied(),
            membership: membership.clone(),
        };
    }

    pub(crate) fn flush_tables(&self) {
        let mut content = self.0.lock();
        content.synced = content.tables.clone();
    }

    /// Writes the log until its store is dropped: as the real writer, one sync for all that waits, then the answers.
    pub(crate) async fn write_log(self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::new();
        while requests.recv_many(&mut batch, 1_024).await > 0 {
            let took = {
                let range = self.0.lock().sync_ms.clone();
                let span = range.end() - range.start() + 1;
                range.start() + outside::random().unwrap_or(0) % span
            };
            tokio::time::sleep(Duration::from_millis(took)).await;
            let answers: Vec<_> = {
                let mut content = self.0.lock();
                let faults = content.faults;
                batch
                    .drain(..)
                    .filter_map(|request| content.log.write(request, faults))
                    .collect()
            };
            answers.into_iter().for_each(RequestDone::answer);
        }
    }
}

impl SimLog {
    fn write(&mut self, request: Request, faults: DiskFaults) -> Option<RequestDone> {
        match request {
            Request::Append { entries, callback } => {
                if !faults.forget_entries {
                    self.entries
                        .extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
                }
                Some(RequestDone::Append(callback))
            }
            Request::Vote { vote, done } => {
                if !faults.forget_votes {
                    self.vote = Some(vote);
                }
                Some(RequestDone::Done(done))
            }
            Request::Committed(log_id) => {
                self.committed = Some(log_id);
                None
            }
            Request::Truncate { from, done } => {
                self.entries.split_off(&from);
                Some(RequestDone::Done(done))
            }
            Request::Purge { upto, done } => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = Some(upto);
                Some(RequestDone::Done(done))
            }
        }
    }
}

fn md(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
