#![allow(clippy::unwrap_used)]

use std::io::Read;

use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::{EndpointOutcome as Outcome, LiveAssignment, SimExecutor, SipOffer};
use reeve_sip::tap::{Message, Transport, Way};

use super::*;
use crate::executor::AssignmentKey;
use crate::ramp::Ramp;
use crate::trace::{TraceItem, TraceRow};

fn collector(endpoints: u32) -> Collector {
    collector_of(endpoints, Spec::Sim(SimExecutor::default()))
}

fn collector_of(endpoints: u32, spec: Spec) -> Collector {
    let work = Work {
        key: AssignmentKey::new("r", 3),
        group: "callers".to_owned(),
        first_endpoint: 100,
        endpoints,
        ramp: Ramp {
            buildup: Duration::ZERO,
            group_endpoints: 1_000,
        },
        duration: Duration::from_secs(20),
        spec,
    };
    Collector::new(Arc::new(work), MonoMs(1_000), MonoMs(900), Offset(1_000_000))
}

fn change(offset: u32, phase: Phase) -> EndpointChange {
    let outcome = if phase == Phase::Closed {
        Outcome::Success
    } else {
        Outcome::Unspecified
    };
    EndpointChange {
        offset,
        phase,
        outcome,
    }
}

fn lines(chunk: &Chunk) -> Vec<serde_json::Value> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(chunk.data.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

// Covers: R153, D14a
#[test]
fn an_endpoint_leaves_its_times_and_its_log_and_nothing_is_written_twice() {
    let mut collector = collector(1);
    let mut out = Vec::new();
    for (at, phase) in [
        (1_030, Phase::Initializing),
        (1_030, Phase::Initializing),
        (1_400, Phase::Incall),
        (1_300, Phase::Ringing),
        (21_400, Phase::Disconnecting),
        (21_500, Phase::Closed),
    ] {
        collector.changed(MonoMs(at), &[change(0, phase)], &mut out);
    }
    let [metrics, events] = &out[..] else {
        panic!("{} chunks", out.len())
    };
    assert!(metrics.last && events.last);
    assert_eq!(
        lines(metrics),
        [
            serde_json::json!({"at": 1_001_030, "group": "callers", "endpoint": 100, "start_lateness_ms": 30, "simulated": true}),
            serde_json::json!({"at": 1_001_400, "group": "callers", "endpoint": 100, "setup_time_ms": 370, "simulated": true}),
            serde_json::json!({"at": 1_021_400, "group": "callers", "endpoint": 100, "call_duration_ms": 20_000, "simulated": true}),
        ]
    );
    let phases: Vec<_> = lines(events)
        .into_iter()
        .map(|line| line["phase"].clone())
        .collect();
    assert_eq!(phases, ["INITIALIZING", "INCALL", "DISCONNECTING", "CLOSED"]);
    assert_eq!((events.first_at_ms, events.last_at_ms), (1_001_030, 1_021_500));
    collector.changed(MonoMs(22_000), &[change(0, Phase::Closed)], &mut out);
    collector.finish(MonoMs(22_000), &mut out);
    assert_eq!(out.len(), 2, "the end comes once");
}

/// Covers: R145.
#[test]
fn a_registered_endpoint_that_waits_for_its_slot_is_late_only_after_it_and_sets_up_no_longer() {
    let sip = SipOffer {
        register_before_ms: Some(100),
        ..SipOffer::default()
    };
    let mut collector = collector_of(1, Spec::Sip(sip));
    let mut out = Vec::new();
    // Its registration is due at 900, its call at 1,000.
    for (at, phase) in [
        (910, Phase::Initializing),
        (930, Phase::Registered),
        (1_003, Phase::Calling),
        (1_100, Phase::Incall),
    ] {
        collector.changed(MonoMs(at), &[change(0, phase)], &mut out);
    }
    collector.finish(MonoMs(2_000), &mut out);
    let rows = lines(&out[0]);
    let told = |metric: &str| {
        rows.iter()
            .filter_map(|row| row[metric].as_f64())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("start_lateness_ms"), [10.0]);
    assert_eq!(told("call_lateness_ms"), [3.0]);
    assert_eq!(
        told("setup_time_ms"),
        [20.0 + 97.0],
        "to register, and from the INVITE on"
    );
}

#[test]
fn an_endpoint_that_never_began_has_no_times() {
    let mut collector = collector(2);
    let mut out = Vec::new();
    collector.changed(
        MonoMs(1_000),
        &[change(0, Phase::Closed), change(1, Phase::Closed)],
        &mut out,
    );
    assert_eq!((out[0].rows, out[1].rows), (0, 2));
    assert_eq!(collector.live.take(&AssignmentKey::new("r", 3)).outcomes[0], 2);
}

/// Covers: R143, R158.
#[test]
fn responses_are_rows_and_are_counted_live_from_the_start_on() {
    let mut collector = collector_of(3, Spec::Sip(SipOffer::default()));
    let mut out = Vec::new();
    let answered = |offsets, names: &[&str]| Samples {
        at: MonoMs(2_000),
        metrics: Vec::new(),
        offsets,
        values: Vec::new(),
        responses: names.iter().map(|name| name.parse().unwrap()).collect(),
    };
    collector.sampled(&answered(vec![0, 1], &["INVITE 486"]), &mut out);
    let key = AssignmentKey::new("r", 3);
    let counts = |live: LiveAssignment| {
        let counts = live.responses.into_iter();
        counts.map(|one| (one.name, one.count)).collect::<Vec<_>>()
    };
    assert_eq!(counts(collector.live.take(&key)), [("INVITE 486".to_owned(), 2)]);
    collector.sampled(&answered(vec![2], &["REGISTER no response"]), &mut out);
    assert_eq!(
        counts(collector.live.take(&key)),
        [
            ("REGISTER no response".to_owned(), 1),
            ("INVITE 486".to_owned(), 2)
        ]
    );
    collector.finish(MonoMs(3_000), &mut out);
    let rows = lines(&out[0]);
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[2],
        serde_json::json!({"at": 1_002_000, "group": "callers", "endpoint": 102, "responses": ["REGISTER no response"]})
    );
}

#[test]
fn chunks_are_closed_after_five_seconds_and_ever_later_as_the_run_grows_old() {
    let mut collector = collector(100);
    let mut out = Vec::new();
    let mut closed = Vec::new();
    for second in 0..3_600 {
        let now = MonoMs(1_000 + second * 1_000);
        let samples = Samples {
            at: now,
            metrics: vec!["mos"],
            offsets: vec![0],
            values: vec![4_000],
            responses: Vec::new(),
        };
        collector.sampled(&samples, &mut out);
        collector.tick(now, &mut out);
        closed.extend(out.drain(..).map(|chunk| (chunk.kind, chunk.seq, second)));
    }
    assert_eq!(closed[0], (EvidenceKind::Metrics, 0, 5));
    assert!(
        closed.is_sorted() && closed.len() < 120,
        "{} chunks",
        closed.len()
    );
    let last: Vec<_> = closed.iter().rev().take(2).map(|(.., second)| *second).collect();
    assert!(last[0] - last[1] > 180, "{last:?}");
}

// Covers: R143
#[test]
fn a_second_counts_where_endpoints_are_and_what_was_measured_in_it() {
    let mut collector = collector(3);
    let (key, mut out) = (AssignmentKey::new("r", 3), Vec::new());
    let changes = [
        change(0, Phase::Initializing),
        change(1, Phase::Initializing),
        change(1, Phase::Incall),
    ];
    collector.changed(MonoMs(1_005), &changes, &mut out);
    let second = collector.live.take(&key);
    assert_eq!(second.phases, [2, 0, 0, 0, 0, 1, 0, 0]);
    let lateness = second
        .metrics
        .iter()
        .find(|metric| metric.metric == START_LATENESS)
        .unwrap();
    assert_eq!(
        (lateness.count, lateness.sum_milli, lateness.max_milli),
        (2, 10_000, 5_000)
    );
    let second = collector.live.take(&key);
    assert_eq!(second.phases, [2, 0, 0, 0, 0, 1, 0, 0]);
    assert!(second.metrics.is_empty());
}

fn message(seq: u32, bytes: &[u8]) -> TraceRow {
    TraceRow {
        offset: 0,
        at: MonoMs(1_020),
        what: TraceItem::Message {
            message: Message {
                seq,
                wall_ns: 77,
                since: Duration::from_micros(20_500),
                way: Way::Received,
                local: "10.0.0.1:5060".parse().unwrap(),
                remote: "[::1]:5070".parse().unwrap(),
                transport: Transport::Udp,
                bytes: bytes.to_vec(),
                truncated: false,
                repeats: Some(1),
            },
            redacted: true,
        },
    }
}

fn traced(rows: Vec<TraceRow>) -> Traced {
    Traced {
        at: MonoMs(1_030),
        rows: rows.into(),
    }
}

/// Covers: R154.
#[test]
fn sip_endpoints_leave_their_messages_and_why_they_ended() {
    let mut collector = collector_of(1, Spec::Sip(SipOffer::default()));
    let mut out = Vec::new();
    let ending = TraceRow {
        offset: 0,
        at: MonoMs(1_025),
        what: TraceItem::Ending {
            detail: "INVITE: \"486\"".to_owned(),
            code: Some(486),
            dropped: 0,
        },
    };
    let stranger = TraceRow {
        offset: 1,
        ..ending.clone()
    };
    collector.dropped(EvidenceKind::Trace, 4);
    collector.traced(&traced(vec![message(2, b"BYE"), ending, stranger]), &mut out);
    collector.changed(MonoMs(1_040), &[change(0, Phase::Closed)], &mut out);
    collector.traced(&traced(vec![message(3, b"too late")]), &mut out);
    let kinds: Vec<_> = out
        .iter()
        .map(|chunk| (chunk.kind, chunk.last, chunk.streams))
        .collect();
    let all = [EvidenceKind::Metrics, EvidenceKind::Events, EvidenceKind::Trace];
    assert_eq!(kinds, all.map(|kind| (kind, true, 3)));
    assert_eq!((out[2].rows, out[2].dropped), (2, 4));
    assert_eq!(
        lines(&out[2]),
        [
            serde_json::json!({"at": 1_001_020, "group": "callers", "endpoint": 100, "seq": 2, "us": 20_500, "wall_ns": 77,
                "way": "received", "local": "10.0.0.1:5060", "remote": "[::1]:5070", "transport": "udp", "repeats": 1,
                "redacted": true, "raw": "QllF"}),
            serde_json::json!({"at": 1_001_025, "group": "callers", "endpoint": 100, "detail": "INVITE: \"486\"", "code": 486}),
        ]
    );
}

#[test]
fn a_trace_chunk_is_closed_before_it_exceeds_what_a_node_takes() {
    let mut collector = collector_of(1, Spec::Sip(SipOffer::default()));
    let mut out = Vec::new();
    let mut draw = 1u64;
    for seq in 0..200 {
        let noise = |_| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (draw >> 56) as u8
        };
        let bytes: Vec<u8> = (0..64 * 1024).map(noise).collect();
        collector.traced(&traced(vec![message(seq, &bytes)]), &mut out);
    }
    collector.finish(MonoMs(2_000), &mut out);
    let rows: u64 = out.iter().map(|chunk| chunk.rows).sum();
    assert_eq!(rows, 200);
    let largest = out.iter().map(|chunk| chunk.data.len()).max().unwrap();
    assert!((1 << 20..2 << 20).contains(&largest), "{largest} bytes");
}

#[test]
fn simulated_endpoints_leave_no_trace() {
    let mut collector = collector(1);
    let mut out = Vec::new();
    collector.traced(&traced(vec![message(0, b"BYE")]), &mut out);
    collector.finish(MonoMs(2_000), &mut out);
    assert!(
        out.iter()
            .all(|chunk| chunk.kind != EvidenceKind::Trace && chunk.streams == 2)
    );
}
