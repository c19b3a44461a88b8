//! Reads of the log: whatever is in memory and whatever is on disk, no entry is missing between two others.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::{EntryPayload, RaftLogReader};
use reeve_state::id::NodeId;
use tempfile::TempDir;

use super::*;
use crate::member::MemberInfo;
use crate::types::{EntryData, LeaderId, Membership};

fn log_id(index: u64) -> LogId {
    let leader_id = LeaderId { term: 1, node_id: 1 };
    LogId::new(leader_id, index)
}

fn normal(index: u64, bytes: usize) -> Entry {
    let data = EntryData(Bytes::from(vec![7; bytes]));
    Entry::new(log_id(index), EntryPayload::Normal(data))
}

/// A membership is much larger on disk than its share of the memory's bookkeeping.
fn membership(index: u64) -> Entry {
    let nodes: BTreeMap<u64, MemberInfo> = (1..=3)
        .map(|id| {
            let info = MemberInfo {
                id: NodeId(id),
                name: "n".repeat(1_000),
                ..MemberInfo::default()
            };
            (id, info)
        })
        .collect();
    let voters = vec![BTreeSet::from([1, 2, 3])];
    let membership = Membership::new(voters, nodes).unwrap();
    Entry::new(log_id(index), EntryPayload::Membership(membership))
}

async fn append(log: &mut LogStore, entries: Vec<Entry>) {
    log.append(entries, IOFlushed::noop()).await.unwrap();
    // Votes and entries share one queue: when this is written, the entries are.
    log.save_vote(&Vote::new(1, 1)).await.unwrap();
}

fn indices(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn a_limited_read_has_no_gap_between_what_is_on_disk_and_what_is_in_memory() {
    let dir = TempDir::new().unwrap();
    let mut log = LogStore::open(dir.path(), FatalCell::new()).unwrap();
    let mut entries = vec![
        normal(0, READ_BYTES / 2),
        normal(1, READ_BYTES / 2 - 2_000),
        membership(2),
    ];
    entries.extend((3..15).map(|index| normal(index, 1 << 20)));
    append(&mut log, entries).await;
    assert!(
        log.memory.lock().tail_start() > 3,
        "the oldest entries are on disk only"
    );
    for start in 0..15 {
        let read = indices(&log.limited_get_log_entries(start, 15).await.unwrap());
        let expected: Vec<u64> = (start..).take(read.len()).collect();
        assert!(!read.is_empty());
        assert_eq!(read, expected, "from {start}");
    }
    let all = log.try_get_log_entries(0..15).await.unwrap();
    assert_eq!(indices(&all), (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_replaces_truncated_entries_is_what_is_read_before_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut log = LogStore::open(dir.path(), FatalCell::new()).unwrap();
    append(&mut log, (0..10).map(|index| normal(index, 10)).collect()).await;
    log.truncate_after(Some(log_id(4))).await.unwrap();
    append(&mut log, (5..7).map(|index| normal(index, 20)).collect()).await;
    let lengths = |entries: Vec<Entry>| -> Vec<usize> {
        let payloads = entries.into_iter().map(|entry| entry.payload);
        payloads
            .map(|payload| match payload {
                EntryPayload::Normal(data) => data.0.len(),
                EntryPayload::Blank | EntryPayload::Membership(_) => 0,
            })
            .collect()
    };
    let expected = [10, 10, 10, 10, 10, 20, 20];
    assert_eq!(lengths(log.try_get_log_entries(0..100).await.unwrap()), expected);
    drop(log);
    let mut log = LogStore::open(dir.path(), FatalCell::new()).unwrap();
    assert_eq!(lengths(log.try_get_log_entries(0..100).await.unwrap()), expected);
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(log_id(6)));
}

#[cfg(feature = "mutants")]
#[tokio::test]
async fn the_mutant_no_fsync_vote_forgets_whom_it_voted_for() {
    mutant::choose(Mutant::NoFsyncVote).unwrap();
    let dir = TempDir::new().unwrap();
    let open = || LogStore::open(dir.path(), FatalCell::new()).unwrap();
    let mut log = open();
    for term in [1, 2, 3_000] {
        log.save_vote(&Vote::new(term, 2)).await.unwrap();
    }
    drop(log);
    let mut log = open();
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(3_000, 2)));
    drop(log);
    // What is left of the file after a power cut: nothing, or zeros where nothing was written yet.
    for left in [[].as_slice(), &[0; 12]] {
        std::fs::write(disk::directory(dir.path()).join("VOTE"), left).unwrap();
        let mut log = open();
        assert_eq!(log.read_vote().await.unwrap(), None, "{left:?}");
    }
}
