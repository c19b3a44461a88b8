//! Probes over gRPC and REST: created, changed, paused, looked at and deleted.

use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::probe_definition::Schedule;
use reeve_proto::v1::probes_client::ProbesClient;
use serde_json::{Value, json};
use tonic::Code;

use crate::http::{Answer, get, send};
use crate::node::{ADMIN, Keyed, Node};

fn probes(node: &Node) -> ProbesClient<Keyed> {
    ProbesClient::new(node.keyed(Some(ADMIN)))
}

fn definition(name: &str) -> v1::ProbeDefinition {
    v1::ProbeDefinition {
        name: name.to_owned(),
        test: "call".to_owned(),
        schedule: Some(Schedule::EveryMinutes(5)),
        thresholds: vec![v1::Threshold {
            metric: "mos".to_owned(),
            warning_milli: Some(3_500),
            critical_milli: Some(2_500),
            ..v1::Threshold::default()
        }],
    }
}

async fn post(node: &Node, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send(node.http, "POST", path, &[], &body).await.unwrap()
}

fn fields(answer: &Answer) -> Vec<String> {
    let error = answer.json();
    let fields = error["error"]["details"]["fields"].as_array().cloned();
    let named = fields
        .unwrap_or_default()
        .into_iter()
        .map(|one| one["field"].as_str().unwrap().to_owned());
    named.collect()
}

// Covers: R218, R233
#[tokio::test]
async fn a_probe_over_grpc() {
    let node = Node::start().await;
    let test = node.create_test("call").await;
    let mut client = probes(&node);
    let create = |name: &str, id: &str| v1::CreateProbeRequest {
        definition: Some(definition(name)),
        project: String::new(),
        request_id: id.to_owned(),
    };
    let made = client
        .create_probe(create("fra", "r1"))
        .await
        .unwrap()
        .into_inner()
        .probe
        .unwrap();
    let shown = made.definition.clone().unwrap();
    assert_eq!(
        (made.project.as_str(), made.test_name.as_str()),
        ("default", "call")
    );
    assert_eq!(
        (shown.name.as_str(), shown.test.as_str()),
        ("fra", test.id.as_str())
    );
    let threshold = &shown.thresholds[0];
    assert_eq!(threshold.statistic(), v1::Statistic::Mean, "the default");
    assert_eq!(
        threshold.direction(),
        v1::Direction::HigherIsBetter,
        "by the metric"
    );
    let health = made.health.clone().unwrap();
    assert_eq!((health.status(), health.slot), (v1::ProbeStatus::Unknown, None));
    assert!(made.next_due.is_some() && made.last_slot.is_none() && made.paused_at.is_none());

    let again = client
        .create_probe(create("fra", "r1"))
        .await
        .unwrap()
        .into_inner()
        .probe
        .unwrap();
    assert_eq!(again.id, made.id, "the same request");
    let taken = client.create_probe(create("fra", "r2")).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists, "{taken}");

    // What is shown can be applied again, and changes nothing.
    let apply = v1::ApplyProbeRequest {
        definition: Some(shown.clone()),
        ..v1::ApplyProbeRequest::default()
    };
    let applied = client.apply_probe(apply).await.unwrap().into_inner();
    assert!(!applied.created);
    assert_eq!(applied.probe.unwrap().revision, made.revision);
    let update = v1::UpdateProbeRequest {
        id: "fra".to_owned(),
        definition: Some(v1::ProbeDefinition {
            name: "ber".to_owned(),
            schedule: Some(Schedule::Cron("0  *  * * *".to_owned())),
            ..shown
        }),
        ..v1::UpdateProbeRequest::default()
    };
    let updated = client
        .update_probe(update)
        .await
        .unwrap()
        .into_inner()
        .probe
        .unwrap();
    assert_eq!(updated.id, made.id);
    assert_eq!(
        updated.definition.unwrap().schedule,
        Some(Schedule::Cron("0 * * * *".to_owned()))
    );

    let pause = v1::PauseProbeRequest {
        id: "ber".to_owned(),
        ..v1::PauseProbeRequest::default()
    };
    let paused = client
        .pause_probe(pause)
        .await
        .unwrap()
        .into_inner()
        .probe
        .unwrap();
    assert!(paused.paused_at.is_some() && paused.next_due.is_none());
    let resume = v1::ResumeProbeRequest {
        id: made.id.clone(),
        ..v1::ResumeProbeRequest::default()
    };
    let resumed = client
        .resume_probe(resume)
        .await
        .unwrap()
        .into_inner()
        .probe
        .unwrap();
    assert!(resumed.paused_at.is_none() && resumed.next_due.is_some());

    // The test is in use, and the refusal says by whom.
    let delete_test = || v1::DeleteTestRequest {
        id: "call".to_owned(),
        ..v1::DeleteTestRequest::default()
    };
    let in_use = node.tests().delete_test(delete_test()).await.unwrap_err();
    assert_eq!(in_use.code(), Code::FailedPrecondition);
    assert!(in_use.message().contains("\"ber\""), "{in_use}");
    let delete = || v1::DeleteProbeRequest {
        id: "ber".to_owned(),
        request_id: "d1".to_owned(),
        ..v1::DeleteProbeRequest::default()
    };
    client.delete_probe(delete()).await.unwrap();
    client.delete_probe(delete()).await.unwrap();
    let gone = client
        .get_probe(v1::GetProbeRequest {
            id: made.id,
            ..v1::GetProbeRequest::default()
        })
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    node.tests().delete_test(delete_test()).await.unwrap();
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_probe_over_rest() {
    let node = Node::start().await;
    node.create_test("call").await;
    let body = json!({"name": "fra", "test": "call", "every": "15m",
        "thresholds": [{"metric": "mos", "warning": 3.5, "critical": 2.5},
                       {"metric": "setup_time_ms", "statistic": "p95", "critical": 800}]});
    let made = post(&node, "/probes", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let probe = made.json();
    assert_eq!(probe["health"]["status"], "UNKNOWN");
    assert_eq!(probe["paused"], false);
    assert_eq!(probe["definition"]["every"], "15m");
    assert_eq!(
        probe["definition"]["thresholds"][0],
        json!({"metric": "mos", "statistic": "MEAN", "direction": "HIGHER_IS_BETTER", "warning": 3.5, "critical": 2.5})
    );
    let id = probe["id"].as_str().unwrap();
    for path in ["/probes/fra".to_owned(), format!("/api/v1/probes/{id}")] {
        assert_eq!(get(node.http, &path).await.unwrap().json(), probe, "{path}");
    }
    let listed = get(node.http, "/probes?status=unknown&pageSize=5")
        .await
        .unwrap()
        .json();
    assert_eq!(listed["items"], json!([probe]));
    let none = get(node.http, "/probes?status=HEALTHY").await.unwrap().json();
    assert_eq!(none["items"], json!([]));
    let slots = get(node.http, "/probes/fra/slots").await.unwrap();
    assert_eq!((slots.status, &slots.json()["items"]), (200, &json!([])));
    let paused = post(&node, "/probes/fra/pause", &Value::Null).await.json();
    assert_eq!(
        (&paused["paused"], &paused["nextDue"]),
        (&json!(true), &Value::Null)
    );
    let resumed = post(&node, "/probes/fra/resume", &Value::Null).await.json();
    assert_eq!(resumed["paused"], false);
    // What is shown is what is written.
    let mut changed = probe["definition"].clone();
    changed["every"] = json!("60m");
    let updated = post(&node, "/probes/fra", &changed).await;
    assert_eq!(
        (updated.status, &updated.json()["definition"]["every"]),
        (200, &json!("60m"))
    );
    let deleted = send(node.http, "DELETE", "/probes/fra", &[], "").await.unwrap();
    assert_eq!(deleted.status, 204);
    let gone = get(node.http, "/probes/fra").await.unwrap();
    assert_eq!((gone.status, gone.reason().as_str()), (404, "PROBE_NOT_FOUND"));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn bad_probes_are_refused_with_every_field_and_change_nothing() {
    let node = Node::start().await;
    node.create_test("call").await;
    let good = json!({"name": "p", "test": "call", "every": "5m", "thresholds": []});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let limits = |limits: Value| with("thresholds", json!([limits]));
    let table = [
        (json!({}), vec!["name", "test", "every"]),
        (with("every", json!("7m")), vec!["every"]),
        (with("cron", json!("* * * * *")), vec!["every"]),
        (with("name", json!(" x ")), vec!["name"]),
        (with("colour", json!("red")), vec!["colour"]),
        (limits(json!({"metric": "mos"})), vec!["thresholds[0]"]),
        (
            limits(json!({"metric": "moss", "warning": 1})),
            vec!["thresholds[0].metric"],
        ),
        (
            limits(json!({"metric": "mos", "warning": 1, "critical": 2})),
            vec!["thresholds[0].critical"],
        ),
        (
            limits(json!({"metric": "mos", "warning": 0.0001})),
            vec!["thresholds[0].warning"],
        ),
        (
            limits(json!({"metric": "mos", "warning": "x"})),
            vec!["thresholds[0].warning"],
        ),
        (
            limits(json!({"metric": "mos", "warning": 1, "statistic": "p1"})),
            vec!["thresholds[0].statistic"],
        ),
    ];
    for (body, expected) in table {
        let answer = post(&node, "/probes", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert_eq!(fields(&answer), expected, "{body}: {}", answer.body);
    }
    let crons = [
        "60 * * * *",
        "* * * *",
        "0 0 30 2 *",
        "@daily",
        "* * * * * *",
        "\u{0}",
    ];
    for cron in crons {
        let body = json!({"name": "p", "test": "call", "cron": cron});
        let answer = post(&node, "/probes", &body).await;
        assert_eq!(
            (answer.status, fields(&answer)),
            (400, vec!["cron".to_owned()]),
            "{cron:?}"
        );
    }
    let unknown = post(&node, "/probes", &with("test", json!("nothing"))).await;
    assert_eq!(
        (unknown.status, unknown.reason().as_str()),
        (404, "TEST_NOT_FOUND")
    );
    for body in ["[", "5", "\"x\""] {
        let answer = send(node.http, "POST", "/probes", &[], body).await.unwrap();
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (400, "MALFORMED_BODY"),
            "{body}"
        );
    }
    let list = get(node.http, "/probes").await.unwrap().json();
    assert_eq!(list["items"], json!([]));
    node.stop().await.unwrap();
}

// Shows D27a
#[tokio::test]
async fn probes_of_another_project_do_not_exist_for_other_keys() {
    let node = Node::start().await;
    node.create_test("call").await;
    probes(&node)
        .create_probe(v1::CreateProbeRequest {
            definition: Some(definition("fra")),
            ..v1::CreateProbeRequest::default()
        })
        .await
        .unwrap();
    crate::projects::create_project(&node, "blue").await;
    let request = v1::CreateKeyRequest {
        name: "blue".to_owned(),
        role: v1::Role::Operator.into(),
        project: "blue".to_owned(),
        ..v1::CreateKeyRequest::default()
    };
    let blue = node.keys().create_key(request).await.unwrap().into_inner().secret;
    let mut client = ProbesClient::new(node.keyed(Some(&blue)));
    let seen = client
        .list_probes(v1::ListProbesRequest::default())
        .await
        .unwrap();
    assert_eq!(seen.into_inner().probes, []);
    let id = get(node.http, "/probes/fra").await.unwrap().json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = v1::GetProbeRequest {
        id: id.clone(),
        ..v1::GetProbeRequest::default()
    };
    assert_eq!(client.get_probe(one).await.unwrap_err().code(), Code::NotFound);
    let delete = v1::DeleteProbeRequest {
        id,
        ..v1::DeleteProbeRequest::default()
    };
    assert_eq!(
        client.delete_probe(delete).await.unwrap_err().code(),
        Code::NotFound
    );
    let elsewhere = v1::ListProbesRequest {
        project: "default".to_owned(),
        ..v1::ListProbesRequest::default()
    };
    assert_eq!(
        client.list_probes(elsewhere).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_probe_can_be_watched() {
    let node = Node::start().await;
    node.create_test("call").await;
    let request = v1::WatchRequest {
        kinds: vec![v1::ResourceKind::Probe.into()],
        send_initial: true,
        ..v1::WatchRequest::default()
    };
    let mut stream = node.watch().watch(request).await.unwrap().into_inner();
    probes(&node)
        .create_probe(v1::CreateProbeRequest {
            definition: Some(definition("fra")),
            ..v1::CreateProbeRequest::default()
        })
        .await
        .unwrap();
    let told = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(v1::watch_response::Event::Put(put)) = message.event {
                return put.resource;
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    let Some(v1::resource::Resource::Probe(probe)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(probe.definition.unwrap().name, "fra");
    node.stop().await.unwrap();
}
