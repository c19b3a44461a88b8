//! Chunks of evidence, and the summary that the leader makes of them.

use std::collections::BTreeMap;
use std::io::Write;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, CreateKey, RecordSummary};
use reeve_state::id::{KeyHash, KeyId, ProjectName, RunId};
use reeve_state::record::{Access, Aggregate, EvidenceKind, METRICS, Role, SUCCESS_RATE};
use reeve_state::transition::run::RunStatus;
use sha2::{Digest, Sha256};
use tonic::Code;

use super::fake::{CLOSED, Fake, READY, hello, progress, report};
use super::world::{World, patient};
use crate::api::call::{Caller, deadline};
use crate::api::{Api, Call};

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

impl World {
    /// What somebody who asks is told of a run.
    async fn metrics(&self, run: RunId) -> v1::GetRunMetricsResponse {
        let key = CreateKey {
            id: KeyId::from_bytes([9; 16]),
            name: "admin".to_owned(),
            role: Role::Admin,
            project: ProjectName::default().to_string(),
            hash: KeyHash([9; 32]),
            ttl: None,
            bootstrap: true,
        };
        let caller = Caller {
            key: key.id,
            name: key.name.clone(),
            role: key.role,
            project: key.project.clone(),
        };
        self.propose(Command::CreateKey(key)).await.unwrap();
        let call = Call {
            caller,
            access: Access::Read,
            deadline: deadline(None),
        };
        let request = v1::GetRunMetricsRequest {
            id: run.to_string(),
            ..Default::default()
        };
        let api = Api::new(self.context.clone());
        api.get_run_metrics(request, &call).await.unwrap()
    }

    /// What a node of an older version wrote of a run.
    async fn summarise_without_groups(&self, run: RunId) {
        let command = RecordSummary {
            run,
            metrics: BTreeMap::from([("mos".to_owned(), Aggregate::one(7))]),
            complete: false,
            missing: "something".to_owned(),
            responses: BTreeMap::new(),
            groups: Vec::new(),
        };
        self.propose(Command::RecordSummary(command)).await.unwrap();
    }
}

/// A run of two groups, each on an assignment of its own whose rows all say that they are of callers. It ends without the last chunk of
/// events, so that the leader waits with its summary.
async fn run_whose_rows_are_all_of_callers(world: &World) -> RunId {
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(world, hello(&token)).await;
    let groups = [("callers", 2, None), ("receivers", 2, None)];
    let run = world.run_calling("t1", &groups).await;
    let offers = [fake.hear_offer().await, fake.hear_offer().await];
    for offer in &offers {
        fake.say(report(offer, 1, READY)).await;
    }
    let all_started = |state: &State| state.assignments(run).filter(|row| row.started).count() == 2;
    world.until("both start", all_started).await;
    let mut client = world.client().await;
    for offer in &offers {
        let mos = if offer.group == "callers" { 4 } else { 2 };
        let text = format!(
            "{{\"at\":1,\"group\":\"callers\",\"endpoint\":0,\"mos\":{mos},\"responses\":[\"INVITE 48{mos}\"]}}\n"
        );
        let metrics = chunk(&token, offer, v1::EvidenceKind::Metrics, &text);
        client.put_chunk(metrics).await.unwrap();
        let done = progress(offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
        fake.say(report(offer, 2, done)).await;
        fake.say(report(offer, 3, CLOSED)).await;
    }
    world.until_run(run, RunStatus::Completed).await;
    run
}

/// A group, least and most of its `mos`, and its responses.
type OfGroup<'a> = (&'a str, Vec<(f64, f64)>, Vec<&'a str>);

fn told(answer: &v1::GetRunMetricsResponse) -> Vec<OfGroup<'_>> {
    let groups = answer.groups.iter();
    groups
        .map(|group| {
            let mos = group.metrics.iter().filter(|metric| metric.metric == "mos");
            let responses = group.responses.iter().map(|one| one.name.as_str());
            let mos = mos.map(|mos| (mos.min, mos.max)).collect();
            (group.group.as_str(), mos, responses.collect())
        })
        .collect()
}

// Covers: R153, R158
#[tokio::test(flavor = "multi_thread")]
async fn a_row_counts_for_the_group_of_its_assignment_whatever_it_says() {
    let world = World::start(patient()).await;
    let run = run_whose_rows_are_all_of_callers(&world).await;
    let answer = world.metrics(run).await;
    assert!(!answer.summarised);
    let expected = [
        ("callers", vec![(4.0, 4.0)], vec!["INVITE 484"]),
        ("receivers", vec![(2.0, 2.0)], vec!["INVITE 482"]),
    ];
    assert_eq!(told(&answer), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_without_groups_is_told_with_groups_from_the_chunks() {
    let world = World::start(patient()).await;
    let run = run_whose_rows_are_all_of_callers(&world).await;
    world.summarise_without_groups(run).await;
    let answer = world.metrics(run).await;
    assert!(answer.summarised);
    let of_run: Vec<_> = answer
        .metrics
        .iter()
        .map(|one| (one.metric.as_str(), one.max))
        .collect();
    assert_eq!(
        of_run,
        [("mos", 0.007)],
        "the run's figures are those of the summary"
    );
    assert_eq!(answer.missing, "something");
    assert_eq!(
        told(&answer)[1],
        ("receivers", vec![(2.0, 2.0)], vec!["INVITE 482"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_without_groups_says_so_if_the_chunks_cannot_be_read_now() {
    let world = World::start(patient()).await;
    let run = run_whose_rows_are_all_of_callers(&world).await;
    world.summarise_without_groups(run).await;
    let reads = world.context.evidence.reads();
    let _all = reads
        .acquire_many(u32::try_from(reads.available_permits()).unwrap())
        .await
        .unwrap();
    let answer = world.metrics(run).await;
    assert!(
        answer
            .missing
            .starts_with("something; figures of groups: too many questions"),
        "{}",
        answer.missing
    );
    assert_eq!(told(&answer)[1], ("receivers", vec![], vec![]));
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
