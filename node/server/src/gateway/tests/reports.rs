//! Reports: once each, in order, whatever the worker repeats.

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Say;
use uuid::Uuid;

use super::fake::{CLOSED, Fake, READY, hello, progress, report};
use super::world::{World, patient};

// Covers: R135, R211, R212
#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_early_reports_are_answered_with_what_is_due() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    let early = progress(
        &offer,
        v1::EndpointPhase::Incall,
        v1::EndpointOutcome::Unspecified,
    );
    fake.say(report(&offer, 2, early)).await;
    assert_eq!(fake.hear_ack().await.acked_seq, 0, "report 1 is missing");
    fake.say(report(&offer, 1, READY)).await;
    assert_eq!(fake.hear_ack().await.acked_seq, 1);
    fake.hear_start().await;
    fake.say(report(&offer, 1, READY)).await;
    let ack = fake.hear_ack().await;
    assert_eq!((ack.acked_seq, ack.over, ack.refused.as_str()), (1, false, ""));
}

// Covers: R211
#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_nothing_is_over_and_a_foolish_one_is_refused() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let nothing = v1::Report {
        run_id: Uuid::now_v7().to_string(),
        epoch: 9,
        seq: 1,
        event: Some(CLOSED),
    };
    fake.say(Say::Report(nothing)).await;
    assert!(fake.hear_ack().await.over);
    world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    let foolish = progress(
        &offer,
        v1::EndpointPhase::Incall,
        v1::EndpointOutcome::Unspecified,
    );
    fake.say(report(&offer, 1, foolish)).await;
    let ack = fake.hear_ack().await;
    assert_eq!((ack.acked_seq, ack.over), (0, false));
    assert!(ack.refused.contains("before the start"), "{}", ack.refused);
}
