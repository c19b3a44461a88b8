//! Evidence, from the endpoints to a node that stores it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use reeve_proto::v1::offer::Executor;
use reeve_proto::v1::{EvidenceKind, MilliRange, Offer, PutChunkRequest, SimQuality};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{Cluster, FakeNode, Worker, cluster_time_ms, config, offer, until};
use tonic::Status;

/// Short calls that are said to sound well.
fn with_quality(mut offer: Offer) -> Offer {
    if let Some(Executor::Sim(sim)) = &mut offer.executor {
        let range = |min_milli, max_milli| Some(MilliRange { min_milli, max_milli });
        sim.quality = Some(SimQuality {
            mos: range(3_800, 4_400),
            jitter_ms: range(5_000, 20_000),
            ..SimQuality::default()
        });
    }
    offer
}

fn rows(chunks: &[PutChunkRequest], kind: EvidenceKind) -> Vec<Value> {
    let of_kind = chunks.iter().filter(|chunk| chunk.kind == i32::from(kind));
    let rows = |chunk: &PutChunkRequest| {
        assert_eq!(chunk.sha256, Sha256::digest(&chunk.data).to_vec());
        let mut text = String::new();
        flate2::read::GzDecoder::new(chunk.data.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        let rows: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows.len() as u64, chunk.rows);
        rows
    };
    of_kind.flat_map(rows).collect()
}

async fn started(cluster: &Cluster) {
    until("ready", || cluster.of(1, |assignment| assignment.ready)).await;
    cluster.start(1, cluster_time_ms() + 100);
}

// Covers: R143, R153, D14a
#[tokio::test]
async fn every_endpoint_leaves_its_figures_and_its_log_before_its_assignment_is_closed() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let _worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.offer(with_quality(offer(1, 20, 2_500, Vec::new())));
    started(&cluster).await;
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    let state = cluster.state();
    let last: Vec<_> = state
        .chunks
        .iter()
        .filter(|chunk| chunk.last)
        .map(|chunk| chunk.kind)
        .collect();
    assert_eq!(last.len(), 2, "both kinds were complete before Closed: {last:?}");
    assert!(
        state
            .chunks
            .iter()
            .all(|chunk| (chunk.run_id.as_str(), chunk.epoch, chunk.dropped) == ("run-1", 1, 0))
    );
    let events = rows(&state.chunks, EvidenceKind::Events);
    assert_eq!(events.len(), 20 * 8, "eight phases each");
    let closed = events.iter().filter(|row| row["phase"] == "CLOSED");
    assert!(closed.clone().all(|row| row["outcome"] == "SUCCESS"));
    assert_eq!(closed.count(), 20);
    let samples = rows(&state.chunks, EvidenceKind::Metrics);
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &samples {
        assert_eq!(row["simulated"], true);
        for metric in [
            "setup_time_ms",
            "call_duration_ms",
            "start_lateness_ms",
            "mos",
            "jitter_ms",
        ] {
            if let Some(value) = row[metric].as_f64() {
                *count.entry(metric).or_default() += 1;
                let range = match metric {
                    "setup_time_ms" => 0.0..2_000.0,
                    "call_duration_ms" => 2_400.0..6_000.0,
                    "mos" => 3.8..4.401,
                    "jitter_ms" => 5.0..20.001,
                    _ => 0.0..2_000.0,
                };
                assert!(range.contains(&value), "{row}");
            }
        }
    }
    for once in ["setup_time_ms", "call_duration_ms", "start_lateness_ms"] {
        assert_eq!(count[once], 20, "{once}");
    }
    assert!(
        (20 * 2..=20 * 4).contains(&count["mos"]),
        "about once a second: {count:?}"
    );
    let second = state.live.iter().flat_map(|live| &live.assignments);
    assert!(
        second
            .clone()
            .any(|one| one.phases.iter().sum::<u32>() == 20 && !one.metrics.is_empty())
    );
}

#[tokio::test]
async fn closed_does_not_wait_long_for_a_node_that_stores_nothing_and_nothing_is_lost_meanwhile() {
    let cluster = Cluster::new();
    let node = FakeNode::start(&cluster).await;
    let _worker = Worker::start(config(&[&node]));
    until("session", || !cluster.state().hellos.is_empty()).await;
    cluster.state().stores_nothing = true;
    cluster.offer(offer(1, 5, 100, Vec::new()));
    started(&cluster).await;
    until("all endpoints closed", || {
        cluster.of(1, |assignment| assignment.closed_endpoints == 5)
    })
    .await;
    let began = std::time::Instant::now();
    until("closed", || cluster.of(1, |assignment| assignment.closed)).await;
    assert!(began.elapsed() > Duration::from_secs(3), "it waited for evidence");
    // Another session, and then it gets through.
    node.cut(Status::unavailable("SHUTTING_DOWN"));
    cluster.state().stores_nothing = false;
    until("stored", || {
        cluster.state().chunks.iter().filter(|chunk| chunk.last).count() == 2
    })
    .await;
    assert_eq!(rows(&cluster.state().chunks, EvidenceKind::Events).len(), 5 * 8);
}
