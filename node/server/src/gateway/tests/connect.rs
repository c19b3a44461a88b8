//! Connecting, leaving, and who wins.

use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_state::transition::worker::{LivenessProfile, WorkerStatus};
use tonic::Code;

use super::fake::{Fake, heartbeat, hello};
use super::world::{World, hasty, patient};

fn ended(code: Code, reason: &str) -> Option<(Code, String)> {
    Some((code, reason.to_owned()))
}

// Covers: R7, R83
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_its_token_is_welcome_and_online() {
    let world = World::start(patient()).await;
    let (id, token) = world.worker("w1").await;
    let (mut fake, welcome) = Fake::connect(&world, hello(&token)).await;
    assert_eq!(
        (welcome.worker_id, welcome.worker_name.as_str()),
        (id.to_string(), "w1")
    );
    assert_eq!(
        (welcome.heartbeat_interval_ms, welcome.down_after_ms),
        (30_000, 60_000)
    );
    assert_eq!(welcome.nodes, [world.context.config.grpc_addr.to_string()]);
    assert!(welcome.cluster_time_ms > 0 && welcome.resumed.is_empty());
    world.until_status(id, WorkerStatus::Online).await;
    fake.say(heartbeat(1, 5)).await;
    let Heard::HeartbeatAck(ack) = fake.hear().await else {
        panic!("an answer to the heartbeat")
    };
    assert_eq!((ack.seq, ack.sent_ms), (1, 77));
    assert!(ack.cluster_time_ms >= welcome.cluster_time_ms);
    let heard = world
        .context
        .liveness
        .heard(id, LivenessProfile::Session)
        .unwrap();
    assert_eq!(
        (heard.epoch.0, heard.missed, heard.vitals.active_endpoints),
        (welcome.session_epoch, 0, 3)
    );
    assert_eq!(world.context.liveness.session_count(), 1);
}

// Covers: R83
#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_malformed_tokens_are_refused_alike() {
    let world = World::start(patient()).await;
    let unknown = format!("cmw_{}", "0".repeat(64));
    for token in ["", "secret", &unknown] {
        let mut fake = Fake::dial(&world).await;
        fake.say(Say::Hello(hello(token))).await;
        assert_eq!(
            fake.end().await,
            ended(Code::Unauthenticated, "TOKEN_REJECTED"),
            "{token}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_no_hello_is_closed() {
    let world = World::start(patient()).await;
    let mut silent = Fake::dial(&world).await;
    assert_eq!(silent.end().await, ended(Code::DeadlineExceeded, "HELLO_TIMEOUT"));
    let mut rude = Fake::dial(&world).await;
    rude.say(heartbeat(1, 5)).await;
    assert_eq!(rude.end().await, ended(Code::InvalidArgument, "INVALID_MESSAGE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_session_wins() {
    let world = World::start(patient()).await;
    let (id, token) = world.worker("w1").await;
    let first = hello(&token);
    let (mut old, welcome) = Fake::connect(&world, first.clone()).await;
    let (mut again, welcome_again) = Fake::connect(&world, first).await;
    assert!(welcome_again.session_epoch > welcome.session_epoch);
    assert_eq!(
        old.end().await,
        None,
        "the same process came back: its old stream ends quietly"
    );
    let (mut other, _) = Fake::connect(&world, hello(&token)).await;
    assert_eq!(again.end().await, ended(Code::Aborted, "SESSION_SUPERSEDED"));
    other.say(heartbeat(1, 5)).await;
    assert!(matches!(other.hear().await, Heard::HeartbeatAck(_)));
    assert_eq!(world.context.liveness.session_count(), 1);
    world.until_status(id, WorkerStatus::Online).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_session_and_no_other() {
    let world = World::start(patient()).await;
    let (_, good_token) = world.worker("good").await;
    let (_, bad_token) = world.worker("bad").await;
    let (mut good, _) = Fake::connect(&world, hello(&good_token)).await;
    for garbage in [
        Say::Report(v1::Report {
            run_id: "x".into(),
            ..v1::Report::default()
        }),
        Say::Hello(hello(&bad_token)),
        heartbeat(1, 101),
    ] {
        let (mut bad, _) = Fake::connect(&world, hello(&bad_token)).await;
        bad.say(garbage).await;
        assert_eq!(bad.end().await, ended(Code::InvalidArgument, "INVALID_MESSAGE"));
    }
    good.say(heartbeat(1, 5)).await;
    assert!(matches!(good.hear().await, Heard::HeartbeatAck(_)));
}

// Covers: R24
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_drains_and_leaves_in_order() {
    let world = World::start(patient()).await;
    let (id, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    fake.say(Say::Drain(v1::DrainRequest {
        deadline_ms: 60_000,
        reason: "SIGTERM".into(),
    }))
    .await;
    assert!(matches!(fake.hear().await, Heard::DrainAck(_)));
    world.until_status(id, WorkerStatus::Draining).await;
    fake.say(Say::Goodbye(v1::Goodbye {
        reason: "done".into(),
    }))
    .await;
    assert_eq!(fake.end().await, None);
    world.until_status(id, WorkerStatus::Offline).await;
}

// Covers: R41
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_short_of_a_resource_is_in_error_until_it_recovers() {
    let world = World::start(patient()).await;
    let (id, token) = world.worker("w1").await;
    let (fake, _) = Fake::connect(&world, hello(&token)).await;
    fake.say(heartbeat(1, 95)).await;
    world.until_status(id, WorkerStatus::Error).await;
    fake.say(heartbeat(2, 80)).await;
    world.until_status(id, WorkerStatus::Online).await;
}

// Covers: R39, R40
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_worker_is_suspect_then_down_and_has_to_say_hello_again() {
    let world = World::start(hasty()).await;
    let (id, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    world.until_status(id, WorkerStatus::Error).await;
    world.until_status(id, WorkerStatus::Offline).await;
    assert_eq!(fake.end().await, ended(Code::Unavailable, "SESSION_OVER"));
    let (_again, _) = Fake::connect(&world, hello(&token)).await;
    world.until_status(id, WorkerStatus::Online).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_worker_that_is_heard_again_is_online() {
    let world = World::start(hasty()).await;
    let (id, token) = world.worker("w1").await;
    let (fake, _) = Fake::connect(&world, hello(&token)).await;
    world.until_status(id, WorkerStatus::Error).await;
    let _fake = fake.beating(Duration::from_millis(100));
    world.until_status(id, WorkerStatus::Online).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_says_so() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    world.context.shutdown.cancel();
    assert_eq!(fake.end().await, ended(Code::Unavailable, "SHUTTING_DOWN"));
}

// Covers: R52
#[tokio::test(flavor = "multi_thread")]
async fn the_hello_of_a_stranger_costs_no_entry_of_the_log() {
    let world = World::start(patient()).await;
    let before = world.context.store.status().last_log_index;
    for _ in 0..20 {
        let mut stranger = Fake::dial(&world).await;
        stranger
            .say(Say::Hello(hello(&format!("cmw_{}", "0".repeat(64)))))
            .await;
        assert_eq!(
            stranger.end().await,
            ended(Code::Unauthenticated, "TOKEN_REJECTED")
        );
    }
    assert_eq!(world.context.store.status().last_log_index, before);
}
