//! Three stores on loopback: any node serves, and what was acknowledged survives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Cluster, created, eventually, propose, soon, worker_id};
use reeve_state::id::NodeId;
use reeve_store::{ClusterSecret, Consistency, FeedItem};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn any_node_takes_a_command_and_any_node_reads_it_at_once() {
    let cluster = Cluster::start(3).await;
    let mut number = 0;
    for (writer, store) in cluster.running() {
        number += 1;
        let applied = propose(store, number).await.unwrap();
        assert_eq!(created(&applied), (worker_id(number), false));
        for (reader, other) in cluster.running() {
            let state = other.read(Consistency::Linearizable, soon()).await.unwrap();
            assert!(
                state.worker(worker_id(number)).is_some(),
                "written at {writer}, read at {reader}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_has_what_was_acknowledged_and_repeats_replies_under_the_same_request_id() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let first = propose(cluster.store(leader), 1).await.unwrap();
    let started = Instant::now();
    cluster.crash(leader);
    let follower = cluster.running().next().unwrap().0;
    let again = propose(cluster.store(follower), 1).await.unwrap();
    assert!(
        started.elapsed() < common::PATIENCE / 4,
        "failover took {:?}",
        started.elapsed()
    );
    assert_eq!(
        created(&again),
        (worker_id(1), true),
        "the same object, answered before"
    );
    assert_eq!(again.revision, first.revision);
    propose(cluster.store(follower), 2).await.unwrap();
    cluster.restart(leader).await;
    let state = cluster
        .store(leader)
        .read(Consistency::Linearizable, soon())
        .await
        .unwrap();
    assert!(state.worker(worker_id(1)).is_some() && state.worker(worker_id(2)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_comes_to_the_same_state() {
    let cluster = Cluster::start(3).await;
    let writes = (0..200).map(|number| {
        let id = number % 3 + 1;
        let store = cluster.store(id).clone();
        tokio::spawn(async move { propose(&store, number).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let target = cluster.store(cluster.leader().await).local_with_index().0;
    eventually("the same position everywhere", || {
        cluster
            .running()
            .all(|(_, store)| store.local_with_index().0 >= target)
    })
    .await;
    let mut hashes = Vec::new();
    for (_, store) in cluster.running() {
        hashes.push(store.state_hash().await);
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_when_asked_and_no_acknowledged_write_is_lost() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    propose(cluster.store(leader), 1).await.unwrap();
    // Asked at a follower: it is handed on.
    let follower = cluster.follower().await;
    cluster.store(follower).transfer_leader(None).await.unwrap();
    let next = cluster.leader().await;
    assert_ne!(next, leader);
    let state = cluster
        .store(leader)
        .read(Consistency::Linearizable, soon())
        .await
        .unwrap();
    assert!(state.worker(worker_id(1)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_not_handed_to_a_node_that_does_not_answer() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let dead = (1..=3).find(|id| *id != leader).unwrap();
    cluster.crash(dead);
    eventually("the leader misses the node", || {
        let status = cluster.store(leader).status();
        status
            .members
            .iter()
            .any(|member| member.info.id == NodeId(dead) && member.reachable == Some(false))
    })
    .await;
    let refused = cluster
        .store(leader)
        .transfer_leader(Some(NodeId(dead)))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("does not answer"), "{refused}");
    assert_eq!(cluster.leader().await, leader, "it still leads");
    // Without a wish it goes to the one that lives, whatever the other one has of the log.
    cluster.store(leader).transfer_leader(None).await.unwrap();
    let next = cluster.leader().await;
    assert!(next != leader && next != dead, "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn planners_commands_are_only_taken_by_the_leader() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    let refused = cluster
        .store(follower)
        .propose_local(vec![common::create(1)])
        .await;
    assert_eq!(refused, Err(reeve_store::ProposeError::NotLeader));
    let leader = cluster.leader().await;
    let applied = cluster
        .store(leader)
        .propose_local(vec![common::create(1), common::create(2)])
        .await
        .unwrap();
    assert_eq!(
        applied.iter().map(|a| created(a).0).collect::<Vec<_>>(),
        [worker_id(1), worker_id(2)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_has_every_change_in_order_and_resumes_where_it_was_left() {
    let cluster = Cluster::start(1).await;
    let store = cluster.store(1);
    let mut feed = store.watch(None).unwrap();
    assert!(
        matches!(feed.next().await, Some(FeedItem::Reset { .. })),
        "list first"
    );
    let mut revisions = Vec::new();
    for number in 1..=3 {
        revisions.push(propose(store, number).await.unwrap().revision);
    }
    for expected in &revisions {
        match feed.next().await {
            Some(FeedItem::Changes { revision, changes }) => {
                assert_eq!(revision, *expected);
                assert!(!changes.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
    let mut resumed = store.watch(Some(revisions[1])).unwrap();
    assert!(
        matches!(resumed.next().await, Some(FeedItem::Changes { revision, .. }) if revision == revisions[2])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_another_cluster_or_node_is_refused() {
    use reeve_proto::internal::raft_transport_client::RaftTransportClient;
    use reeve_proto::internal::{Peering, VoteRequest};

    let cluster = Cluster::start(1).await;
    let term = cluster.store(1).status().term;
    let addr = format!("http://{}", cluster.members[0].raft_addr);
    let mut client = RaftTransportClient::connect(addr).await.unwrap();
    for (cluster_id, to_node) in [("other", 1), ("test", 2)] {
        let peering = Peering {
            cluster_id: cluster_id.to_owned(),
            from_node: 9,
            to_node,
        };
        let request = VoteRequest {
            peering: Some(peering),
            ..VoteRequest::default()
        };
        let refused = client.vote(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    }
    assert_eq!(cluster.store(1).status().term, term);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_time_is_near_the_wall_clocks_and_never_goes_back() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    let first = propose(cluster.store(leader), 1).await.unwrap();
    let stamped = cluster.store(leader).local().meta().cluster_time;
    assert!(stamped.0.abs_diff(wall) < 10_000, "{stamped:?} at {wall}");
    cluster.store(leader).transfer_leader(None).await.unwrap();
    let second = propose(cluster.store(leader), 2).await.unwrap();
    assert!(second.revision > first.revision);
    let state = cluster
        .store(leader)
        .read(Consistency::Linearizable, soon())
        .await
        .unwrap();
    assert!(state.meta().cluster_time >= stamped);
    let (leaders, followers) = (cluster.leader().await, cluster.follower().await);
    assert!(cluster.store(leaders).cluster_now() >= stamped);
    cluster
        .store(followers)
        .note_leader_time(state.meta().cluster_time, std::time::Duration::ZERO);
    assert!(cluster.store(followers).cluster_now() >= state.meta().cluster_time);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_the_cluster_secret_are_a_cluster_and_one_with_another_is_left_out() {
    const SECRET: &str = "known to the nodes of this cluster only";
    let mut cluster = Cluster::start_with(3, |config| {
        config.cluster_secret = Some(ClusterSecret::new(SECRET).unwrap());
    })
    .await;
    propose(cluster.store(1), 1).await.unwrap();
    let stranger = cluster.follower().await;
    cluster.crash(stranger);
    let other = ClusterSecret::new(&SECRET.to_uppercase()).unwrap();
    cluster.configs[stranger as usize - 1].cluster_secret = Some(other);
    cluster.restart(stranger).await;
    let at = cluster.leader().await;
    let applied = propose(cluster.store(at), 2).await.unwrap();
    cluster.store(at).reached(applied.revision).await;
    let soon = Instant::now() + std::time::Duration::from_millis(500);
    let read = cluster
        .store(stranger)
        .read(Consistency::Linearizable, soon)
        .await;
    assert!(read.is_err(), "a node that shows another secret is answered");
    assert!(cluster.store(stranger).local().worker(worker_id(2)).is_none());
}
