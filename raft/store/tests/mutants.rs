//! Known bugs of reads bite. With the feature `mutants` only, and each test in a process of its own (cargo nextest).
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Cluster, propose};
use reeve_state::mutant::{self, Mutant};
use reeve_store::{Consistency, ReadError, Store};

/// Three nodes with something in them, of which this one alone is left.
async fn alone(choose: impl AsyncFnOnce(&Cluster) -> u64) -> (Cluster, u64) {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    propose(cluster.store(leader), 1).await.unwrap();
    let left = choose(&cluster).await;
    for id in (1..=3).filter(|id| *id != left) {
        cluster.crash(id);
    }
    (cluster, left)
}

async fn read(store: &Store) -> Result<usize, ReadError> {
    let deadline = Instant::now() + Duration::from_millis(500);
    let state = store.read(Consistency::Linearizable, deadline).await?;
    Ok(state.worker_count())
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_read_answers_although_nobody_follows() {
    let (cluster, leader) = alone(async |cluster| cluster.leader().await).await;
    assert!(read(cluster.store(leader)).await.is_err());
    mutant::choose(Mutant::LeaderRead).unwrap();
    assert_eq!(read(cluster.store(leader)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_read_still_asks_the_leader_on_a_node_that_follows() {
    mutant::choose(Mutant::LeaderRead).unwrap();
    let (cluster, follower) = alone(async |cluster| cluster.follower().await).await;
    assert!(read(cluster.store(follower)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn local_read_answers_on_a_node_that_knows_no_leader() {
    let (cluster, follower) = alone(async |cluster| cluster.follower().await).await;
    assert!(read(cluster.store(follower)).await.is_err());
    mutant::choose(Mutant::LocalRead).unwrap();
    assert!(read(cluster.store(follower)).await.is_ok());
}
