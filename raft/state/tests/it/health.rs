//! The health of a probe: by thresholds, by the worst metric, and by how runs end. Covers: R219, R220, R221, R234

use std::collections::BTreeMap;

use reeve_state::transition::probe::ProbeStatus;

use reeve_state::command::*;
use reeve_state::record::*;
use reeve_state::transition::run::RunStatus;

use crate::world::probes::*;
use crate::world::*;
use ProbeStatus as S;

fn aggregate(mean_milli: i64) -> Aggregate {
    Aggregate {
        count: 100,
        min_milli: mean_milli - 3,
        mean_milli,
        p50_milli: mean_milli - 1,
        p95_milli: mean_milli + 2,
        p99_milli: mean_milli + 3,
        max_milli: mean_milli + 4,
    }
}

fn judged(threshold: &Threshold, milli: i64) -> S {
    let metrics = BTreeMap::from([(threshold.metric.clone(), aggregate(milli))]);
    evaluate(std::slice::from_ref(threshold), |metric| metrics.get(metric))[0].status
}

// Covers: R230, R231, R232
#[test]
fn a_metric_is_as_its_limits_say_and_what_is_at_a_limit_does_not_breach_it() {
    let mos = threshold("mos", Some(3_500), Some(2_500));
    let jitter = threshold("jitter_ms", Some(30_000), Some(80_000));
    let warns = threshold("rtt_ms", Some(100_000), None);
    let fails = threshold("success_rate", None, Some(95_000));
    let table = [
        // The examples of the source.
        (&mos, 4_100, S::Healthy),
        (&mos, 3_200, S::Degraded),
        (&mos, 2_100, S::Unhealthy),
        // The boundaries.
        (&mos, 3_500, S::Healthy),
        (&mos, 3_499, S::Degraded),
        (&mos, 2_500, S::Degraded),
        (&mos, 2_499, S::Unhealthy),
        (&jitter, 30_000, S::Healthy),
        (&jitter, 30_001, S::Degraded),
        (&jitter, 80_000, S::Degraded),
        (&jitter, 80_001, S::Unhealthy),
        // One limit only.
        (&warns, i64::MAX - 10, S::Degraded),
        (&warns, 100_000, S::Healthy),
        (&fails, 95_000, S::Healthy),
        (&fails, 94_999, S::Unhealthy),
    ];
    for (threshold, value, expected) in table {
        assert_eq!(judged(threshold, value), expected, "{} {value}", threshold.metric);
    }
}

#[test]
fn the_statistic_that_was_asked_for_is_measured() {
    let table = [
        (Statistic::Min, 997),
        (Statistic::P50, 999),
        (Statistic::Mean, 1_000),
        (Statistic::P95, 1_002),
        (Statistic::P99, 1_003),
        (Statistic::Max, 1_004),
    ];
    for (statistic, value) in table {
        assert_eq!(statistic.of(&aggregate(1_000)), value, "{statistic:?}");
    }
    assert_eq!(table.len(), Statistic::ALL.len());
}

#[test]
fn directions_are_those_of_the_metrics() {
    let higher: Vec<&str> = measurable()
        .filter(|metric| Direction::of(metric) == Direction::HigherIsBetter)
        .collect();
    assert_eq!(higher, ["mos", "success_rate"]);
    assert_eq!(Direction::of("whatever"), Direction::LowerIsBetter);
}

/// Every pair of metrics: the worst is the probe's, and what was not measured is never HEALTHY.
#[test]
fn the_worst_metric_is_the_probes_health() {
    let worst = |one: S, other: S| match (one, other) {
        (S::Unhealthy, _) | (_, S::Unhealthy) => S::Unhealthy,
        (S::Degraded, _) | (_, S::Degraded) => S::Degraded,
        (S::Unknown, _) | (_, S::Unknown) => S::Unknown,
        (S::Healthy, S::Healthy) => S::Healthy,
    };
    for one in S::ALL {
        for other in S::ALL {
            assert_eq!(S::worst([one, other]), worst(one, other), "{one} and {other}");
        }
    }
    assert_eq!(
        S::worst([]),
        S::Healthy,
        "a run that completed, of which nothing was asked"
    );
}

#[test]
fn a_metric_that_was_not_measured_is_unknown() {
    let thresholds = [
        threshold("mos", Some(3_500), None),
        threshold("rtt_ms", Some(1), None),
    ];
    let empty = Aggregate {
        count: 0,
        ..aggregate(9_000)
    };
    let metrics = BTreeMap::from([("rtt_ms".to_owned(), empty)]);
    let results = evaluate(&thresholds, |metric| metrics.get(metric));
    for result in results {
        assert_eq!(
            (result.value, result.status),
            (None, S::Unknown),
            "{}",
            result.metric
        );
    }
}

/// The last run ended so.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Completed(u32),
    Failed,
    CannotRun,
}

fn ended(world: &mut World, run: u8, end: End) -> S {
    let slot = world.fired(1, run);
    match end {
        End::Completed(errors) => world.completed_with(run, errors),
        End::Failed => world.failed(run),
        End::CannotRun => world.rejected(run),
    }
    world.ok(evaluate_probe(1, slot));
    world.probe_status(1)
}

/// DEGRADED below 95 %, UNHEALTHY below 50 %: of ten endpoints, from one error and from six.
fn measured() -> World {
    World::with_thresholds(vec![threshold("success_rate", Some(95_000), Some(50_000))])
}

// Covers: R222, R223, D14b
#[test]
fn every_end_from_every_health() {
    let ways: [(&[End], S); 4] = [
        (&[], S::Unknown),
        (&[End::Completed(0)], S::Healthy),
        (&[End::Completed(1)], S::Degraded),
        (&[End::Completed(6)], S::Unhealthy),
    ];
    for (way, from) in ways {
        for end in [
            End::Completed(0),
            End::Completed(5),
            End::Completed(10),
            End::Failed,
            End::CannotRun,
        ] {
            let mut world = measured();
            for (run, earlier) in (10..).zip(way) {
                ended(&mut world, run, *earlier);
            }
            assert_eq!(world.probe_status(1), from);
            let since = world.probe(1).health.since();
            let to = match end {
                End::Completed(0) => S::Healthy,
                End::Completed(5) => S::Degraded,
                End::Completed(_) => S::Unhealthy,
                End::Failed => S::Unknown,
                End::CannotRun => from,
            };
            assert_eq!(ended(&mut world, 1, end), to, "{from}, then {end:?}");
            let changed = world.probe(1).health.since() != since;
            assert_eq!(changed, from != to, "since when, {from} to {to}");
            // Whatever happened, the schedule goes on (R219, R220), and the slot tells it.
            let slot = world.slots(1).pop().unwrap();
            let told = slot.end.clone().unwrap();
            assert_eq!((told.health, told.endpoints), (to, 10));
            let (status, errors) = match end {
                End::Completed(errors) => (RunStatus::Completed, errors),
                End::Failed => (RunStatus::Failed, 10),
                End::CannotRun => (RunStatus::CannotRunForNow, 0),
            };
            assert_eq!((told.status, told.errors), (Some(status), errors));
            assert_eq!(told.results.len(), usize::from(status == RunStatus::Completed));
            world.fired(1, 2);
        }
    }
}

#[test]
fn health_says_why() {
    let mut world = measured();
    let reason = |world: &World| world.probe(1).health.reason().to_owned();
    assert_eq!(reason(&world), "it has not run yet");
    ended(&mut world, 1, End::Completed(0));
    assert_eq!(reason(&world), "every metric is within its limits");
    ended(&mut world, 2, End::Completed(1));
    assert_eq!(reason(&world), "success_rate mean is 90");
    ended(&mut world, 3, End::Failed);
    assert!(
        reason(&world).starts_with("the last run FAILED: "),
        "{}",
        reason(&world)
    );
    assert!(world.probe(1).health.results().is_empty());
    ended(&mut world, 4, End::CannotRun);
    assert!(
        reason(&world).starts_with("the last run FAILED: "),
        "unchanged (D14b)"
    );
    let mut world = World::with_thresholds(vec![threshold("mos", Some(3_500), None)]);
    assert_eq!(ended(&mut world, 1, End::Completed(0)), S::Unknown);
    assert_eq!(reason(&world), "mos was not measured");
    let mut world = World::with_probe();
    assert_eq!(ended(&mut world, 1, End::Completed(10)), S::Healthy);
    assert_eq!(reason(&world), "the run completed, and no thresholds are set");
}

#[test]
fn new_thresholds_are_measured_with_the_next_execution() {
    let mut world = measured();
    ended(&mut world, 1, End::Completed(1));
    let lenient = ProbeDefinition {
        thresholds: vec![threshold("success_rate", Some(80_000), None)],
        ..probe_definition(1)
    };
    world.ok(put_probe(1, lenient, ProbeMode::Update));
    assert_eq!(world.probe_status(1), S::Degraded);
    assert_eq!(ended(&mut world, 2, End::Completed(1)), S::Healthy);
}

#[test]
fn thousandths_are_written_as_people_do() {
    for (milli, text) in [
        (0, "0"),
        (3_500, "3.5"),
        (-250, "-0.25"),
        (800_000, "800"),
        (1, "0.001"),
        (100_010, "100.01"),
    ] {
        assert_eq!(Thousandths(milli).to_string(), text);
    }
}
