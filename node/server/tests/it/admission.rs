//! Who may call: every method and every path, with every kind of key (D27a).

use prost::Message;
use prost_types::FileDescriptorSet;
use reeve_proto::v1;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::http::send;
use crate::node::{ADMIN, Node};

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    /// No key, and none helps.
    Nothing,
    /// Any key in force.
    AnyKey,
    Read,
    Operate,
    Administer,
    Ping,
}

use Needs::{Administer, AnyKey, Nothing, Operate, Ping, Read};

const METHODS: &[(&str, &[(&str, Needs)])] = &[
    (
        "Tests",
        &[
            ("ApplyTest", Operate),
            ("CreateTest", Operate),
            ("GetTest", Read),
            ("ListTests", Read),
            ("DeleteTest", Operate),
        ],
    ),
    (
        "Runs",
        &[
            ("StartRun", Operate),
            ("GetRun", Read),
            ("ListRuns", Read),
            ("StopRun", Operate),
            ("ListRunEndpoints", Read),
            ("PlanRun", Read),
            ("ExplainRun", Read),
            ("CompareRuns", Read),
            ("GetRunMetrics", Read),
            ("GetRunSeries", Read),
            ("GetEndpointEvidence", Read),
            ("GetRunTrace", Read),
            ("WatchRunMetrics", Read),
            ("ListRunWorkers", Read),
        ],
    ),
    (
        "Workers",
        &[
            ("CreateWorker", Operate),
            ("GetWorker", Read),
            ("ListWorkers", Read),
            ("ListWorkerEvents", Read),
            ("DrainWorker", Operate),
            ("UndrainWorker", Operate),
            ("RegenerateToken", Operate),
            ("DeleteWorker", Operate),
            ("CleanupWorkers", Operate),
            ("RegisterWorker", Ping),
            ("PingWorker", Ping),
            ("UnregisterWorker", Ping),
        ],
    ),
    (
        "Keys",
        &[
            ("BootstrapKey", Nothing),
            ("CreateKey", Administer),
            ("ListKeys", Administer),
            ("RevokeKey", Administer),
            ("WhoAmI", AnyKey),
        ],
    ),
    (
        "Projects",
        &[
            ("CreateProject", Administer),
            ("GetProject", Read),
            ("ListProjects", Read),
            ("UpdateProject", Administer),
            ("DeleteProject", Administer),
            ("AdjustCredits", Administer),
        ],
    ),
    (
        "Cluster",
        &[
            ("GetStatus", Read),
            ("AddMember", Administer),
            ("RemoveMember", Administer),
            ("TransferLeader", Administer),
        ],
    ),
    (
        "Probes",
        &[
            ("CreateProbe", Operate),
            ("ApplyProbe", Operate),
            ("UpdateProbe", Operate),
            ("GetProbe", Read),
            ("ListProbes", Read),
            ("DeleteProbe", Operate),
            ("PauseProbe", Operate),
            ("ResumeProbe", Operate),
            ("ListProbeSlots", Read),
        ],
    ),
    ("Watch", &[("Watch", Read)]),
    // Workers have their token instead.
    (
        "WorkerGateway",
        &[("Session", Nothing), ("PutChunk", Nothing), ("GetMedia", Nothing)],
    ),
    (
        "Sip",
        &[
            ("ApplyRegistrar", Operate),
            ("GetRegistrar", Read),
            ("ListRegistrars", Read),
            ("DeleteRegistrar", Operate),
            ("ApplyAccounts", Operate),
            ("ListAccounts", Read),
            ("ListAccountPools", Read),
            ("DeleteAccounts", Operate),
            ("PutMedia", Operate),
            ("ListMedia", Read),
            ("DeleteMedia", Operate),
        ],
    ),
    (
        "Webhooks",
        &[
            ("CreateWebhook", Operate),
            ("UpdateWebhook", Operate),
            ("GetWebhook", Read),
            ("ListWebhooks", Read),
            ("DeleteWebhook", Operate),
            ("RotateWebhookSecret", Operate),
            ("PauseWebhook", Operate),
            ("ResumeWebhook", Operate),
            ("ListDeliveries", Read),
            ("ReplayDelivery", Operate),
            ("TestWebhook", Operate),
        ],
    ),
];

const PATHS: &[(&str, &str, Needs)] = &[
    ("GET", "/tests", Read),
    ("POST", "/tests", Operate),
    ("GET", "/tests/x", Read),
    ("DELETE", "/tests/x", Operate),
    ("POST", "/tests/x/run", Operate),
    ("GET", "/runs", Read),
    ("GET", "/runs/x", Read),
    ("GET", "/runs/x/timeline", Read),
    ("GET", "/runs/x/assignments", Read),
    ("GET", "/runs/x/endpoints", Read),
    ("GET", "/runs/x/explain", Read),
    ("POST", "/runs/x/stop", Operate),
    ("POST", "/runs/plan", Read),
    ("GET", "/runs/x/compare", Read),
    ("GET", "/runs/x/metrics", Read),
    ("GET", "/runs/x/trace", Read),
    ("GET", "/runs/x/workers", Read),
    ("GET", "/workers", Read),
    ("POST", "/workers", Operate),
    ("GET", "/workers/online", Read),
    ("GET", "/workers/x", Read),
    ("DELETE", "/workers/x", Operate),
    ("GET", "/workers/x/function-blocks", Read),
    ("GET", "/workers/x/events", Read),
    ("POST", "/workers/x/drain", Operate),
    ("POST", "/workers/x/undrain", Operate),
    ("POST", "/workers/x/token", Operate),
    ("POST", "/workers/cleanup", Operate),
    ("POST", "/workers/cleanup-offline", Operate),
    ("POST", "/workers/register", Ping),
    ("POST", "/workers/x/ping", Ping),
    ("POST", "/workers/x/unregister", Ping),
    ("GET", "/probes", Read),
    ("POST", "/probes", Operate),
    ("GET", "/probes/x", Read),
    ("POST", "/probes/x", Operate),
    ("DELETE", "/probes/x", Operate),
    ("POST", "/probes/x/pause", Operate),
    ("POST", "/probes/x/resume", Operate),
    ("GET", "/probes/x/slots", Read),
    ("GET", "/keys", Administer),
    ("POST", "/keys", Administer),
    ("GET", "/keys/self", AnyKey),
    ("DELETE", "/keys/x", Administer),
    ("POST", "/keys/bootstrap", Nothing),
    ("GET", "/events", Read),
    ("GET", "/webhooks", Read),
    ("POST", "/webhooks", Operate),
    ("GET", "/webhooks/x", Read),
    ("PATCH", "/webhooks/x", Operate),
    ("DELETE", "/webhooks/x", Operate),
    ("GET", "/webhooks/x/deliveries", Read),
    ("POST", "/webhooks/x/rotate-secret", Operate),
    ("POST", "/webhooks/x/pause", Operate),
    ("POST", "/webhooks/x/resume", Operate),
    ("POST", "/webhooks/x/replay", Operate),
    ("POST", "/webhooks/x/test", Operate),
    ("GET", "/registrars", Read),
    ("POST", "/registrars", Operate),
    ("GET", "/registrars/x", Read),
    ("DELETE", "/registrars/x", Operate),
    ("GET", "/account-pools", Read),
    ("GET", "/account-pools/x", Read),
    ("POST", "/account-pools/x", Operate),
    ("DELETE", "/account-pools/x", Operate),
    ("GET", "/media", Read),
    ("POST", "/media/x", Operate),
    ("DELETE", "/media/x", Operate),
    ("GET", "/projects", Read),
    ("POST", "/projects", Administer),
    ("GET", "/projects/x", Read),
    ("PATCH", "/projects/x", Administer),
    ("DELETE", "/projects/x", Administer),
    ("POST", "/projects/x/credits", Administer),
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", Nothing),
    ("GET", "/openapi.json", Nothing),
];

const ROLES: [v1::Role; 4] = [
    v1::Role::Viewer,
    v1::Role::Operator,
    v1::Role::Admin,
    v1::Role::Worker,
];

fn allows(role: v1::Role, needs: Needs) -> bool {
    match (role, needs) {
        (v1::Role::Unspecified, _) => false,
        (_, Nothing | AnyKey) | (v1::Role::Admin, _) => true,
        (v1::Role::Operator, needs) => needs != Administer,
        (v1::Role::Viewer, needs) => needs == Read,
        (v1::Role::Worker, needs) => needs == Ping,
    }
}

/// Calls with an empty message; what it is refused with, if it is.
async fn call(node: &Node, service: &str, method: &str, key: Option<&str>) -> Option<Status> {
    let mut client = Grpc::new(node.keyed(key));
    client.ready().await.unwrap();
    let path = format!("/reeve.v1.{service}/{method}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    client.server_streaming(Request::new(()), path, codec).await.err()
}

fn reason(status: Option<&Status>) -> String {
    status
        .and_then(StatusExt::get_details_error_info)
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn methods() -> impl Iterator<Item = (&'static str, &'static str, Needs)> {
    METHODS
        .iter()
        .flat_map(|(service, methods)| methods.iter().map(|(method, needs)| (*service, *method, *needs)))
}

/// Keys that are good for nothing: unknown, revoked, expired.
async fn dead_keys(node: &Node) -> Vec<(&'static str, String)> {
    let (revoked, revoked_secret) = node.create_key("revoked", v1::Role::Admin, 0).await;
    let request = v1::RevokeKeyRequest {
        id: revoked.id,
        request_id: String::new(),
    };
    node.keys().revoke_key(request).await.unwrap();
    let (expired, expired_secret) = node.create_key("expired", v1::Role::Admin, 1).await;
    let over = async {
        while call(node, "Keys", "WhoAmI", Some(&expired_secret))
            .await
            .is_none()
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), over)
        .await
        .expect("a key runs out");
    assert_eq!(expired.name, "expired");
    vec![
        ("unknown", "cmk_ffffffffffffffffffffffffffffffff".to_owned()),
        ("revoked", revoked_secret),
        ("expired", expired_secret),
    ]
}

#[test]
fn the_table_names_every_method_of_every_service() {
    let descriptors = FileDescriptorSet::decode(reeve_proto::DESCRIPTORS).unwrap();
    let mut served: Vec<String> = Vec::new();
    for file in descriptors
        .file
        .iter()
        .filter(|file| file.package() == "reeve.v1")
    {
        for service in &file.service {
            let names = service.method.iter().map(|method| method.name());
            served.extend(names.map(|method| format!("{}/{method}", service.name())));
        }
    }
    let mut known: Vec<String> = methods()
        .map(|(service, method, _)| format!("{service}/{method}"))
        .collect();
    served.sort();
    known.sort();
    assert_eq!(served, known);
}

#[tokio::test]
async fn the_table_names_every_path_of_the_description() {
    let node = Node::start().await;
    let description = send(node.http, "GET", "/openapi.json", &[("authorization", "")], "").await;
    let description = description.unwrap().json();
    let mut described = vec!["GET /openapi.json".to_owned()];
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = ["{uuid}", "{id}", "{name}"]
            .iter()
            .fold(path.clone(), |path, name| path.replace(name, "x"));
        let methods = item.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let mut known: Vec<String> = PATHS
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    described.sort();
    known.sort();
    assert_eq!(described, known);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn every_method_refuses_a_call_without_a_key_and_with_one_that_is_not_in_force() {
    let node = Node::start().await;
    let dead = dead_keys(&node).await;
    for (service, method, needs) in methods().filter(|(_, _, needs)| *needs != Nothing) {
        for malformed in [None, Some("cmk_short"), Some("cmw_0000")] {
            let status = call(&node, service, method, malformed).await;
            assert_eq!(
                (
                    status.as_ref().map(Status::code),
                    reason(status.as_ref()).as_str()
                ),
                (Some(Code::Unauthenticated), "KEY_MISSING"),
                "{service}/{method} {needs:?} with {malformed:?}"
            );
        }
        for (what, key) in &dead {
            let status = call(&node, service, method, Some(key)).await;
            assert_eq!(
                (
                    status.as_ref().map(Status::code),
                    reason(status.as_ref()).as_str()
                ),
                (Some(Code::Unauthenticated), "KEY_REJECTED"),
                "{service}/{method} with a key that is {what}"
            );
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn every_method_is_open_to_the_roles_that_it_needs_and_to_no_other() {
    let node = Node::start().await;
    for role in ROLES {
        let (_, key) = node.create_key(role.as_str_name(), role, 0).await;
        for (service, method, needs) in methods().filter(|(_, _, needs)| *needs != Nothing) {
            let status = call(&node, service, method, Some(&key)).await;
            let refused = reason(status.as_ref()) == "ROLE_TOO_LOW";
            assert_eq!(
                !refused,
                allows(role, needs),
                "{service}/{method} as {role:?}: {status:?}"
            );
            if refused {
                assert_eq!(status.map(|status| status.code()), Some(Code::PermissionDenied));
            }
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn every_path_refuses_a_call_without_a_key_and_with_one_that_is_not_in_force() {
    let node = Node::start().await;
    let mut keys = vec![("", String::new(), "KEY_MISSING")];
    keys.extend(
        dead_keys(&node)
            .await
            .into_iter()
            .map(|(what, key)| (what, format!("Bearer {key}"), "KEY_REJECTED")),
    );
    for (method, path, needs) in PATHS {
        for (what, key, expected) in &keys {
            let answer = send(node.http, method, path, &[("authorization", key)], "").await;
            let answer = answer.unwrap();
            if *needs == Nothing {
                assert!(answer.status != 401 && answer.status != 403, "{method} {path}");
                continue;
            }
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (401, *expected),
                "{method} {path} {what}: {}",
                answer.body
            );
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn every_path_is_open_to_the_roles_that_it_needs_and_to_no_other() {
    let node = Node::start().await;
    for role in ROLES {
        let (_, key) = node.create_key(role.as_str_name(), role, 0).await;
        let bearer = format!("Bearer {key}");
        for (method, path, needs) in PATHS.iter().filter(|(_, _, needs)| *needs != Nothing) {
            // A stream that is allowed would not end; one that asks for nonsense does.
            let headers = [("authorization", bearer.as_str()), ("last-event-id", "x")];
            let answer = send(node.http, method, path, &headers, "").await;
            let answer = answer.unwrap();
            assert_eq!(
                answer.status != 403,
                allows(role, *needs),
                "{method} {path} as {role:?}: {}",
                answer.body
            );
            assert_ne!(answer.status, 401, "{method} {path} as {role:?}");
            assert_ne!(answer.reason(), "NO_SUCH_PATH", "{method} {path}");
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_ends_its_watch() {
    let node = Node::start().await;
    let (key, secret) = node.create_key("watcher", v1::Role::Viewer, 0).await;
    let mut watch = WatchClient::new(node.keyed(Some(&secret)))
        .watch(v1::WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut other = WatchClient::new(node.keyed(Some(ADMIN)))
        .watch(v1::WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Bookmark(_))));
    let request = v1::RevokeKeyRequest {
        id: key.id,
        request_id: String::new(),
    };
    node.keys().revoke_key(request).await.unwrap();
    let ended = async {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ends with a reason"),
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(std::time::Duration::from_secs(30), ended)
        .await
        .expect("the stream ends");
    assert_eq!(
        (status.code(), reason(Some(&status)).as_str()),
        (Code::Unauthenticated, "KEY_REJECTED")
    );
    let test = node.create_test("goes-on").await;
    loop {
        let shown = other.message().await.unwrap().expect("the other stream goes on");
        if shown.revision >= test.revision {
            break;
        }
    }
    node.stop().await.unwrap();
}
