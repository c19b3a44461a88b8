//! Drains by callers, on a real node.

use reeve_proto::v1;
use reeve_proto::v1::WorkerStatus;
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::node::Node;
use crate::projects::{create_project, key_of};
use crate::session::Session;

fn described(status: &Status) -> (Code, String) {
    let reason = status.get_details_error_info().map(|info| info.reason);
    (status.code(), reason.unwrap_or_default())
}

fn drain_of(id: &str) -> v1::DrainWorkerRequest {
    v1::DrainWorkerRequest {
        id: id.to_owned(),
        reason: "rack move".to_owned(),
        ..v1::DrainWorkerRequest::default()
    }
}

async fn drain(node: &Node, request: v1::DrainWorkerRequest) -> v1::DrainWorkerResponse {
    node.workers().drain_worker(request).await.unwrap().into_inner()
}

async fn undrain(node: &Node, id: &str) -> v1::Worker {
    let request = v1::UndrainWorkerRequest {
        id: id.to_owned(),
        request_id: String::new(),
    };
    let taken_back = node.workers().undrain_worker(request).await.unwrap();
    taken_back.into_inner().worker.unwrap()
}

async fn start_run(node: &Node, test: &str) -> v1::Run {
    let request = v1::StartRunRequest {
        test: test.to_owned(),
        request_id: String::new(),
        ..Default::default()
    };
    let started = node.runs().start_run(request).await.unwrap();
    started.into_inner().run.unwrap()
}

/// Waits until the worker has an offer, and takes it.
async fn take_offer(session: &mut Session) -> v1::Offer {
    let offer = loop {
        if let Heard::Offer(offer) = session.hear().await {
            break offer;
        }
    };
    session
        .say(Say::Report(v1::Report {
            run_id: offer.run_id.clone(),
            epoch: offer.epoch,
            seq: 1,
            event: Some(v1::report::Event::Ready(v1::Ready {})),
        }))
        .await;
    loop {
        if let Heard::Start(_) = session.hear().await {
            return offer;
        }
    }
}

/// A worker with a run on it.
async fn busy(node: &Node) -> (Session, v1::Run) {
    let (_, token) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &token).await;
    node.create_test("smoke").await;
    let run = start_run(node, "smoke").await;
    take_offer(&mut session).await;
    (session, run)
}

// Covers: R29, R30
#[tokio::test]
async fn a_drain_is_shown_with_who_why_until_when_and_what_it_waits_for() {
    let node = Node::start().await;
    let (mut session, run) = busy(&node).await;
    let response = drain(&node, drain_of("w1")).await;
    assert!(response.queued.is_empty());
    let worker = response.worker.unwrap();
    assert_eq!(worker.status(), WorkerStatus::Draining);
    assert_eq!(
        (
            worker.conditions[0].r#type.as_str(),
            worker.conditions[0].actor.as_str()
        ),
        ("Drain", "bootstrap")
    );
    let shown = worker.drain.unwrap();
    assert_eq!(
        (shown.actor.as_str(), shown.reason.as_str(), shown.then()),
        ("bootstrap", "rack move", v1::AfterDrain::Disconnect)
    );
    let (since, deadline) = (shown.since.unwrap(), shown.deadline.unwrap());
    assert_eq!(deadline.seconds - since.seconds, 3_600, "an hour by default");
    let waits = &shown.waits_for[0];
    assert_eq!(
        (waits.run_id.as_str(), waits.test.as_str(), waits.open_endpoints),
        (run.id.as_str(), "smoke", 200)
    );
    // 5 s of build-up, 1 s of set-up, 20 s of call and 10 s for hanging up.
    let expected = waits.expected_end.unwrap().seconds - since.seconds;
    assert!((30..=40).contains(&expected), "{expected} s");
    assert!(waits.ends_in_time);
    let Heard::DrainNotice(notice) = session.hear().await else {
        panic!("the worker is told")
    };
    assert!(notice.leave && notice.remaining_ms > 3_500_000, "{notice:?}");
    let hasty = v1::DrainWorkerRequest {
        deadline_s: 5,
        ..drain_of("w1")
    };
    let shown = drain(&node, hasty).await.worker.unwrap().drain.unwrap();
    assert!(!shown.waits_for[0].ends_in_time, "the later drain is in force");
    assert_eq!(shown.since, Some(since), "and it began when the first one did");
    node.stop().await.unwrap();
}

// Covers: R13, R29
#[tokio::test]
async fn a_worker_is_told_of_a_drain_of_its_completion_and_that_it_was_taken_back() {
    let node = Node::start().await;
    let (id, token) = node.create_worker("w1").await;
    let mut session = Session::connect(&node.channel, &token).await;
    drain(&node, drain_of("w1")).await;
    for again in [false, true] {
        if again {
            session = Session::connect(&node.channel, &token).await;
        }
        assert!(matches!(session.hear().await, Heard::DrainNotice(_)), "{again}");
        assert!(
            matches!(session.hear().await, Heard::Leave(_)),
            "nothing is left to wait for"
        );
    }
    assert_eq!(undrain(&node, &id).await.status(), WorkerStatus::Online);
    assert!(matches!(session.hear().await, Heard::UndrainNotice(_)));
    assert_eq!(
        undrain(&node, &id).await.status(),
        WorkerStatus::Online,
        "it changes nothing"
    );

    let resume = v1::DrainWorkerRequest {
        then: v1::AfterDrain::Resume.into(),
        ..drain_of("w1")
    };
    drain(&node, resume).await;
    let Heard::DrainNotice(notice) = session.hear().await else {
        panic!("a drain is told")
    };
    assert!(!notice.leave);
    node.until(&id, WorkerStatus::Online).await;
    assert!(
        matches!(session.hear().await, Heard::UndrainNotice(_)),
        "R13: complete, it goes on"
    );
    node.stop().await.unwrap();
}

// Covers: R32
#[tokio::test]
async fn a_drain_for_maintenance_is_the_platform_s() {
    let node = Node::start().await;
    let (_, token) = node.create_worker("w1").await;
    let _session = Session::connect(&node.channel, &token).await;
    let request = v1::DrainWorkerRequest {
        maintenance: true,
        ..drain_of("w1")
    };
    let worker = drain(&node, request).await.worker.unwrap();
    assert_eq!(worker.drain.unwrap().actor, "platform");
    assert_eq!(worker.conditions[0].reason, "MAINTENANCE");
    node.stop().await.unwrap();
}

// Covers: R30
#[tokio::test]
async fn a_ping_worker_that_drains_is_told_to_leave_by_its_ping() {
    let node = Node::start().await;
    let id = node.register("p1").await;
    node.ping(&id).await;
    drain(&node, drain_of("p1")).await;
    let answer = node.ping(&id).await;
    assert_eq!((answer.status(), answer.leave), (WorkerStatus::Draining, true));
    undrain(&node, "p1").await;
    let answer = node.ping(&id).await;
    assert_eq!((answer.status(), answer.leave), (WorkerStatus::Online, false));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_drain_by_force_stops_the_endpoints_at_once() {
    let node = Node::start_with(reeve_node::NodeArgs {
        stop_grace_ms: Some(500),
        ..reeve_node::NodeArgs::default()
    })
    .await;
    let (mut session, run) = busy(&node).await;
    let request = v1::DrainWorkerRequest {
        force: true,
        ..drain_of("w1")
    };
    let shown = drain(&node, request).await.worker.unwrap().drain.unwrap();
    assert!(!shown.waits_for[0].ends_in_time);
    let stop = loop {
        if let Heard::Stop(stop) = session.hear().await {
            break stop;
        }
    };
    assert_eq!(stop.run_id, run.id);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_drained_is_refused_by_name() {
    let node = Node::start().await;
    let (id, _) = node.create_worker("w1").await;
    let refused = async |request| node.workers().drain_worker(request).await.unwrap_err();
    for dry_run in [false, true] {
        let request = v1::DrainWorkerRequest {
            dry_run,
            ..drain_of("w1")
        };
        assert_eq!(
            described(&refused(request).await),
            (Code::FailedPrecondition, "WORKER_OFFLINE".to_owned())
        );
    }
    let delete = v1::DeleteWorkerRequest {
        id: id.clone(),
        ..v1::DeleteWorkerRequest::default()
    };
    node.workers().delete_worker(delete).await.unwrap();
    assert_eq!(
        described(&refused(drain_of(&id)).await),
        (Code::FailedPrecondition, "WORKER_DELETED".to_owned())
    );
    for gone in ["w1", "0190a6e0-0000-7000-8000-000000000000"] {
        assert_eq!(
            described(&refused(drain_of(gone)).await),
            (Code::NotFound, "WORKER_NOT_FOUND".to_owned()),
            "{gone}"
        );
    }
    for (field, wrong) in [
        (
            "deadline_s",
            v1::DrainWorkerRequest {
                force: true,
                deadline_s: 5,
                ..drain_of("w1")
            },
        ),
        (
            "then",
            v1::DrainWorkerRequest {
                then: 9,
                ..drain_of("w1")
            },
        ),
        ("id", drain_of("")),
    ] {
        let status = refused(wrong).await;
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, field);
    }
    node.stop().await.unwrap();
}

/// Who is of another project learns that runs wait and end, but not which.
async fn others_are_not_named(node: &Node) {
    create_project(node, "blue").await;
    let key = key_of(node, "blue", v1::Role::Operator).await;
    let request = v1::DrainWorkerRequest {
        dry_run: true,
        deadline_s: 5,
        ..drain_of("w1")
    };
    let mut workers = v1::workers_client::WorkersClient::new(node.keyed(Some(&key)));
    let answer = workers.drain_worker(request).await.unwrap().into_inner();
    let wait = &answer.worker.unwrap().drain.unwrap().waits_for[0];
    let effect = &answer.queued[0];
    for (run, test) in [(&wait.run_id, &wait.test), (&effect.run_id, &effect.test)] {
        assert_eq!((run.as_str(), test.as_str()), ("", "(of another project)"));
    }
    assert!(effect.message.is_empty() && !effect.fits_after, "{effect:?}");
}

#[tokio::test]
async fn a_dry_run_says_what_a_drain_would_mean_and_changes_nothing() {
    let node = Node::start().await;
    let (mut session, run) = busy(&node).await;
    let mut big = crate::node::definition("big");
    big.groups[0].endpoints = 900;
    big.queue_timeout = Some(prost_types::Duration {
        seconds: 600,
        nanos: 0,
    });
    let request = v1::CreateTestRequest {
        definition: Some(big),
        request_id: String::new(),
        ..Default::default()
    };
    node.tests().create_test(request).await.unwrap();
    // 200 of 1000 are taken, so it waits.
    let waiting = start_run(&node, "big").await;
    let before = node.worker("w1").await.revision;
    let request = v1::DrainWorkerRequest {
        dry_run: true,
        deadline_s: 5,
        ..drain_of("w1")
    };
    let answer = drain(&node, request).await;
    let worker = answer.worker.unwrap();
    assert_eq!(worker.status(), WorkerStatus::Draining, "as it would be");
    let shown = worker.drain.unwrap();
    assert_eq!(shown.waits_for.len(), 1);
    assert_eq!(
        (
            shown.waits_for[0].run_id.as_str(),
            shown.waits_for[0].ends_in_time
        ),
        (run.id.as_str(), false)
    );
    assert_eq!(answer.queued.len(), 1);
    let effect = &answer.queued[0];
    assert_eq!(
        (
            effect.run_id.as_str(),
            effect.test.as_str(),
            effect.fits_before,
            effect.fits_after,
            effect.reason()
        ),
        (
            waiting.id.as_str(),
            "big",
            false,
            false,
            v1::RunReasonCode::NoOnlineWorkers
        )
    );
    assert!(effect.message.contains("needed"), "{}", effect.message);
    others_are_not_named(&node).await;
    let worker = node.worker("w1").await;
    assert_eq!(worker.status(), WorkerStatus::Online);
    assert_eq!(worker.revision, before);
    session.beat(v1::Heartbeat::default()).await;
    session.hear_ack().await;
    node.stop().await.unwrap();
}
