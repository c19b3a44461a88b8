//! Ping workers: register, ping, unregister (source 003).

use reeve_node::NodeArgs;
use reeve_proto::v1;
use reeve_proto::v1::{WorkerEventKind, WorkerStatus};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::node::Node;

/// Silence counts soon.
fn hasty() -> NodeArgs {
    NodeArgs {
        ping_interval_ms: Some(100),
        worker_unreachable_threshold_ms: Some(400),
        worker_offline_threshold_ms: Some(900),
        ..NodeArgs::default()
    }
}

fn described(status: &Status) -> (Code, String) {
    let reason = status.get_details_error_info().map(|info| info.reason);
    (status.code(), reason.unwrap_or_default())
}

fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().unwrap();
    let violations = bad.field_violations.into_iter();
    violations.map(|violation| violation.field).collect()
}

async fn refused(node: &Node, ping: v1::PingWorkerRequest) -> Status {
    node.workers().ping_worker(ping).await.unwrap_err()
}

fn ping_of(id: &str) -> v1::PingWorkerRequest {
    v1::PingWorkerRequest {
        id: id.to_owned(),
        ..v1::PingWorkerRequest::default()
    }
}

async fn unregister(node: &Node, id: &str) -> v1::Worker {
    let request = v1::UnregisterWorkerRequest { id: id.to_owned() };
    let left = node.workers().unregister_worker(request).await.unwrap();
    left.into_inner().worker.unwrap()
}

// Covers: R343, R344, R346, R347, R349, R351, R352, R353
#[tokio::test]
async fn a_ping_worker_registers_pings_leaves_and_comes_back_under_its_id() {
    let node = Node::start().await;
    let request = v1::RegisterWorkerRequest {
        version: "1.2.3".into(),
        name: "p1".into(),
        ip_address: "192.0.2.7".into(),
        function_blocks: vec!["web/fetch:1.0.0".into(), "dns/lookup:2.1.0".into()],
        region: "eu-west".into(),
        ..v1::RegisterWorkerRequest::default()
    };
    let registered = node
        .workers()
        .register_worker(request.clone())
        .await
        .unwrap()
        .into_inner();
    let timing = (
        registered.ping_interval_ms,
        registered.unreachable_after_ms,
        registered.offline_after_ms,
    );
    assert_eq!(timing, (20_000, 120_000, 360_000));
    let worker = registered.worker.unwrap();
    assert_eq!(
        worker.status(),
        WorkerStatus::Offline,
        "ONLINE only with the first ping"
    );
    assert_eq!(worker.profile(), v1::LivenessProfile::Ping);
    assert_eq!(worker.function_blocks, ["dns/lookup:2.1.0", "web/fetch:1.0.0"]);

    let answer = node.ping(&worker.id).await;
    assert_eq!(
        (answer.status(), answer.ping_interval_ms, answer.leave),
        (WorkerStatus::Online, 20_000, false)
    );
    let taken = node.workers().register_worker(request.clone()).await.unwrap_err();
    assert_eq!(
        described(&taken),
        (Code::AlreadyExists, "NAME_TAKEN".to_owned()),
        "an ONLINE worker keeps its name"
    );

    let left = unregister(&node, &worker.id).await;
    assert_eq!(left.status(), WorkerStatus::Offline);
    assert_eq!(left.function_blocks, worker.function_blocks);
    let again = node
        .workers()
        .register_worker(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.worker.unwrap().id, worker.id);
    assert_eq!(node.ping(&worker.id).await.status(), WorkerStatus::Online);
    node.stop().await.unwrap();
}

// Covers: R348
#[tokio::test]
async fn a_ping_for_an_id_that_is_not_a_ping_worker_s_is_refused_by_name() {
    let node = Node::start().await;
    let unknown = refused(&node, ping_of("0190a6e0-0000-7000-8000-000000000000")).await;
    assert_eq!(
        described(&unknown),
        (Code::NotFound, "WORKER_NOT_FOUND".to_owned())
    );
    let (session, _) = node.create_worker("s1").await;
    assert_eq!(
        described(&refused(&node, ping_of(&session)).await),
        (Code::FailedPrecondition, "WRONG_PROFILE".to_owned())
    );
    assert_eq!(node.worker("s1").await.status(), WorkerStatus::Offline);
    let id = node.register("p1").await;
    node.ping(&id).await;
    let delete = v1::DeleteWorkerRequest {
        id: id.clone(),
        ..v1::DeleteWorkerRequest::default()
    };
    node.workers().delete_worker(delete).await.unwrap();
    assert_eq!(
        described(&refused(&node, ping_of(&id)).await),
        (Code::NotFound, "WORKER_NOT_FOUND".to_owned())
    );
    let next = node.register("p1").await;
    assert_ne!(next, id, "registered again after it was deleted");
    assert_eq!(node.ping(&next).await.status(), WorkerStatus::Online);
    node.stop().await.unwrap();
}

// Covers: R58
#[tokio::test]
async fn what_a_ping_says_is_checked_and_shown() {
    let node = Node::start().await;
    let id = node.register("p1").await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    for (timestamp, named) in [(at(0), "timestamp"), (at(9_999_999_999_999), "timestamp")] {
        let ping = v1::PingWorkerRequest {
            timestamp,
            ..ping_of(&id)
        };
        let status = refused(&node, ping).await;
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec![named.to_owned()])
        );
    }
    let hot = v1::PingWorkerRequest {
        resources: Some(v1::WorkerResources {
            memory_percent: 101,
            ..v1::WorkerResources::default()
        }),
        ..ping_of(&id)
    };
    assert_eq!(fields(&refused(&node, hot).await), ["resources.memory_percent"]);
    assert_eq!(
        node.worker(&id).await.status(),
        WorkerStatus::Offline,
        "what is refused is not heard"
    );

    let now = node.ping(&id).await.cluster_time.unwrap();
    let resources = v1::WorkerResources {
        cpu_percent: 11,
        memory_percent: 22,
        disk_percent: 33,
    };
    let ping = v1::PingWorkerRequest {
        timestamp: at(now.seconds - 3_600),
        resources: Some(resources),
        active_endpoints: 4,
        ..ping_of(&id)
    };
    let answer = node.workers().ping_worker(ping).await.unwrap().into_inner();
    let skew = answer.clock_skew_ms.unwrap();
    assert!((-3_640_000..=-3_600_000).contains(&skew), "{skew}");
    let worker = node.worker(&id).await;
    assert_eq!(
        worker.status(),
        WorkerStatus::Online,
        "a wrong clock changes nothing"
    );
    assert_eq!(
        (worker.clock_skew_ms, worker.resources, worker.active_endpoints),
        (Some(skew), Some(resources), 4)
    );
    node.stop().await.unwrap();
}

// Covers: R346
#[tokio::test]
async fn pings_leave_the_log_alone() {
    let node = Node::start().await;
    let id = node.register("p1").await;
    node.ping(&id).await;
    let before = node.last_log_index().await;
    for _ in 0..200 {
        node.ping(&id).await;
    }
    assert_eq!(node.last_log_index().await, before);
    node.stop().await.unwrap();
}

// Covers: R12, R105, R106, R107, R376
#[tokio::test]
async fn a_ping_worker_short_of_a_resource_is_in_error_until_it_recovers_and_that_is_counted() {
    let node = Node::start().await;
    let id = node.register("p1").await;
    node.ping(&id).await;
    let with_cpu = |cpu_percent| v1::PingWorkerRequest {
        resources: Some(v1::WorkerResources {
            cpu_percent,
            ..v1::WorkerResources::default()
        }),
        ..ping_of(&id)
    };
    for (cpu, status) in [
        (95, WorkerStatus::Error),
        (88, WorkerStatus::Error),
        (50, WorkerStatus::Online),
    ] {
        let answer = node.workers().ping_worker(with_cpu(cpu)).await.unwrap();
        assert_eq!(answer.into_inner().status(), status, "{cpu} %");
    }
    let worker = node.worker(&id).await;
    let flaps = worker.flaps.unwrap();
    assert_eq!((flaps.total, flaps.last_hour), (1, 1));

    let events = node
        .workers()
        .list_worker_events(v1::ListWorkerEventsRequest {
            id: "p1".into(),
            consistency: 0,
        })
        .await
        .unwrap()
        .into_inner()
        .events;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.seq, event.kind(), event.status_before(), event.status()))
        .collect();
    use WorkerEventKind as K;
    use WorkerStatus as S;
    assert_eq!(
        told,
        [
            (4, K::HealthChanged, S::Error, S::Online),
            (3, K::HealthChanged, S::Online, S::Error),
            (2, K::Connected, S::Offline, S::Online),
            (1, K::Registered, S::Unspecified, S::Offline),
        ]
    );
    assert_eq!(
        (events[1].node.as_str(), events[1].message.as_str()),
        ("n1", "CPU at 95 %")
    );
    let mut cluster = node.cluster();
    let status = cluster.get_status(v1::GetStatusRequest::default()).await;
    let members = status.unwrap().into_inner().members;
    let (workers, flapping, flaps) = (
        members[0].workers,
        members[0].flapping_workers,
        members[0].flaps_last_hour,
    );
    assert_eq!((workers, flapping, flaps), (1, 1, 1), "R108: by node");
    node.stop().await.unwrap();
}

// Covers: R346, R353
#[tokio::test]
async fn a_silent_ping_worker_is_unreachable_then_offline_and_online_with_its_next_ping() {
    let node = Node::start_with(hasty()).await;
    let id = node.register("p1").await;
    node.ping(&id).await;
    let epoch = node.worker(&id).await.session_epoch;
    let unreachable = node.until(&id, WorkerStatus::Unreachable).await;
    assert_eq!(unreachable.session_epoch, epoch);
    assert!(unreachable.missed_heartbeats >= 4, "of 100 ms each");
    assert_eq!(unreachable.conditions[0].actor, "reconciler");
    assert_eq!(node.ping(&id).await.status(), WorkerStatus::Online);
    assert_eq!(node.worker(&id).await.session_epoch, epoch, "the same session");
    node.until(&id, WorkerStatus::Offline).await;
    assert_eq!(node.ping(&id).await.status(), WorkerStatus::Online);
    assert_eq!(node.worker(&id).await.session_epoch, epoch + 1, "a new one");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_registration_names_every_field_and_writes_nothing() {
    let node = Node::start().await;
    let bad = v1::RegisterWorkerRequest {
        name: " p1".into(),
        ip_address: "not-an-address".into(),
        function_blocks: vec!["fetch".into()],
        ..v1::RegisterWorkerRequest::default()
    };
    let status = node.workers().register_worker(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["name", "ip_address", "function_blocks"]);
    let listed = node
        .workers()
        .list_workers(v1::ListWorkersRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(listed.workers.is_empty());
    node.stop().await.unwrap();
}
