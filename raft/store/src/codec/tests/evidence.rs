//! Evidence: commands and rows.

use super::*;

fn metrics() -> BTreeMap<String, Aggregate> {
    let aggregate = Aggregate {
        count: 3,
        min_milli: -1,
        mean_milli: 1_500,
        p50_milli: 2,
        p95_milli: 3,
        p99_milli: 4,
        max_milli: 5_000,
    };
    BTreeMap::from([
        ("mos".to_owned(), aggregate),
        ("setup_time_ms".to_owned(), Aggregate::one(7)),
    ])
}

fn responses() -> BTreeMap<String, u64> {
    BTreeMap::from([("INVITE 486".to_owned(), 12)])
}

fn groups() -> Vec<GroupFigures> {
    vec![GroupFigures {
        group: "callers".to_owned(),
        metrics: metrics(),
        responses: responses(),
    }]
}

pub(super) fn evidence_commands() -> Vec<Command> {
    vec![
        Command::RecordChunk(RecordChunk {
            run: run(),
            epoch: AssignmentEpoch(5),
            worker: worker(),
            kind: EvidenceKind::Events,
            seq: 6,
            node: NodeId(2),
            path: "runs/x/4/events-6.jsonl.gz".to_owned(),
            rows: 100,
            bytes: 2_000,
            sha256: [10; 32],
            first_at: Time(11),
            last_at: Time(12),
            last: true,
            dropped: 13,
        }),
        Command::PurgeRun(PurgeRun {
            run: run(),
            retention: Millis(2_592_000_000),
        }),
        Command::RecordSummary(RecordSummary {
            run: run(),
            metrics: metrics(),
            complete: true,
            missing: "nothing".to_owned(),
            responses: BTreeMap::new(),
            groups: Vec::new(),
        }),
    ]
}

pub(super) fn evidence_rows() -> Vec<Row> {
    let key = |kind| ManifestKey {
        assignment: AssignmentKey {
            run: run(),
            ordinal: 4,
        },
        kind,
        seq: 6,
    };
    let manifest = |kind| {
        Row::Manifest(Arc::new(Manifest {
            key: key(kind),
            node: NodeId(2),
            path: "runs/x/4/events-6.jsonl.gz".to_owned(),
            rows: 100,
            bytes: 2_000,
            sha256: [10; 32],
            first_at: Time(11),
            last_at: Time(12),
            last: true,
            dropped: 13,
            late: true,
            recorded_at: Time(14),
            revision: Revision(15),
        }))
    };
    vec![
        manifest(EvidenceKind::Metrics),
        manifest(EvidenceKind::Events),
        manifest(EvidenceKind::Trace),
        Row::Summary(Arc::new(RunSummary {
            run: run(),
            metrics: metrics(),
            complete: true,
            missing: "nothing".to_owned(),
            responses: responses(),
            groups: groups(),
            at: Time(16),
            revision: Revision(17),
        })),
    ]
}

#[test]
fn scripted_quality_comes_back_and_adds_no_bytes_where_there_is_none() {
    let span = |min_milli, max_milli| Some(Span { min_milli, max_milli });
    let plain = SimExecutor {
        setup_min: Millis(10),
        setup_max: Millis(20),
        outcomes: Vec::new(),
        quality: None,
    };
    assert_eq!(hex(&plain.to_proto().encode_to_vec()), "080a1014");
    let full = SimQuality {
        mos: span(3_800, 4_400),
        jitter_ms: span(0, 20_000),
        rtt_ms: span(1, 1),
        fraction_lost: span(0, 2),
    };
    for quality in [
        full,
        SimQuality::default(),
        SimQuality {
            jitter_ms: None,
            ..full
        },
    ] {
        let sim = SimExecutor {
            quality: Some(quality),
            ..plain.clone()
        };
        assert_eq!(SimExecutor::from_proto(sim.to_proto()).unwrap(), sim);
    }
}

#[test]
fn a_summary_of_before_has_neither_responses_nor_groups_and_one_of_now_comes_back() {
    let before = RecordSummary {
        run: run(),
        metrics: metrics(),
        complete: true,
        missing: String::new(),
        responses: BTreeMap::new(),
        groups: Vec::new(),
    };
    let now = RecordSummary {
        responses: responses(),
        groups: groups(),
        ..before.clone()
    };
    for summary in [before, now] {
        assert_eq!(RecordSummary::from_proto(summary.to_proto()).unwrap(), summary);
    }
}
