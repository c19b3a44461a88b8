//! Runs, from the offer to the end, with workers that follow a script.

use std::time::Duration;

use reeve_proto::v1;
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::WorkerStatus;

use super::fake::{CLOSED, Fake, READY, hello, progress, report};
use super::world::{World, hasty, patient};

// Covers: R117, R118, R134, R135, R139, R141, R152
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_offered_started_reported_and_completed() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let run = world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    assert_eq!(offer.run_id, run.to_string());
    assert_eq!(
        (offer.group.as_str(), offer.first_endpoint, offer.endpoints),
        ("callers", 0, 10)
    );
    assert_eq!((offer.group_endpoints, offer.duration_ms), (10, 1_000));
    fake.say(report(&offer, 1, READY)).await;
    assert_eq!(fake.hear_ack().await.acked_seq, 1);
    let start = fake.hear_start().await;
    assert_eq!(start.epoch, offer.epoch);
    let done = progress(&offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
    fake.say(report(&offer, 2, done)).await;
    fake.say(report(&offer, 3, CLOSED)).await;
    assert_eq!(fake.hear_ack().await.acked_seq, 2);
    assert_eq!(fake.hear_ack().await.acked_seq, 3);
    let state = world.until_run(run, RunStatus::Completed).await;
    let counts = state.run_counts(run);
    assert_eq!(counts.phase(EndpointPhase::Closed), 10);
    assert_eq!(counts.outcome(EndpointOutcome::Success), 10);
    assert_eq!(
        state.run(run).unwrap().start_at.unwrap().0,
        u64::try_from(start.start_at_ms).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_back_is_told_again_what_it_may_have_missed() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let same = hello(&token);
    let (mut fake, _) = Fake::connect(&world, same.clone()).await;
    let run = world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    fake.say(report(&offer, 1, READY)).await;
    fake.hear_ack().await;
    let start = fake.hear_start().await;
    let held = v1::HeldAssignment {
        run_id: run.to_string(),
        epoch: offer.epoch,
        acked_seq: 1,
    };
    let (mut again, welcome) = Fake::connect(
        &world,
        v1::Hello {
            held: vec![held.clone()],
            ..same
        },
    )
    .await;
    assert_eq!(welcome.resumed, [held]);
    let repeated = again.hear_start().await;
    assert!(repeated.cluster_time_ms >= start.cluster_time_ms, "{repeated:?}");
    let same_words = v1::Start {
        cluster_time_ms: start.cluster_time_ms,
        ..repeated
    };
    assert_eq!(same_words, start, "and no second offer before it");
}

// Covers: R22, R168, R179
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_silent_loses_its_endpoints_once_and_is_told_to_let_go() {
    let world = World::start(hasty()).await;
    let (id, token) = world.worker("w1").await;
    let same = hello(&token);
    let (fake, _) = Fake::connect(&world, same.clone()).await;
    let mut fake = fake.beating(Duration::from_millis(100));
    let run = world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    fake.say(report(&offer, 1, READY)).await;
    fake.hear_ack().await;
    fake.hear_start().await;
    drop(fake);
    world.until_status(id, WorkerStatus::Error).await;
    world.until_status(id, WorkerStatus::Offline).await;
    let state = world.until_run(run, RunStatus::Failed).await;
    let counts = state.run_counts(run);
    assert_eq!(counts.phase(EndpointPhase::Closed), 10);
    assert_eq!(counts.outcome(EndpointOutcome::Oserror), 10);

    let held = v1::HeldAssignment {
        run_id: run.to_string(),
        epoch: offer.epoch,
        acked_seq: 1,
    };
    let (again, _) = Fake::connect(
        &world,
        v1::Hello {
            held: vec![held],
            ..same
        },
    )
    .await;
    let mut again = again.beating(Duration::from_millis(100));
    assert!(again.hear_stop().await.abandon);
    let late = progress(&offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
    again.say(report(&offer, 2, late)).await;
    assert!(again.hear_stop().await.abandon);
    assert_eq!(again.hear_ack().await.refused, "EPOCH_OVER");
    again.say(report(&offer, 2, CLOSED)).await;
    assert_eq!(again.hear_ack().await.refused, "");
    let state = world
        .until("the capacity is free", |state| state.reserved(id) == 0)
        .await;
    assert_eq!(
        state.run_counts(run).outcome(EndpointOutcome::Oserror),
        10,
        "what came late changed nothing"
    );
    let assignment = state.assignments(run).next().unwrap();
    let late = assignment.late_report(9).expect("it is kept as evidence");
    assert_eq!(
        (assignment.late.len(), late.outcome),
        (10, Some(EndpointOutcome::Success))
    );
}

// Covers: R134, R136, R141
#[tokio::test(flavor = "multi_thread")]
async fn a_ready_worker_that_missed_the_start_gets_it_after_its_hello_and_says_how_late_it_was() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let same = hello(&token);
    let (mut fake, _) = Fake::connect(&world, same.clone()).await;
    let run = world.run("t1", 10).await;
    let offer = fake.hear_offer().await;
    fake.say(report(&offer, 1, READY)).await;
    assert_eq!(fake.hear_ack().await.acked_seq, 1);
    // Cut off between its word and the start.
    drop(fake);
    let state = world.until_run(run, RunStatus::Running).await;
    let start_at = state.run(run).unwrap().start_at.unwrap();
    let held = v1::HeldAssignment {
        run_id: run.to_string(),
        epoch: offer.epoch,
        acked_seq: 1,
    };
    let hello = v1::Hello {
        held: vec![held],
        ..same
    };
    let (mut again, welcome) = Fake::connect(&world, hello).await;
    assert_eq!(welcome.resumed[0].acked_seq, 1);
    let start = again.hear_start().await;
    assert_eq!(u64::try_from(start.start_at_ms).unwrap(), start_at.0);
    let late = v1::report::Event::StartedLate(v1::StartedLate { by_ms: 2_500 });
    again.say(report(&offer, 2, late)).await;
    assert_eq!(again.hear_ack().await.acked_seq, 2);
    let done = progress(&offer, v1::EndpointPhase::Closed, v1::EndpointOutcome::Success);
    again.say(report(&offer, 3, done)).await;
    again.say(report(&offer, 4, CLOSED)).await;
    let state = world.until_run(run, RunStatus::Completed).await;
    let assignment = state.assignments(run).next().unwrap();
    assert_eq!(assignment.start_late, Some(Millis(2_500)));
    assert_eq!(state.run_counts(run).outcome(EndpointOutcome::Success), 10);
}

// Covers: R134, R145
#[tokio::test(flavor = "multi_thread")]
async fn groups_that_others_call_are_offered_and_started_first() {
    let world = World::start(patient()).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let groups = [("callers", 10, Some("receivers")), ("receivers", 10, None)];
    world.run_calling("t1", &groups).await;
    let first = fake.hear_offer().await;
    let second = fake.hear_offer().await;
    assert_eq!(
        (first.group.as_str(), second.group.as_str()),
        ("receivers", "callers")
    );
    for offer in [&first, &second] {
        fake.say(report(offer, 1, READY)).await;
        fake.hear_ack().await;
    }
    let (one, other) = (fake.hear_start().await, fake.hear_start().await);
    let of = |offer: &v1::Offer| {
        let starts = [&one, &other];
        let start = starts.into_iter().find(|start| start.epoch == offer.epoch);
        start.expect("both are started").start_at_ms
    };
    let settle = i64::try_from(reeve_state::definition::SETTLE.0).unwrap();
    assert_eq!(of(&second) - of(&first), settle, "the build-up is 0");
}
