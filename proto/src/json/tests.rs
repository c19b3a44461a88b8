//! The shapes that scripts hold on to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::*;
use crate::v1;

fn at(seconds: i64, millis: i32) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds,
        nanos: millis * 1_000_000,
    })
}

// Covers: R113, R142
#[test]
fn a_run_has_the_shape_of_the_interface() {
    let run = v1::Run {
        id: "r".into(),
        test_id: "t".into(),
        test_name: "smoke".into(),
        test_version: 2,
        status: v1::RunStatus::CannotRunForNow.into(),
        reason: Some(v1::RunReason {
            code: v1::RunReasonCode::WorkersBusy.into(),
            message: "busy".into(),
        }),
        created_at: at(1_767_225_600, 5),
        timeline: vec![v1::TimelineEntry {
            status: v1::RunStatus::Pending.into(),
            at: at(1_767_225_600, 5),
            reason: None,
        }],
        endpoints: Some(v1::EndpointCounts {
            total: 3,
            by_phase: vec![v1::PhaseCount {
                phase: v1::EndpointPhase::Incall.into(),
                count: 3,
            }],
            by_outcome: vec![v1::OutcomeCount { outcome: 0, count: 3 }],
        }),
        assignments: vec![v1::Assignment {
            worker_id: "w".into(),
            group: "callers".into(),
            endpoints: 3,
            epoch: 9,
            status: v1::AssignmentStatus::Started.into(),
            ..Default::default()
        }],
        revision: 123,
        ..Default::default()
    };
    let json = serde_json::to_value(RunJson::from(&run)).unwrap();
    assert_eq!(
        json,
        json!({
            "id": "r", "testId": "t", "testName": "smoke", "testVersion": 2, "status": "CANNOT_RUN_FOR_NOW",
            "reason": {"code": "WORKERS_BUSY", "message": "busy"},
            "createdAt": "2026-01-01T00:00:00.005Z",
            "timeline": [{"status": "PENDING", "at": "2026-01-01T00:00:00.005Z"}],
            "endpoints": {"total": 3, "byPhase": {"INCALL": 3}, "byOutcome": {}},
            "assignments": [{"workerId": "w", "workerName": "", "group": "callers", "firstEndpoint": 0,
                "endpoints": 3, "epoch": 9, "status": "STARTED"}],
            "revision": 123
        })
    );
}

#[test]
fn a_worker_has_the_shape_of_the_interface() {
    let worker = v1::Worker {
        id: "w".into(),
        name: "w1".into(),
        kind: v1::WorkerKind::UserOwned.into(),
        status: v1::WorkerStatus::Online.into(),
        conditions: vec![v1::WorkerCondition {
            r#type: "Link".into(),
            since: at(0, 0),
            ..Default::default()
        }],
        capacity: Some(v1::WorkerCapacity {
            total: 5,
            reserved: 2,
            free: 3,
            ..Default::default()
        }),
        ..Default::default()
    };
    let json = serde_json::to_value(WorkerJson::from(&worker)).unwrap();
    assert_eq!(json["kind"], "USER_OWNED");
    assert_eq!(json["status"], "ONLINE");
    assert_eq!(json["capacity"], json!({"total": 5, "reserved": 2, "free": 3}));
    assert_eq!(json["conditions"][0]["type"], "Link");
    assert_eq!(json["conditions"][0]["since"], "1970-01-01T00:00:00.000Z");
    assert_eq!(json.get("lastHeardAt"), None, "what is not known is left out");
    for key in [
        "id",
        "region",
        "labels",
        "activeEndpoints",
        "missedHeartbeats",
        "sessionNode",
        "revision",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

#[test]
fn a_list_carries_its_revision() {
    let tests = [v1::Test {
        id: "t".into(),
        name: "smoke".into(),
        ..Default::default()
    }];
    let json = serde_json::to_value(ListJson::<TestJson>::new(&tests, "", 7)).unwrap();
    assert_eq!(json["items"][0]["name"], "smoke");
    assert_eq!(json["nextPageToken"], Value::String(String::new()));
    assert_eq!(json["revision"], 7);
}

// Covers: R30
#[test]
fn a_drains_dry_run_names_runs_that_no_longer_fit() {
    let effect = v1::DrainEffect {
        run_id: "r".into(),
        test: "smoke".into(),
        run_status: v1::RunStatus::Queued.into(),
        fits_before: true,
        fits_after: false,
        reason: v1::RunReasonCode::WorkersBusy.into(),
        message: "busy".into(),
    };
    assert_eq!(
        serde_json::to_value(DrainEffectJson::from(&effect)).unwrap(),
        json!({"runId": "r", "test": "smoke", "runStatus": "QUEUED", "fitsBefore": true, "fitsAfter": false,
            "reason": "WORKERS_BUSY", "message": "busy"})
    );
}

#[test]
fn an_event_says_what_changed() {
    let event = v1::WorkerEvent {
        seq: 1,
        at: at(0, 0),
        kind: v1::WorkerEventKind::Registered.into(),
        status: v1::WorkerStatus::Offline.into(),
        revision: 9,
        ..Default::default()
    };
    assert_eq!(
        serde_json::to_value(WorkerEventJson::from(&event)).unwrap(),
        json!({"seq": 1, "at": "1970-01-01T00:00:00.000Z", "kind": "REGISTERED", "status": "OFFLINE", "node": "",
            "sessionEpoch": 0, "actor": "", "message": "", "revision": 9})
    );
}
