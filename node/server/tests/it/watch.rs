//! List, then watch from the revision of the list.

use reeve_proto::v1;
use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic_types::StatusExt;

use crate::moving::Moving;
use crate::node::{ADMIN, Bearer, Node, definition};

async fn watch(node: &Node, request: v1::WatchRequest) -> tonic::Streaming<v1::WatchResponse> {
    node.watch().watch(request).await.unwrap().into_inner()
}

fn tests_from(revision: u64) -> v1::WatchRequest {
    v1::WatchRequest {
        from_revision: revision,
        kinds: vec![v1::ResourceKind::Test.into()],
        id: String::new(),
        ..Default::default()
    }
}

async fn next(stream: &mut tonic::Streaming<v1::WatchResponse>) -> (u64, Event) {
    let response = stream.message().await.unwrap().expect("the stream goes on");
    (
        response.revision,
        response.event.expect("every answer has an event"),
    )
}

fn put_test(event: Event) -> v1::Test {
    match event {
        Event::Put(v1::Resource {
            resource: Some(Resource::Test(test)),
        }) => test,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_begins_with_a_bookmark_and_shows_what_follows() {
    let node = Node::start().await;
    let mut stream = watch(&node, tests_from(0)).await;
    assert!(matches!(next(&mut stream).await.1, Event::Bookmark(_)));
    let created = node.create_test("one").await;
    let (revision, event) = next(&mut stream).await;
    assert_eq!((revision, put_test(event)), (created.revision, created.clone()));
    let delete = v1::DeleteTestRequest {
        id: created.id.clone(),
        request_id: String::new(),
        ..Default::default()
    };
    node.tests().delete_test(delete).await.unwrap();
    match next(&mut stream).await {
        (deleted_at, Event::Deleted(v1::ResourceRef { kind, id, .. })) => {
            assert!(deleted_at > revision);
            assert_eq!((kind, id), (v1::ResourceKind::Test.into(), created.id));
        }
        other => panic!("{other:?}"),
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_watch_resumes_after_the_revision_of_a_list() {
    let node = Node::start().await;
    node.create_test("before").await;
    let listed = node
        .tests()
        .list_tests(v1::ListTestsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let missed = node.create_test("meanwhile").await;
    let mut stream = watch(&node, tests_from(listed.revision)).await;
    assert!(matches!(next(&mut stream).await, (at, Event::Bookmark(_)) if at == listed.revision));
    assert_eq!(put_test(next(&mut stream).await.1), missed);
    let (revision, _) = (missed.revision, stream);
    let live = node.create_test("after").await;
    let mut resumed = watch(&node, tests_from(revision)).await;
    assert!(matches!(next(&mut resumed).await.1, Event::Bookmark(_)));
    assert_eq!(put_test(next(&mut resumed).await.1), live);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn only_what_was_asked_for_is_shown() {
    let node = Node::start().await;
    let test = node.create_test("smoke").await;
    let runs = v1::WatchRequest {
        kinds: vec![v1::ResourceKind::Run.into()],
        ..Default::default()
    };
    let mut stream = watch(&node, runs).await;
    assert!(matches!(next(&mut stream).await.1, Event::Bookmark(_)));
    node.create_test("noise").await;
    let start = v1::StartRunRequest {
        test: test.id,
        request_id: String::new(),
        ..Default::default()
    };
    let run = node
        .runs()
        .start_run(start)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    match next(&mut stream).await.1 {
        Event::Put(v1::Resource {
            resource: Some(Resource::Run(shown)),
        }) => assert_eq!(shown.id, run.id),
        other => panic!("{other:?}"),
    }
    let wrong = v1::WatchRequest {
        kinds: vec![99],
        ..Default::default()
    };
    let status = node.watch().watch(wrong).await.unwrap_err();
    assert_eq!(
        status.get_details_bad_request().unwrap().field_violations[0].field,
        "kinds"
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_says_so_to_its_watchers() {
    let node = Node::start().await;
    let mut stream = watch(&node, v1::WatchRequest::default()).await;
    assert!(matches!(next(&mut stream).await.1, Event::Bookmark(_)));
    node.begin_stop();
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ends with a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "SHUTTING_DOWN");
    node.stop().await.unwrap();
}

/// Changes so much that the node remembers nothing of what was before.
pub async fn forget_changes(node: &Node) {
    let label = |label: usize| (format!("{label:0>100}"), "x".repeat(128));
    let mut definition = definition("large");
    definition.groups = (0..64)
        .map(|group| v1::Group {
            name: format!("g{group}"),
            selector: Some(v1::Selector {
                labels: (0..64).map(label).collect(),
                ..Default::default()
            }),
            ..definition.groups[0].clone()
        })
        .collect();
    let size = prost::Message::encoded_len(&definition);
    for change in 1..=(36 << 20) / size {
        definition.groups[0].endpoints = u32::try_from(change).unwrap();
        let request = v1::ApplyTestRequest {
            definition: Some(definition.clone()),
            ..Default::default()
        };
        node.tests().apply_test(request).await.unwrap();
    }
}

async fn run_put(stream: &mut tonic::Streaming<v1::WatchResponse>) -> (v1::WatchResponse, v1::Run) {
    loop {
        let response = stream.message().await.unwrap().expect("the stream goes on");
        if let Some(Event::Put(v1::Resource {
            resource: Some(Resource::Run(run)),
        })) = response.event.clone()
        {
            return (response, run);
        }
    }
}

fn closed(run: &v1::Run) -> u32 {
    let counts = run.endpoints.clone().unwrap_or_default();
    let closed = counts
        .by_phase
        .iter()
        .filter(|count| count.phase() == v1::EndpointPhase::Closed);
    closed.map(|count| count.count).sum()
}

#[tokio::test]
async fn a_watch_can_begin_with_what_is_there() {
    let node = Node::start().await;
    let test = node.create_test("smoke").await;
    let (worker, _) = node.create_worker("w1").await;
    let request = v1::WatchRequest {
        send_initial: true,
        ..Default::default()
    };
    let mut stream = watch(&node, request).await;
    let mut ids = Vec::new();
    let revision = loop {
        match next(&mut stream).await {
            (0, Event::Put(v1::Resource { resource })) => ids.push(match resource.unwrap() {
                Resource::Test(test) => test.id,
                Resource::Worker(worker) => worker.id,
                Resource::Project(project) => project.name,
                Resource::Probe(probe) => probe.id,
                Resource::Webhook(webhook) => webhook.id,
                Resource::Registrar(registrar) => registrar.name,
                Resource::AccountPool(pool) => pool.name,
                Resource::MediaFile(media) => media.name,
                Resource::Run(run) => run.id,
            }),
            (revision, Event::Bookmark(_)) => break revision,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ids, [test.id, worker]);
    let later = node.create_test("later").await;
    assert!(revision < later.revision);
    assert_eq!(put_test(next(&mut stream).await.1), later, "then what changes");
    node.stop().await.unwrap();
}

// Covers: R199, R200
#[tokio::test]
async fn a_run_is_shown_as_each_change_left_it_live_and_afterwards() {
    let node = Node::start().await;
    node.create_test("smoke").await;
    let mut live = watch(&node, v1::WatchRequest::default()).await;
    let (begin, _) = next(&mut live).await;
    let mut moving = Moving::start(&node, "smoke", "w1").await;
    moving.finish(200).await;
    moving.settled().await;
    let after = v1::WatchRequest {
        from_revision: begin,
        run: moving.run.id.clone(),
        ..Default::default()
    };
    let mut afterwards = watch(&node, after).await;
    for stream in [&mut live, &mut afterwards] {
        let (mut statuses, mut revision) = (Vec::new(), begin);
        loop {
            let (response, run) = run_put(stream).await;
            assert!(
                response.change > revision || response.change >= run.revision,
                "{response:?}"
            );
            assert!(run.revision > revision, "a revision is one state of the run");
            revision = run.revision;
            let status = run.timeline.last().unwrap().status;
            assert_eq!(status, run.status);
            let placed = !run.assignments.is_empty();
            assert!(placed || run.status() != v1::RunStatus::Running, "{run:?}");
            assert!(
                !placed || run.status() != v1::RunStatus::Pending,
                "nothing of the future is shown"
            );
            statuses.push(run.status());
            if run.status() == v1::RunStatus::Completed {
                assert_eq!(closed(&run), 200);
                break;
            }
        }
        statuses.dedup();
        use v1::RunStatus::{Completed, Pending, Queued, Running};
        assert_eq!(statuses, [Pending, Queued, Running, Completed]);
    }
    node.stop().await.unwrap();
}

// Covers: R144
#[tokio::test]
async fn counts_come_now_and_then_and_the_last_ones_always() {
    let node = Node::start().await;
    node.create_test("smoke").await;
    let mut moving = Moving::start(&node, "smoke", "w1").await;
    let request = v1::WatchRequest {
        kinds: vec![v1::ResourceKind::Run.into()],
        ..Default::default()
    };
    let mut stream = watch(&node, request).await;
    next(&mut stream).await;
    let began = tokio::time::Instant::now();
    let reports = 100;
    for endpoint in 0..reports {
        let closed = v1::EndpointPhase::Closed;
        moving
            .endpoint(endpoint, closed, v1::EndpointOutcome::Success)
            .await;
    }
    let mut shown = 0;
    let last = loop {
        let (response, run) = run_put(&mut stream).await;
        shown += 1;
        if closed(&run) == reports {
            break response;
        }
    };
    let most = began.elapsed().as_millis() / 200 + 2;
    assert!(shown <= most, "{shown} times in {:?}", began.elapsed());
    assert_eq!(last.revision, last.change, "nothing waits any more");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn filters_leave_out_what_does_not_fit() {
    let node = Node::start().await;
    let (one, other) = (node.create_test("one").await, node.create_test("other").await);
    let mut live = watch(&node, v1::WatchRequest::default()).await;
    let (begin, _) = next(&mut live).await;
    let moving = Moving::start(&node, "one", "w1").await;
    let run = moving.run.id.clone();
    let worker = node.worker("w1").await.id;
    let noise = node.create_test("noise").await;
    let everything = [one.id.clone(), run.clone(), worker.clone(), noise.id.clone()];
    let of = |edit: fn(&mut v1::WatchRequest, &str), value: &str| {
        let mut request = v1::WatchRequest {
            from_revision: begin,
            ..Default::default()
        };
        edit(&mut request, value);
        request
    };
    let rows = [
        (of(|_, _| {}, ""), vec![&run, &worker, &noise.id]),
        (of(|request, id| request.run = id.to_owned(), &run), vec![&run]),
        (
            of(|request, name| request.test = name.to_owned(), "one"),
            vec![&run],
        ),
        (of(|request, id| request.test = id.to_owned(), &other.id), vec![]),
        (
            of(|request, name| request.worker = name.to_owned(), "w1"),
            vec![&run, &worker],
        ),
        (
            of(|request, id| request.id = id.to_owned(), &worker),
            vec![&worker],
        ),
        (
            of(
                |request, status| request.statuses = vec![status.to_owned()],
                "running",
            ),
            vec![&run],
        ),
        (
            of(
                |request, status| request.statuses = vec![status.to_owned()],
                "ONLINE",
            ),
            vec![&worker],
        ),
        (
            of(|request, project| request.project = project.to_owned(), "nobodys"),
            vec![],
        ),
    ];
    let end = node.create_test("end").await;
    for (request, expected) in rows {
        let mut stream = watch(&node, request.clone()).await;
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let response = stream.message().await.unwrap().unwrap();
            if let Some(Event::Put(v1::Resource { resource: Some(put) })) = response.event {
                let id = match put {
                    Resource::Test(test) => test.id,
                    Resource::Worker(worker) => worker.id,
                    Resource::Project(project) => project.name,
                    Resource::Probe(probe) => probe.id,
                    Resource::Webhook(webhook) => webhook.id,
                    Resource::Registrar(registrar) => registrar.name,
                    Resource::AccountPool(pool) => pool.name,
                    Resource::MediaFile(media) => media.name,
                    Resource::Run(run) => run.id,
                };
                seen.extend(everything.contains(&id).then_some(id));
            }
            if response.revision >= end.revision {
                break;
            }
        }
        let expected = expected.into_iter().cloned().collect();
        assert_eq!(seen, expected, "{request:?}");
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_behind_says_so() {
    let node = Node::start().await;
    let mut request = tonic::Request::new(tests_from(1_000_000));
    request.set_timeout(std::time::Duration::from_secs(1));
    let status = node.watch().watch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "NODE_BEHIND");
    // One that is reached while it waits is served.
    let ahead = node.create_test("one").await.revision + 1;
    let (stream, created) = tokio::join!(watch(&node, tests_from(ahead)), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        node.create_test("two").await
    });
    let mut stream = stream;
    assert!(matches!(next(&mut stream).await, (at, Event::Bookmark(_)) if at == ahead));
    assert_eq!(created.revision, ahead);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_slow_consumer_is_told_that_it_missed_changes() {
    let node = Node::start().await;
    let first = node.create_test("smoke").await;
    // On a connection of its own: what is not read there holds up nothing else.
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", node.grpc)).unwrap();
    let keyed = InterceptedService::new(endpoint.connect_lazy(), Bearer::new(Some(ADMIN)));
    let mut client = WatchClient::new(keyed).max_decoding_message_size(usize::MAX);
    let mut slow = client
        .watch(tests_from(first.revision))
        .await
        .unwrap()
        .into_inner();
    forget_changes(&node).await;
    let mut last = 0;
    let (revision, reason) = loop {
        match next(&mut slow).await {
            (revision, Event::Reset(reset)) => break (revision, reset.reason()),
            (revision, _) => last = revision,
        }
    };
    assert_eq!(reason, v1::ResetReason::SlowConsumer);
    assert!(revision > last, "changes between {last} and {revision} are gone");
    assert!(slow.message().await.unwrap().is_none(), "and the stream ends");
    let status = node.watch().watch(tests_from(first.revision)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "REVISION_COMPACTED"
    );
    node.stop().await.unwrap();
}
