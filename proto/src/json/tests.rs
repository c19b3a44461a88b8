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
        project: "default".into(),
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
            "id": "r", "testId": "t", "testName": "smoke", "testVersion": 2, "project": "default", "status": "CANNOT_RUN_FOR_NOW",
            "reason": {"code": "WORKERS_BUSY", "message": "busy"},
            "createdAt": "2026-01-01T00:00:00.005Z",
            "timeline": [{"status": "PENDING", "at": "2026-01-01T00:00:00.005Z"}],
            "endpoints": {"total": 3, "byPhase": {"INCALL": 3}, "byOutcome": {}},
            "assignments": [{"workerId": "w", "workerName": "", "group": "callers", "firstEndpoint": 0, "completed": 0,
                "interrupted": 0, "lateEndpoints": 0,
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
            configured: 5,
            reported: 8,
            sip_total: Some(4),
            sip_reserved: 1,
        }),
        profile: v1::LivenessProfile::Ping.into(),
        function_blocks: vec!["web/fetch:1.0.0".into()],
        drain: Some(v1::WorkerDrain {
            actor: "ann".into(),
            reason: "rack move".into(),
            deadline: at(60, 0),
            then: v1::AfterDrain::Resume.into(),
            waits_for: vec![v1::DrainWait {
                run_id: "r".into(),
                test: "smoke".into(),
                run_status: v1::RunStatus::Running.into(),
                open_endpoints: 4,
                expected_end: at(30, 0),
                ends_in_time: true,
            }],
            ..Default::default()
        }),
        flaps: Some(v1::WorkerFlaps {
            total: 9,
            last_hour: 2,
        }),
        resources: Some(v1::WorkerResources {
            cpu_percent: 1,
            memory_percent: 2,
            disk_percent: 3,
        }),
        clock_skew_ms: Some(-5),
        ..Default::default()
    };
    let json = serde_json::to_value(WorkerJson::from(&worker)).unwrap();
    assert_eq!(json["kind"], "USER_OWNED");
    assert_eq!(json["status"], "ONLINE");
    assert_eq!(
        json["capacity"],
        json!({
            "total": 5, "reserved": 2, "free": 3, "configured": 5, "reported": 8, "sipTotal": 4, "sipReserved": 1
        })
    );
    assert_eq!(
        (&json["profile"], &json["functionBlocks"]),
        (&json!("PING"), &json!(["web/fetch:1.0.0"]))
    );
    assert_eq!(
        json["drain"],
        json!({"actor": "ann", "reason": "rack move", "deadline": "1970-01-01T00:01:00.000Z", "then": "RESUME",
            "waitsFor": [{"runId": "r", "test": "smoke", "runStatus": "RUNNING", "openEndpoints": 4,
                "expectedEnd": "1970-01-01T00:00:30.000Z", "endsInTime": true}]})
    );
    assert_eq!(json["flaps"], json!({"total": 9, "lastHour": 2}));
    assert_eq!(
        (&json["resources"], &json["clockSkewMs"]),
        (
            &json!({"cpuPercent": 1, "memoryPercent": 2, "diskPercent": 3}),
            &json!(-5)
        )
    );
    assert_eq!(json.get("deletedAt"), None);
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
