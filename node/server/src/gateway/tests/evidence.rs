//! Chunks of evidence, and the summary that the leader makes of them.

use std::io::Write;

use reeve_proto::v1;
use reeve_state::record::{EvidenceKind, METRICS, SUCCESS_RATE};
use reeve_state::transition::run::RunStatus;
use sha2::{Digest, Sha256};
use tonic::Code;

use super::fake::{CLOSED, Fake, READY, hello, progress, report};
use super::world::{World, patient};

pub(super) fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn chunk(
    token: &str,
    offer: &v1::Offer,
    kind: v1::EvidenceKind,
    text: &str,
) -> v1::PutChunkRequest {
    let data = packed(text);
    v1::PutChunkRequest {
        token: token.to_owned(),
        run_id: offer.run_id.clone(),
        epoch: offer.epoch,
        kind: kind.into(),
        seq: 0,
        rows: text.lines().count() as u64,
        first_at_ms: 1,
        last_at_ms: 2,
        sha256: Sha256::digest(&data).to_vec(),
        last: true,
        dropped: 0,
        data,
    }
}

// Covers: R150, R153, R158
#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_stored_once_and_become_the_summary_of_the_run() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, welcome) = Fake::connect(&world, hello(&token)).await;
    assert!(welcome.evidence);
    let run = world.run("t1", 4).await;
    let offer = fake.hear_offer().await;
    let text = "{\"at\":1,\"group\":\"callers\",\"endpoint\":0,\"setup_time_ms\":10}\n\
                {\"at\":2,\"group\":\"callers\",\"endpoint\":1,\"setup_time_ms\":30.5,\"responses\":[\"INVITE 486\"]}\n";
    let metrics = chunk(&token, &offer, v1::EvidenceKind::Metrics, text);
    let mut client = world.client().await;
    let early = client.put_chunk(metrics.clone()).await.unwrap_err();
    assert_eq!(
        early.code(),
        Code::FailedPrecondition,
        "nothing has started: {early}"
    );
    fake.say(report(&offer, 1, READY)).await;
    fake.hear_ack().await;
    fake.hear_start().await;
    client.put_chunk(metrics.clone()).await.unwrap();
    client.put_chunk(metrics.clone()).await.unwrap();
    let other = chunk(&token, &offer, v1::EvidenceKind::Metrics, "");
    assert_eq!(
        client.put_chunk(other).await.unwrap_err().code(),
        Code::AlreadyExists
    );
    let events = chunk(&token, &offer, v1::EvidenceKind::Events, "");
    client.put_chunk(events).await.unwrap();

    let done = progress(&offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
    fake.say(report(&offer, 2, done)).await;
    fake.say(report(&offer, 3, CLOSED)).await;
    let state = world.until_run(run, RunStatus::Completed).await;
    assert_eq!(state.manifests(run).count(), 2);
    let state = world
        .until("the summary", |state| state.summary(run).is_some())
        .await;
    let summary = state.summary(run).unwrap();
    assert!(summary.complete, "{}", summary.missing);
    let setup = summary.metrics[METRICS[0]];
    assert_eq!(
        (
            setup.count,
            setup.min_milli,
            setup.mean_milli,
            setup.p50_milli,
            setup.max_milli
        ),
        (2, 10_000, 20_250, 10_000, 30_500)
    );
    assert_eq!(summary.metrics[SUCCESS_RATE].mean_milli, 100_000);
    assert_eq!(summary.responses.get("INVITE 486"), Some(&1));
    let [group] = summary.groups.as_slice() else {
        panic!("one group: {:?}", summary.groups)
    };
    assert_eq!(group.group, "callers");
    assert_eq!(
        (&group.metrics, &group.responses),
        (&summary.metrics, &summary.responses)
    );
}

// Covers: R83, R102
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_not_the_workers_own_or_is_broken_is_refused() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (_, stranger) = world.worker("w2").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let run = world.run("t1", 4).await;
    let offer = fake.hear_offer().await;
    fake.say(report(&offer, 1, READY)).await;
    fake.hear_ack().await;
    fake.hear_start().await;
    let good = || chunk(&token, &offer, v1::EvidenceKind::Metrics, "");
    let cases: [(v1::PutChunkRequest, Code); 7] = [
        (
            v1::PutChunkRequest {
                token: "cmw_x".to_owned(),
                ..good()
            },
            Code::Unauthenticated,
        ),
        (
            v1::PutChunkRequest {
                token: format!("cmw_{}", "0".repeat(64)),
                ..good()
            },
            Code::Unauthenticated,
        ),
        (
            v1::PutChunkRequest {
                token: stranger,
                ..good()
            },
            Code::NotFound,
        ),
        (v1::PutChunkRequest { epoch: 9, ..good() }, Code::NotFound),
        (v1::PutChunkRequest { kind: 0, ..good() }, Code::InvalidArgument),
        (
            v1::PutChunkRequest {
                sha256: vec![0; 32],
                ..good()
            },
            Code::InvalidArgument,
        ),
        (
            v1::PutChunkRequest {
                last_at_ms: 0,
                ..good()
            },
            Code::InvalidArgument,
        ),
    ];
    let mut client = world.client().await;
    for (wrong, code) in cases {
        let status = client.put_chunk(wrong).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
    let state = world.context.store.local();
    assert_eq!(state.manifests(run).count(), 0);
    assert!(
        !format!("{:?}", good()).contains(&token),
        "the token is not in what is printed"
    );
    let _ = EvidenceKind::ALL;
}

// Covers: D14
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_purged_with_its_objects_after_its_retention() {
    let world = World::start(crate::args::NodeArgs {
        run_retention_s: Some(2),
        ..patient()
    })
    .await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let run = world.run("t1", 4).await;
    let offer = fake.hear_offer().await;
    fake.say(report(&offer, 1, READY)).await;
    fake.hear_ack().await;
    fake.hear_start().await;
    let metrics = chunk(&token, &offer, v1::EvidenceKind::Metrics, "");
    let mut client = world.client().await;
    client.put_chunk(metrics.clone()).await.unwrap();
    let folder = world
        .context
        .config
        .data_dir
        .join("objects/runs")
        .join(run.to_string());
    assert!(folder.join("0/metrics-0.jsonl.gz").is_file());
    let done = progress(&offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
    fake.say(report(&offer, 2, done)).await;
    fake.say(report(&offer, 3, CLOSED)).await;
    world.until_run(run, RunStatus::Completed).await;
    world
        .until("the run is purged", |state| state.run(run).is_none())
        .await;
    assert!(
        !folder.join("0/metrics-0.jsonl.gz").exists(),
        "its objects went before it"
    );
    assert_eq!(
        client.put_chunk(metrics).await.unwrap_err().code(),
        Code::NotFound
    );
}
