//! What a store keeps over restarts, crashes, snapshots and damage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Cluster, config, eventually, free_addrs, member, open, propose, soon, worker_id};
use reeve_state::id::NodeId;
use reeve_store::{Consistency, FeedItem, OpenError, SnapshotPolicy, Store, StoreConfig};
use tempfile::TempDir;

fn alone(dir: &Path) -> StoreConfig {
    config(1, dir, &[member(1, free_addrs(1)[0])])
}

async fn read(store: &Store) -> std::sync::Arc<reeve_state::State> {
    store.read(Consistency::Linearizable, soon()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_the_same_state() {
    let dir = TempDir::new().unwrap();
    let config = alone(dir.path());
    let store = open(&config).await;
    for number in 0..20 {
        propose(&store, number).await.unwrap();
    }
    let before = read(&store).await;
    store.shutdown().await;
    drop(store);
    let store = open(&config).await;
    let after = read(&store).await;
    assert_eq!(after.meta(), before.meta());
    assert_eq!(
        after.rows().collect::<Vec<_>>(),
        before.rows().collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing_that_was_acknowledged_and_replay_gives_the_same_hash() {
    let dir = TempDir::new().unwrap();
    let config = alone(dir.path());
    let store = open(&config).await;
    for number in 0..10 {
        propose(&store, number).await.unwrap();
    }
    store.snapshot().await.unwrap();
    for number in 10..20 {
        propose(&store, number).await.unwrap();
    }
    let before = read(&store).await.rows().collect::<Vec<_>>();
    drop(store);
    let store = open(&config).await;
    assert_eq!(read(&store).await.rows().collect::<Vec<_>>(), before);
    let (index, hash) = store.state_hash().await;
    drop(store);
    let store = open(&config).await;
    eventually("the same position", || store.local_with_index().0 >= index).await;
    assert_eq!(read(&store).await.rows().collect::<Vec<_>>(), before);
    if store.local_with_index().0 == index {
        assert_eq!(store.state_hash().await, (index, hash));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_too_long_gets_the_whole_state() {
    let mut cluster = Cluster::start_with(3, |config| {
        config.snapshot = SnapshotPolicy {
            keep_entries: 1,
            ..SnapshotPolicy::default()
        };
    })
    .await;
    let away = cluster.follower().await;
    cluster.crash(away);
    let leader = cluster.leader().await;
    for number in 0..50 {
        propose(cluster.store(leader), number).await.unwrap();
    }
    cluster.store(leader).snapshot().await.unwrap();
    propose(cluster.store(leader), 50).await.unwrap();
    let store = cluster.store(leader);
    eventually("the log to be cut", || {
        store.status().purged_index.is_some_and(|index| index > 5)
    })
    .await;
    cluster.restart(away).await;
    let mut feed = cluster
        .store(away)
        .watch(Some(reeve_state::id::Revision(0)))
        .unwrap_or_else(|_| cluster.store(away).watch(None).unwrap());
    let state = read(cluster.store(away)).await;
    assert_eq!(state.worker_count(), 51);
    assert!(
        matches!(feed.next().await, Some(FeedItem::Reset { .. })),
        "consumers list again"
    );
    assert!(
        cluster.store(away).status().snapshot_index.is_some(),
        "it came as a snapshot"
    );
    // What was installed is there after another restart.
    cluster.crash(away);
    cluster.restart(away).await;
    assert_eq!(read(cluster.store(away)).await.worker_count(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_at_any_node_and_removed_again() {
    let cluster = Cluster::start(1).await;
    propose(cluster.store(1), 1).await.unwrap();
    let dir = TempDir::new().unwrap();
    let newcomer = member(2, free_addrs(1)[0]);
    let mut config = StoreConfig::new(
        NodeId(2),
        "test",
        dir.path().to_owned(),
        newcomer.raft_addr.parse().unwrap(),
    );
    config.members = Vec::new();
    let second = open(&config).await;
    cluster.store(1).add_member(newcomer).await.unwrap();
    assert_eq!(read(&second).await.worker_count(), 1);
    propose(&second, 2).await.unwrap();
    eventually("two members", || cluster.store(1).status().members.len() == 2).await;
    // Asked at the follower: it is handed on.
    second.remove_member(NodeId(2)).await.unwrap();
    eventually("one member", || cluster.store(1).status().members.len() == 1).await;
    propose(cluster.store(1), 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_node_or_cluster_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let config = alone(dir.path());
    let store = open(&config).await;
    store.shutdown().await;
    drop(store);
    let other = StoreConfig {
        cluster_id: "other".to_owned(),
        ..config
    };
    let error = Store::open(other, None).await.err().unwrap();
    assert!(matches!(error, OpenError::Identity { .. }));
    let text = error.to_string();
    assert!(text.contains("\"test\"") && text.contains("\"other\""), "{text}");
}

/// Flips bytes in the middle of the largest file of a kind.
fn damage(dir: &Path, extension: &str) {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    let file = files
        .max_by_key(|path| path.metadata().unwrap().len())
        .expect("a file to damage");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 8]
        .iter_mut()
        .for_each(|byte| *byte ^= 0xff);
    std::fs::write(&file, bytes).unwrap();
}

async fn refused(config: StoreConfig, part: &str) {
    let error = Store::open(config, None)
        .await
        .err()
        .expect("damage must be noticed");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let config = alone(dir.path());
    let store = open(&config).await;
    for number in 0..50 {
        propose(&store, number).await.unwrap();
    }
    store.shutdown().await;
    drop(store);
    damage(&dir.path().join("log"), "log");
    refused(config, "log").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let config = alone(dir.path());
    let store = open(&config).await;
    for number in 0..200 {
        propose(&store, number).await.unwrap();
    }
    store.snapshot().await.unwrap();
    store.shutdown().await;
    drop(store);
    damage(&dir.path().join("state/db-1"), "sst");
    refused(config, "state/db-1").await;
}

/// Not a test by itself: the process that the next test kills. Prints each number once it is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn writes_until_it_is_killed() {
    let Ok(dir) = std::env::var("REEVE_KILL_DIR") else {
        return;
    };
    let store = open(&alone(Path::new(&dir))).await;
    let mut output = std::fs::OpenOptions::new()
        .append(true)
        .open(Path::new(&dir).join("acknowledged"))
        .unwrap();
    for number in 0.. {
        propose(&store, number).await.unwrap();
        std::io::Write::write_all(&mut output, format!("{number}\n").as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let acknowledged = dir.path().join("acknowledged");
    std::fs::write(&acknowledged, "").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writes_until_it_is_killed", "--exact"])
        .env("REEVE_KILL_DIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let count = || {
        BufReader::new(std::fs::File::open(&acknowledged).unwrap())
            .lines()
            .count() as u64
    };
    eventually("some writes", || count() >= 30).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let written = count();
    let store = open(&alone(dir.path())).await;
    let state = read(&store).await;
    for number in 0..written {
        assert!(
            state.worker(worker_id(number)).is_some(),
            "worker {number} of {written} is gone"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_acknowledged_and_the_reason_is_given() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.crash(id);
    }
    let store = cluster.store(leader);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(700);
    let result = store
        .propose(common::create(1), reeve_store::Lane::Users, deadline)
        .await;
    assert_eq!(
        result,
        Err(reeve_store::ProposeError::OutcomeUnknown),
        "it is in the log and may yet commit"
    );
    let deadline = tokio::time::Instant::now() + Duration::from_millis(300);
    assert!(store.read(Consistency::Linearizable, deadline).await.is_err());
}
