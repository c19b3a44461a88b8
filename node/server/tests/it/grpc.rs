//! The services over gRPC.

use reeve_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::node::{Node, definition};

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn create(name: &str, request_id: &str) -> v1::CreateTestRequest {
    v1::CreateTestRequest {
        definition: Some(definition(name)),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_test_is_created_read_listed_and_deleted() {
    let node = Node::start().await;
    let created = node.create_test("smoke").await;
    assert_eq!((created.name.as_str(), created.version), ("smoke", 1));
    assert_eq!(created.definition, Some(definition("smoke")));
    assert!(created.revision > 0);

    for id in [created.id.clone(), "smoke".to_owned()] {
        let request = v1::GetTestRequest {
            id,
            consistency: 0,
            ..Default::default()
        };
        let found = node
            .tests()
            .get_test(request)
            .await
            .unwrap()
            .into_inner()
            .test
            .unwrap();
        assert_eq!(found, created);
    }
    let listed = node
        .tests()
        .list_tests(v1::ListTestsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.tests, vec![created.clone()]);
    assert!(listed.revision >= created.revision);

    let delete = v1::DeleteTestRequest {
        id: "smoke".into(),
        request_id: "d1".into(),
        ..Default::default()
    };
    node.tests().delete_test(delete.clone()).await.unwrap();
    let gone = node
        .tests()
        .get_test(v1::GetTestRequest {
            id: created.id,
            consistency: 0,
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(
        (gone.code(), reason(&gone)),
        (Code::NotFound, "TEST_NOT_FOUND".to_owned())
    );
    node.tests()
        .delete_test(delete)
        .await
        .expect("repeating it under its id is harmless");
    node.stop().await.unwrap();
}

// Covers: R119
#[tokio::test]
async fn applying_a_test_again_raises_its_version_and_creating_it_again_is_refused() {
    let node = Node::start().await;
    let apply = |seconds| {
        let mut definition = definition("smoke");
        definition.duration = Some(prost_types::Duration { seconds, nanos: 0 });
        v1::ApplyTestRequest {
            definition: Some(definition),
            request_id: String::new(),
            ..Default::default()
        }
    };
    let first = node.tests().apply_test(apply(10)).await.unwrap().into_inner();
    let second = node.tests().apply_test(apply(11)).await.unwrap().into_inner();
    assert_eq!((first.created, second.created), (true, false));
    let (first, second) = (first.test.unwrap(), second.test.unwrap());
    assert_eq!((first.id, second.version), (second.id, 2));
    let refused = node.tests().create_test(create("smoke", "")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::AlreadyExists, "NAME_TAKEN".to_owned())
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_id_gives_the_same_object_and_is_not_lent_to_another_request() {
    let node = Node::start().await;
    let first = node
        .tests()
        .create_test(create("one", "r1"))
        .await
        .unwrap()
        .into_inner();
    let again = node
        .tests()
        .create_test(create("one", "r1"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first, again);
    let other = node.tests().create_test(create("two", "r1")).await.unwrap_err();
    assert_eq!(
        (other.code(), reason(&other)),
        (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned())
    );

    let start = v1::StartRunRequest {
        test: "one".into(),
        request_id: "r2".into(),
        ..Default::default()
    };
    let run = node
        .runs()
        .start_run(start.clone())
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    let same = node
        .runs()
        .start_run(start)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(run.id, same.id);
    node.stop().await.unwrap();
}

// Covers: R119, R216
#[tokio::test]
async fn runs_are_started_listed_newest_first_and_filtered() {
    let node = Node::start().await;
    let test = node.create_test("smoke").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let start = v1::StartRunRequest {
            test: test.id.clone(),
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
        assert_eq!((run.test_id.as_str(), run.test_version), (test.id.as_str(), 1));
        assert_eq!(run.timeline[0].status(), v1::RunStatus::Pending);
        assert_eq!(run.endpoints.unwrap().total, 200);
        ids.insert(0, run.id);
    }
    let mut seen = Vec::new();
    let mut list = v1::ListRunsRequest {
        page_size: 2,
        test: "smoke".into(),
        ..Default::default()
    };
    loop {
        let page = node.runs().list_runs(list.clone()).await.unwrap().into_inner();
        assert!(page.runs.len() <= 2);
        seen.extend(page.runs.into_iter().map(|run| run.id));
        list.page_token = page.next_page_token;
        if list.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let completed = v1::ListRunsRequest {
        status: v1::RunStatus::Completed.into(),
        ..Default::default()
    };
    assert!(
        node.runs()
            .list_runs(completed)
            .await
            .unwrap()
            .into_inner()
            .runs
            .is_empty()
    );
    let missing = v1::StartRunRequest {
        test: "nothing".into(),
        request_id: String::new(),
        ..Default::default()
    };
    let status = node.runs().start_run(missing).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::NotFound, "TEST_NOT_FOUND".to_owned())
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_definition_names_every_field_and_writes_nothing() {
    let node = Node::start().await;
    let mut bad = definition("");
    bad.duration = None;
    bad.groups[0].endpoints = 0;
    let request = v1::CreateTestRequest {
        definition: Some(bad),
        request_id: String::new(),
        ..Default::default()
    };
    let status = node.tests().create_test(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let named = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = named.iter().map(|violation| violation.field.as_str()).collect();
    for field in ["name", "duration", "groups[0].endpoints"] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    let listed = node
        .tests()
        .list_tests(v1::ListTestsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(listed.tests.is_empty());
    node.stop().await.unwrap();
}

// Covers: R21, R83, R84
#[tokio::test]
async fn a_worker_gets_its_token_once() {
    let node = Node::start().await;
    let request = v1::CreateWorkerRequest {
        name: "w1".into(),
        region: "eu-west".into(),
        capacity: 50,
        request_id: "w".into(),
        ..Default::default()
    };
    let created = node
        .workers()
        .create_worker(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(created.token.starts_with("cmw_") && created.token.len() == 68);
    let worker = created.worker.unwrap();
    assert_eq!(worker.status(), v1::WorkerStatus::Offline);
    assert_eq!(worker.capacity.unwrap().free, 50);
    let again = node.workers().create_worker(request).await.unwrap().into_inner();
    assert_eq!(
        (again.worker.unwrap().id, again.token.as_str()),
        (worker.id.clone(), "")
    );
    let found = node
        .workers()
        .get_worker(v1::GetWorkerRequest {
            id: "w1".into(),
            consistency: 0,
        })
        .await;
    assert_eq!(found.unwrap().into_inner().worker.unwrap().id, worker.id);
    let elsewhere = v1::ListWorkersRequest {
        region: "us".into(),
        ..Default::default()
    };
    assert!(
        node.workers()
            .list_workers(elsewhere)
            .await
            .unwrap()
            .into_inner()
            .workers
            .is_empty()
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_status_of_the_cluster_names_its_leader() {
    let node = Node::start().await;
    let request = v1::GetStatusRequest {
        include_state_hash: true,
    };
    let status = node.cluster().get_status(request).await.unwrap().into_inner();
    assert_eq!(
        (status.cluster_id.as_str(), status.node_name.as_str()),
        ("reeve", "n1")
    );
    assert_eq!(
        (status.node_id, status.leader_id, status.members.len()),
        (1, 1, 1)
    );
    assert!(!status.state_hash.is_empty());
    let incomplete = v1::AddMemberRequest {
        node_id: 0,
        name: "n2".into(),
        ..Default::default()
    };
    let refused = node.cluster().add_member(incomplete).await.unwrap_err();
    let named = refused.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = named.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["node_id", "raft_addr", "grpc_addr", "http_addr"]);
    node.stop().await.unwrap();
}
