//! Probes: commands, refusals and rows.

use reeve_state::schedule::{Cron, Interval, Schedule};
use reeve_state::transition::probe::{ProbeHealth, ProbeStatus};

use super::*;

fn probe() -> ProbeId {
    ProbeId::from_bytes([20; 16])
}

fn thresholds() -> Vec<Threshold> {
    let both = [None, Some(-5), Some(2_500)];
    let directions = Direction::ALL.into_iter().cycle();
    Statistic::ALL
        .into_iter()
        .zip(directions)
        .zip(both.into_iter().cycle())
        .map(|((statistic, direction), limit)| Threshold {
            metric: "mos".to_owned(),
            statistic,
            direction,
            warning: limit,
            critical: Some(0),
        })
        .collect()
}

fn results() -> Vec<MetricResult> {
    let values = [Some(-1), None, Some(4_100), Some(0)];
    ProbeStatus::ALL
        .into_iter()
        .zip(values)
        .map(|(status, value)| MetricResult {
            metric: "rtt_ms".to_owned(),
            statistic: Statistic::P99,
            value,
            status,
        })
        .collect()
}

fn definition(schedule: Schedule) -> Arc<ProbeDefinition> {
    Arc::new(ProbeDefinition {
        name: "fra".to_owned(),
        test: test(),
        schedule,
        thresholds: thresholds(),
    })
}

fn hourly() -> Schedule {
    Schedule::Cron(Cron::parse("0 * * * MON-FRI").unwrap())
}

fn put(schedule: Schedule, mode: ProbeMode) -> Command {
    Command::PutProbe(PutProbe {
        id: probe(),
        project: ProjectName::from("blue"),
        definition: definition(schedule),
        mode,
    })
}

pub(super) fn probe_commands() -> Vec<Command> {
    vec![
        put(hourly(), ProbeMode::CreateOrUpdate),
        Command::DeleteProbe(DeleteProbe { probe: probe() }),
        Command::PauseProbe(PauseProbe {
            probe: probe(),
            paused: true,
        }),
        Command::FireProbe(FireProbe {
            probe: probe(),
            slot: Time(300_000),
            run: run(),
            revision: Revision(9),
        }),
        Command::SkipSlot(SkipSlot {
            probe: probe(),
            slot: Time(600_000),
            reason: SkipReason::Missed,
            count: 40,
        }),
        Command::EvaluateProbe(EvaluateProbe {
            probe: probe(),
            slot: Time(300_000),
        }),
    ]
}

pub(super) fn probe_refusals() -> Vec<Refusal> {
    vec![
        Refusal::TestProbed {
            id: "x".to_owned(),
            probe: "fra".to_owned(),
        },
        Refusal::SlotNotOpen {
            probe: probe(),
            slot: Time(1),
            cursor: Time(2),
        },
        Refusal::NotFound {
            kind: ObjectKind::Probe,
            id: "x".to_owned(),
        },
    ]
}

fn slot(run: Option<RunId>, skipped: Option<SkipReason>, end: Option<SlotEnd>) -> ProbeSlot {
    let at = skipped.map_or(1, |reason| reason as u64 + 2) + u64::from(end.is_some()) * 10;
    ProbeSlot {
        key: ProbeSlotKey {
            probe: probe(),
            slot: Time(at),
        },
        at: Time(301_000),
        run,
        skipped,
        count: 7,
        end,
        revision: Revision(25),
    }
}

pub(super) fn probe_rows() -> Vec<Row> {
    let full = Probe {
        id: probe(),
        project: ProjectName::from("blue"),
        definition: definition(Schedule::Every(Interval::Fifteen)),
        paused_at: Some(Time(0)),
        health: ProbeHealth::restore(
            ProbeStatus::Unhealthy,
            Time(1),
            "rtt".to_owned(),
            results(),
            Some(Time(0)),
        )
        .unwrap(),
        cursor: Time(300_000),
        open: Some(OpenSlot {
            slot: Time(300_000),
            run: run(),
        }),
        last_slot: Some(Time(0)),
        last_run: Some(run()),
        slots: 3,
        created_at: Time(20),
        updated_at: Time(21),
        created_by: Some(key()),
        revision: Revision(22),
    };
    let fresh = Probe {
        id: ProbeId::from_bytes([21; 16]),
        definition: definition(hourly()),
        paused_at: None,
        health: ProbeHealth::begin(Time(5)),
        open: None,
        last_slot: None,
        last_run: None,
        created_by: None,
        ..full.clone()
    };
    let end = |status, reason| SlotEnd {
        at: Time(302_000),
        status,
        reason,
        endpoints: 10,
        errors: 1,
        results: results(),
        health: ProbeStatus::Degraded,
    };
    let busy = end(Some(RunStatus::CannotRunForNow), Some(RunReasonCode::WorkersBusy));
    let slots = [
        slot(Some(run()), None, Some(busy)),
        slot(None, Some(SkipReason::PreviousStillRunning), None),
        slot(None, Some(SkipReason::Missed), None),
        slot(Some(run()), None, None),
    ];
    let probes = [full, fresh].map(|row| Row::Probe(Arc::new(row)));
    let slots = slots.map(|row| Row::ProbeSlot(Arc::new(row)));
    probes.into_iter().chain(slots).collect()
}

#[test]
fn every_schedule_and_mode_comes_back() {
    let every = Interval::ALL.map(Schedule::Every);
    for schedule in every.into_iter().chain([hourly()]) {
        for mode in [ProbeMode::Create, ProbeMode::CreateOrUpdate, ProbeMode::Update] {
            let envelope = envelope(put(schedule.clone(), mode));
            assert_eq!(decode_envelope(&encode_envelope(&envelope)).unwrap(), envelope);
        }
    }
}

#[test]
fn a_schedule_that_is_none_is_refused() {
    use wire::probe_definition::Schedule as Kind;
    for kind in [
        None,
        Some(Kind::EveryMinutes(7)),
        Some(Kind::Cron("61 * * * *".to_owned())),
        Some(Kind::Cron("0  * * * *".to_owned())),
    ] {
        let mut proto = definition(hourly()).to_proto();
        proto.schedule = kind.clone();
        let proto = wire::Envelope {
            command: Some(wire::envelope::Command::PutProbe(wire::PutProbe {
                id: id_bytes(probe().as_bytes()),
                project: "p".to_owned(),
                definition: Some(proto),
                mode: 1,
            })),
            ..wire::Envelope::default()
        };
        assert!(
            decode_envelope(&Bytes::from(proto.encode_to_vec())).is_err(),
            "{kind:?}"
        );
    }
}

#[test]
fn health_that_its_results_do_not_say_is_refused() {
    let Row::Probe(row) = probe_rows().swap_remove(0) else {
        panic!("a probe");
    };
    let mut proto = row.to_proto();
    if let Some(health) = &mut proto.health {
        health.status = ProbeStatus::Healthy.number();
    }
    assert!(Probe::from_proto(proto).is_err());
}

#[test]
fn slots_lie_in_order() {
    let key = |ms: u64| {
        let row = ProbeSlot {
            key: ProbeSlotKey {
                probe: probe(),
                slot: Time(ms),
            },
            ..slot(None, Some(SkipReason::Missed), None)
        };
        key_of(&Row::ProbeSlot(Arc::new(row)))
    };
    assert!(key(255) < key(256) && key(256) < key(1 << 40));
}
