//! Projects: who sees what, plans over gRPC and REST, and refusals with the numbers (D27a, R124, R190, R191, R196).

use reeve_proto::v1;
use reeve_proto::v1::adjust_credits_request::Change;
use reeve_proto::v1::projects_client::ProjectsClient;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::http::{Answer, get, send};
use crate::node::{ADMIN, Keyed, Node, definition};

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    bad.map(|bad| {
        bad.field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    })
    .unwrap_or_default()
}

fn projects(node: &Node, key: &str) -> ProjectsClient<Keyed> {
    ProjectsClient::new(node.keyed(Some(key)))
}

fn tests(node: &Node, key: &str) -> TestsClient<Keyed> {
    TestsClient::new(node.keyed(Some(key)))
}

fn runs(node: &Node, key: &str) -> RunsClient<Keyed> {
    RunsClient::new(node.keyed(Some(key)))
}

pub async fn create_project(node: &Node, name: &str) -> v1::Project {
    let request = v1::CreateProjectRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    let created = projects(node, ADMIN).create_project(request).await.unwrap();
    created.into_inner().project.unwrap()
}

/// A key of a project; its secret.
pub async fn key_of(node: &Node, project: &str, role: v1::Role) -> String {
    let request = v1::CreateKeyRequest {
        name: format!("{project} {}", role.as_str_name()),
        role: role.into(),
        project: project.to_owned(),
        ..Default::default()
    };
    node.keys().create_key(request).await.unwrap().into_inner().secret
}

fn test_named(name: &str) -> v1::CreateTestRequest {
    v1::CreateTestRequest {
        definition: Some(definition(name)),
        ..Default::default()
    }
}

async fn create_test(node: &Node, key: &str, name: &str) -> v1::Test {
    let created = tests(node, key).create_test(test_named(name)).await.unwrap();
    created.into_inner().test.unwrap()
}

async fn start(node: &Node, key: &str, test: &str) -> Result<v1::Run, Status> {
    let request = v1::StartRunRequest {
        test: test.to_owned(),
        ..Default::default()
    };
    let started = runs(node, key).start_run(request).await?;
    Ok(started.into_inner().run.unwrap())
}

/// The run once it is no longer PENDING.
async fn judged(node: &Node, run: &str) -> v1::Run {
    let judged = async {
        loop {
            let request = v1::GetRunRequest {
                id: run.to_owned(),
                consistency: 0,
            };
            let found = node
                .runs()
                .get_run(request)
                .await
                .unwrap()
                .into_inner()
                .run
                .unwrap();
            if found.status() != v1::RunStatus::Pending {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), judged)
        .await
        .expect("the run is judged")
}

/// Two projects with an operator's key each.
async fn two_projects() -> (Node, String, String) {
    let node = Node::start().await;
    create_project(&node, "red").await;
    create_project(&node, "blue").await;
    let red = key_of(&node, "red", v1::Role::Operator).await;
    let blue = key_of(&node, "blue", v1::Role::Operator).await;
    (node, red, blue)
}

#[tokio::test]
async fn a_key_sees_and_changes_what_is_of_its_own_project_only() {
    let (node, red, blue) = two_projects().await;
    let test = create_test(&node, &red, "smoke").await;
    let other = create_test(&node, &blue, "smoke").await;
    assert_eq!((test.project.as_str(), other.project.as_str()), ("red", "blue"));
    let run = start(&node, &red, "smoke").await.unwrap();
    assert_eq!(
        (run.project.as_str(), run.test_id.as_str()),
        ("red", test.id.as_str())
    );

    let list = tests(&node, &blue)
        .list_tests(v1::ListTestsRequest::default())
        .await;
    assert_eq!(list.unwrap().into_inner().tests, std::slice::from_ref(&other));
    let list = runs(&node, &blue).list_runs(v1::ListRunsRequest::default()).await;
    assert!(list.unwrap().into_inner().runs.is_empty());

    let get = v1::GetTestRequest {
        id: test.id.clone(),
        ..Default::default()
    };
    let hidden = tests(&node, &blue).get_test(get).await.unwrap_err();
    assert_eq!(reason(&hidden), "TEST_NOT_FOUND");
    assert_eq!(
        reason(&start(&node, &blue, &test.id).await.unwrap_err()),
        "TEST_NOT_FOUND"
    );
    let delete = v1::DeleteTestRequest {
        id: test.id.clone(),
        ..Default::default()
    };
    let hidden = tests(&node, &blue).delete_test(delete).await.unwrap_err();
    assert_eq!(reason(&hidden), "TEST_NOT_FOUND");
    let get = v1::GetRunRequest {
        id: run.id.clone(),
        consistency: 0,
    };
    assert_eq!(
        reason(&runs(&node, &blue).get_run(get).await.unwrap_err()),
        "RUN_NOT_FOUND"
    );
    let stop = v1::StopRunRequest {
        id: run.id.clone(),
        request_id: String::new(),
    };
    assert_eq!(
        reason(&runs(&node, &blue).stop_run(stop).await.unwrap_err()),
        "RUN_NOT_FOUND"
    );
    let endpoints = v1::ListRunEndpointsRequest {
        run_id: run.id.clone(),
        ..Default::default()
    };
    let hidden = runs(&node, &blue)
        .list_run_endpoints(endpoints)
        .await
        .unwrap_err();
    assert_eq!(reason(&hidden), "RUN_NOT_FOUND");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn only_an_admin_names_another_project() {
    let (node, red, _) = two_projects().await;
    let foreign = v1::CreateTestRequest {
        project: "blue".to_owned(),
        ..test_named("smoke")
    };
    let refused = tests(&node, &red).create_test(foreign.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::PermissionDenied, "OTHER_PROJECT".to_owned())
    );
    assert!(refused.message().contains("\"red\"") && refused.message().contains("\"blue\""));
    let list = v1::ListRunsRequest {
        project: "blue".to_owned(),
        ..Default::default()
    };
    let refused = runs(&node, &red).list_runs(list).await.unwrap_err();
    assert_eq!(reason(&refused), "OTHER_PROJECT");

    let made = tests(&node, ADMIN).create_test(foreign).await.unwrap();
    let made = made.into_inner().test.unwrap();
    assert_eq!(made.project, "blue");
    let get = |project: &str| v1::GetTestRequest {
        id: "smoke".to_owned(),
        project: project.to_owned(),
        ..Default::default()
    };
    let mut admin = tests(&node, ADMIN);
    assert_eq!(
        admin.get_test(get("blue")).await.unwrap().into_inner().test,
        Some(made.clone())
    );
    for project in ["", "red"] {
        assert_eq!(
            reason(&admin.get_test(get(project)).await.unwrap_err()),
            "TEST_NOT_FOUND"
        );
    }
    // By id an admin reaches everything, unless another project is named.
    start(&node, ADMIN, &made.id).await.unwrap();
    let other = v1::StartRunRequest {
        test: made.id,
        project: "red".to_owned(),
        ..Default::default()
    };
    let refused = runs(&node, ADMIN).start_run(other).await.unwrap_err();
    assert_eq!(reason(&refused), "TEST_NOT_FOUND");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn an_unknown_project_is_named() {
    let node = Node::start().await;
    let unknown = || "green".to_owned();
    let test = v1::CreateTestRequest {
        project: unknown(),
        ..test_named("smoke")
    };
    let refused = node.tests().create_test(test).await.unwrap_err();
    assert_eq!(
        (refused.code(), fields(&refused)),
        (Code::InvalidArgument, vec!["project".to_owned()])
    );
    let key = v1::CreateKeyRequest {
        name: "k".to_owned(),
        role: v1::Role::Viewer.into(),
        project: unknown(),
        ..Default::default()
    };
    assert_eq!(
        fields(&node.keys().create_key(key).await.unwrap_err()),
        ["project"]
    );
    let list = v1::ListTestsRequest {
        project: unknown(),
        ..Default::default()
    };
    let refused = node.tests().list_tests(list).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::NotFound, "PROJECT_NOT_FOUND".to_owned())
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_watcher_is_told_of_its_own_project_only() {
    let (node, red, blue) = two_projects().await;
    let mut stream = WatchClient::new(node.keyed(Some(&blue)))
        .watch(v1::WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    create_test(&node, &red, "theirs").await;
    start(&node, &red, "theirs").await.unwrap();
    let own = create_test(&node, &blue, "own").await;
    let delete = v1::DeleteTestRequest {
        id: own.id.clone(),
        ..Default::default()
    };
    tests(&node, &blue).delete_test(delete).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match stream.message().await.unwrap().unwrap().event.unwrap() {
            Event::Bookmark(_) => {}
            Event::Put(put) => match put.resource.unwrap() {
                v1::resource::Resource::Test(test) => seen.push(test.name),
                other => panic!("{other:?}"),
            },
            Event::Deleted(gone) => seen.push(gone.id),
            Event::Reset(reset) => panic!("{reset:?}"),
        }
    }
    assert_eq!(seen, ["own".to_owned(), own.id]);
    node.stop().await.unwrap();
}

/// Covers: R124, R190, R195, R196
#[tokio::test]
async fn a_run_above_the_plan_is_refused_with_the_numbers_and_starts_when_the_limit_is_raised() {
    let (node, red, _) = two_projects().await;
    create_test(&node, &red, "smoke").await;
    let limit = |limit| v1::UpdateProjectRequest {
        name: "red".to_owned(),
        max_concurrent_endpoints: Some(limit),
        ..Default::default()
    };
    projects(&node, ADMIN).update_project(limit(199)).await.unwrap();
    let run = start(&node, &red, "smoke").await.unwrap();
    let run = judged(&node, &run.id).await;
    assert_eq!(run.status(), v1::RunStatus::CannotRunForNow);
    let why = run.reason.unwrap();
    assert_eq!(why.code(), v1::RunReasonCode::PlanLimitExceeded);
    assert_eq!(
        why.message,
        "the plan of project red allows 199 endpoints at once, 0 are in use by 0 runs, this run asks for 200"
    );
    assert_eq!(
        run.explanation.unwrap().suggestion,
        "a plan of project red with 200 endpoints at once, or 1 fewer endpoints"
    );
    projects(&node, ADMIN).update_project(limit(200)).await.unwrap();
    let run = start(&node, &red, "smoke").await.unwrap();
    let run = judged(&node, &run.id).await;
    // There is no worker, which is what stops it now.
    assert_eq!(run.reason.unwrap().code(), v1::RunReasonCode::NoOnlineWorkers);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_project_is_made_changed_and_deleted() {
    let node = Node::start().await;
    let mut client = projects(&node, ADMIN);
    let create = v1::CreateProjectRequest {
        name: "red".to_owned(),
        max_concurrent_runs: Some(3),
        credits: Some(100),
        request_id: "c1".to_owned(),
        ..Default::default()
    };
    let made = client
        .create_project(create.clone())
        .await
        .unwrap()
        .into_inner()
        .project
        .unwrap();
    assert_eq!(
        (made.max_concurrent_runs, made.max_concurrent_endpoints),
        (Some(3), None)
    );
    assert!(made.subscription_active && made.credits_left == Some(100));
    let again = client
        .create_project(create.clone())
        .await
        .unwrap()
        .into_inner()
        .project;
    assert_eq!(again, Some(made.clone()), "the same request");
    let twice = v1::CreateProjectRequest {
        request_id: String::new(),
        ..create
    };
    let refused = client.create_project(twice).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::AlreadyExists, "NAME_TAKEN".to_owned())
    );

    let adjust = |change| v1::AdjustCreditsRequest {
        name: "red".to_owned(),
        change,
        reason: "monthly".to_owned(),
        request_id: String::new(),
    };
    let once = v1::AdjustCreditsRequest {
        request_id: "a1".to_owned(),
        ..adjust(Some(Change::Add(-40)))
    };
    for _ in 0..2 {
        let left = client
            .adjust_credits(once.clone())
            .await
            .unwrap()
            .into_inner()
            .project
            .unwrap();
        assert_eq!(left.credits_left, Some(60));
        assert_eq!(left.last_adjustment.unwrap().reason, "monthly");
    }
    for (change, field) in [
        (None, "change"),
        (Some(Change::Unlimited(false)), "unlimited"),
        (Some(Change::Add(-61)), "add"),
        (Some(Change::Set(u64::MAX)), "set"),
    ] {
        assert_eq!(
            fields(&client.adjust_credits(adjust(change)).await.unwrap_err()),
            [field]
        );
    }
    let unlimited = client
        .adjust_credits(adjust(Some(Change::Unlimited(true))))
        .await
        .unwrap();
    assert_eq!(unlimited.into_inner().project.unwrap().credits_left, None);

    let names = |listed: v1::ListProjectsResponse| {
        let projects = listed.projects.into_iter().map(|project| project.name);
        (projects.collect::<Vec<_>>(), listed.next_page_token)
    };
    create_project(&node, "blue").await;
    let mut list = v1::ListProjectsRequest {
        page_size: 2,
        ..Default::default()
    };
    let (first, token) = names(client.list_projects(list.clone()).await.unwrap().into_inner());
    assert_eq!(first, ["blue", "default"]);
    list.page_token = token;
    let (second, token) = names(client.list_projects(list).await.unwrap().into_inner());
    assert_eq!((second, token), (vec!["red".to_owned()], String::new()));

    let viewer = key_of(&node, "red", v1::Role::Viewer).await;
    let mut own = projects(&node, &viewer);
    let (seen, _) = names(
        own.list_projects(v1::ListProjectsRequest::default())
            .await
            .unwrap()
            .into_inner(),
    );
    assert_eq!(seen, ["red"]);
    let mine = own.get_project(v1::GetProjectRequest::default()).await.unwrap();
    assert_eq!(mine.into_inner().project.unwrap().name, "red");
    let others = v1::GetProjectRequest {
        name: "default".to_owned(),
        consistency: 0,
    };
    assert_eq!(
        reason(&own.get_project(others.clone()).await.unwrap_err()),
        "PROJECT_NOT_FOUND"
    );
    let default = client
        .get_project(others)
        .await
        .unwrap()
        .into_inner()
        .project
        .unwrap();
    assert!(default.subscription_active && default.credits_left.is_none());

    let delete = |name: &str| v1::DeleteProjectRequest {
        name: name.to_owned(),
        request_id: String::new(),
    };
    let refused = client.delete_project(delete("red")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "PROJECT_IN_USE".to_owned())
    );
    assert!(
        refused.message().contains("1 keys in force"),
        "{}",
        refused.message()
    );
    assert_eq!(
        fields(&client.delete_project(delete("default")).await.unwrap_err()),
        ["name"]
    );
    client.delete_project(delete("blue")).await.unwrap();
    assert_eq!(
        reason(&client.delete_project(delete("blue")).await.unwrap_err()),
        "PROJECT_NOT_FOUND"
    );
    node.stop().await.unwrap();
}

async fn rest(node: &Node, method: &str, path: &str, body: &str) -> Answer {
    send(node.http, method, path, &[], body).await.unwrap()
}

#[tokio::test]
async fn projects_over_rest() {
    let node = Node::start().await;
    let body =
        json!({"name": "red", "maxConcurrentEndpoints": 500, "credits": 90, "requestId": "r1"}).to_string();
    let created = rest(&node, "POST", "/projects", &body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        created.json()["usage"],
        json!({"runs": 0, "endpoints": 0, "creditsReserved": 0})
    );
    assert_eq!(
        rest(&node, "POST", "/api/v1/projects", &body).await.json(),
        created.json()
    );

    let changed = rest(
        &node,
        "PATCH",
        "/projects/red",
        r#"{"maxConcurrentEndpoints": 0, "maxConcurrentRuns": 2}"#,
    )
    .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.json()["maxConcurrentEndpoints"], Value::Null);
    assert_eq!(changed.json()["maxConcurrentRuns"], 2);
    let credits = rest(
        &node,
        "POST",
        "/projects/red/credits",
        r#"{"add": -30, "reason": "refund"}"#,
    )
    .await;
    assert_eq!(
        (credits.status, &credits.json()["creditsLeft"]),
        (200, &json!(60))
    );
    assert_eq!(credits.json()["lastAdjustment"]["left"], 60);

    let test =
        json!({"name": "smoke", "duration": "1s", "groups": [{"name": "g", "endpoints": 1, "sim": {}}]})
            .to_string();
    let made = rest(&node, "POST", "/tests?project=red", &test).await;
    assert_eq!(
        (made.status, &made.json()["project"]),
        (201, &json!("red")),
        "{}",
        made.body
    );
    let found = get(node.http, "/tests/smoke?project=red").await.unwrap();
    assert_eq!(found.json(), made.json());
    assert_eq!(
        get(node.http, "/tests/smoke").await.unwrap().reason(),
        "TEST_NOT_FOUND"
    );
    let run = rest(&node, "POST", "/tests/smoke/run?project=red", "").await;
    assert_eq!(
        (run.status, &run.json()["project"]),
        (201, &json!("red")),
        "{}",
        run.body
    );
    for (path, runs) in [
        ("/runs?project=red", 1),
        ("/runs?project=default", 0),
        ("/runs", 1),
    ] {
        let listed = get(node.http, path).await.unwrap().json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(runs), "{path}");
    }
    let in_use = rest(&node, "DELETE", "/projects/red", "").await;
    assert_eq!(
        (in_use.status, in_use.reason()),
        (400, "PROJECT_IN_USE".to_owned())
    );
    judged(&node, run.json()["id"].as_str().unwrap()).await;
    assert_eq!(
        rest(&node, "DELETE", "/tests/smoke?project=red", "").await.status,
        204
    );
    assert_eq!(rest(&node, "DELETE", "/projects/red", "").await.status, 204);
    let listed = get(node.http, "/projects").await.unwrap().json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn bad_input_names_the_field_and_changes_nothing() {
    let node = Node::start().await;
    create_project(&node, "red").await;
    let before = get(node.http, "/projects").await.unwrap().json()["revision"].clone();
    let long = "x".repeat(129);
    for (method, path, body, field) in [
        ("POST", "/projects", json!({}), "name"),
        ("POST", "/projects", json!({"name": ""}), "name"),
        ("POST", "/projects", json!({"name": long}), "name"),
        (
            "POST",
            "/projects",
            json!({"name": "a", "maxConcurrentEndpoints": -1}),
            "maxConcurrentEndpoints",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "maxConcurrentEndpoints": 4_294_967_296u64}),
            "maxConcurrentEndpoints",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "maxConcurrentRuns": 1_000_000_001}),
            "max_concurrent_runs",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "maxRunEndpoints": 1.5}),
            "maxRunEndpoints",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "credits": -1}),
            "credits",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "credits": 1_000_000_000_000_001u64}),
            "credits",
        ),
        (
            "POST",
            "/projects",
            json!({"name": "a", "subscriptionActive": "yes"}),
            "subscriptionActive",
        ),
        (
            "PATCH",
            "/projects/red",
            json!({"maxConcurrentRuns": "3"}),
            "maxConcurrentRuns",
        ),
        (
            "PATCH",
            "/projects/default",
            json!({"maxConcurrentRuns": 3}),
            "name",
        ),
        ("POST", "/projects/red/credits", json!({"reason": "r"}), "change"),
        (
            "POST",
            "/projects/red/credits",
            json!({"add": 1, "set": 1, "reason": "r"}),
            "change",
        ),
        ("POST", "/projects/red/credits", json!({"set": 1}), "reason"),
        (
            "POST",
            "/projects/red/credits",
            json!({"set": -1, "reason": "r"}),
            "set",
        ),
        (
            "POST",
            "/projects/red/credits",
            json!({"add": 1, "reason": "r"}),
            "add",
        ),
        (
            "POST",
            "/tests?project=green",
            json!({"name": "s", "duration": "1s", "groups": [{"name": "g", "endpoints": 1, "sim": {}}]}),
            "project",
        ),
    ] {
        let answer = rest(&node, method, path, &body.to_string()).await;
        assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.body);
        assert_eq!(
            answer.fields(),
            [field],
            "{method} {path} {body}: {}",
            answer.body
        );
    }
    for (method, path) in [
        ("GET", "/projects/green"),
        ("PATCH", "/projects/green"),
        ("DELETE", "/projects/green"),
    ] {
        assert_eq!(rest(&node, method, path, "").await.status, 404, "{method} {path}");
    }
    let after = get(node.http, "/projects").await.unwrap().json()["revision"].clone();
    assert_eq!(before, after);
    node.stop().await.unwrap();
}
