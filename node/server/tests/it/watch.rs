//! List, then watch from the revision of the list.

use reeve_proto::v1;
use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::watch_response::Event;
use tonic::Code;
use tonic_types::StatusExt;

use crate::node::Node;

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
        (deleted_at, Event::Deleted(v1::ResourceRef { kind, id })) => {
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
