//! Probes: their slots, each with one run, and their health. Covers: R218, R219, R220, R228, R229

use reeve_state::schedule::Interval;
use reeve_state::transition::probe::ProbeStatus;

use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;

use crate::world::probes::*;
use crate::world::*;

const RUNNING_STILL: SkipReason = SkipReason::PreviousStillRunning;

fn rules(refusal: Refusal) -> Vec<(String, String)> {
    match refusal {
        Refusal::Invalid { violations } => violations.into_iter().map(|v| (v.field, v.rule)).collect(),
        other => panic!("{other:?}"),
    }
}

// Covers: R233
#[test]
fn a_probe_begins_unknown_and_waits_for_its_first_slot() {
    let mut world = World::with_probe();
    let probe = world.probe(1);
    assert_eq!(probe.health.status(), ProbeStatus::Unknown);
    assert_eq!((probe.last_slot, probe.last_run, probe.open), (None, None, None));
    let slot = world.next_slot(1);
    assert!(slot > probe.created_at && slot.since(probe.created_at).0 <= 5 * MINUTE);
    // The same again is refused, and applied once more changes nothing.
    assert!(matches!(
        world.refused(create_probe(1)),
        Refusal::AlreadyExists {
            kind: ObjectKind::Probe,
            ..
        }
    ));
    let before = world.state.meta().revision;
    world.ok(put_probe(9, probe_definition(1), ProbeMode::CreateOrUpdate));
    assert_eq!(world.state.meta().revision, before);
    assert!(world.state.probe(probe_id(9)).is_none());
}

#[test]
fn a_slot_fires_a_run_of_the_probes_test() {
    let mut world = World::with_probe();
    let slot = world.fired(1, 7);
    let run = world.run(7);
    assert_eq!(run.probe, Some(probe_id(1)));
    assert_eq!((run.test, run.definition.name.as_str()), (test_id(1), "smoke"));
    assert_eq!(world.status(7), RunStatus::Pending);
    let probe = world.probe(1);
    assert_eq!((probe.last_slot, probe.last_run), (Some(slot), Some(run_id(7))));
    assert_eq!(probe.open, Some(OpenSlot { slot, run: run_id(7) }));
    let slots = world.slots(1);
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].key.slot, slots[0].run), (slot, Some(run_id(7))));
    assert_eq!(world.next_slot(1).since(slot).0, 5 * MINUTE);
}

#[test]
fn a_slot_has_one_run_whoever_fires_it_and_however_often() {
    let mut world = World::with_probe();
    let slot = world.until_slot(1);
    // Two leaders planned the same slot from the same state.
    let (one, other) = (world.fire(1, slot, 7), world.fire(1, slot, 8));
    world.ok(one.clone());
    for late in [one, other, world.fire(1, slot, 9)] {
        assert!(matches!(world.refused(late), Refusal::SlotNotOpen { .. }));
    }
    world.completed_with(7, 0);
    world.ok(evaluate_probe(1, slot));
    let again = world.fire(1, slot, 9);
    assert!(matches!(world.refused(again), Refusal::SlotNotOpen { .. }));
    assert_eq!(world.state.runs().count(), 1);
}

#[test]
fn only_a_slot_of_the_schedule_that_has_come_fires() {
    let mut world = World::with_probe();
    let slot = world.next_slot(1);
    // Not yet.
    assert!(matches!(
        world.refused(world.fire(1, slot, 7)),
        Refusal::SlotNotOpen { .. }
    ));
    world.until_slot(1);
    let beside = Time(slot.0 - 1);
    assert!(matches!(
        world.refused(world.fire(1, beside, 7)),
        Refusal::SlotNotOpen { .. }
    ));
    let stale = world.fire(1, slot, 7);
    let definition = ProbeDefinition {
        thresholds: vec![threshold("mos", Some(3_500), None)],
        ..probe_definition(1)
    };
    world.ok(put_probe(1, definition, ProbeMode::Update));
    assert!(matches!(
        world.refused(stale),
        Refusal::Stale {
            kind: ObjectKind::Probe,
            ..
        }
    ));
    world.ok(world.fire(1, slot, 7));
}

#[test]
fn a_slot_does_not_fire_beside_a_run_that_is_not_over() {
    let mut world = World::with_probe();
    let first = world.fired(1, 7);
    let second = world.until_slot(1);
    assert!(matches!(
        world.refused(world.fire(1, second, 8)),
        Refusal::NotYet { .. }
    ));
    world.ok(skip_slot(1, second, RUNNING_STILL, 1));
    let slots = world.slots(1);
    assert_eq!((slots[1].run, slots[1].skipped), (None, Some(RUNNING_STILL)));
    // The first is still measured when it ends.
    assert!(matches!(
        world.refused(evaluate_probe(1, first)),
        Refusal::NotYet { .. }
    ));
    world.completed_with(7, 0);
    assert!(matches!(
        world.refused(evaluate_probe(1, second)),
        Refusal::SlotNotOpen { .. }
    ));
    world.ok(evaluate_probe(1, first));
    assert_eq!(world.probe_status(1), ProbeStatus::Healthy);
    assert!(matches!(
        world.refused(evaluate_probe(1, first)),
        Refusal::SlotNotOpen { .. }
    ));
    world.fired(1, 8);
}

#[test]
fn many_slots_that_were_missed_may_have_one_row() {
    let mut world = World::with_probe();
    let first = world.next_slot(1);
    world.now = first.0 + 40 * 5 * MINUTE;
    let last = Time(first.0 + 39 * 5 * MINUTE);
    world.ok(skip_slot(1, last, SkipReason::Missed, 40));
    let slots = world.slots(1);
    assert_eq!((slots.len(), slots[0].count, slots[0].key.slot), (1, 40, last));
    assert!(matches!(
        world.refused(skip_slot(1, first, SkipReason::Missed, 1)),
        Refusal::SlotNotOpen { .. }
    ));
}

#[test]
fn the_last_two_hundred_slots_are_kept_in_order() {
    let mut world = World::with_probe();
    let open = world.fired(1, 7);
    for _ in 0..KEPT_SLOTS + 5 {
        let slot = world.until_slot(1);
        world.ok(skip_slot(1, slot, RUNNING_STILL, 1));
    }
    let slots = world.slots(1);
    assert_eq!(slots.len(), KEPT_SLOTS);
    assert!(slots.windows(2).all(|pair| pair[0].key.slot < pair[1].key.slot));
    assert_eq!(world.probe(1).slots, KEPT_SLOTS as u64 + 6);
    // The row of its run is forgotten, the run is measured all the same.
    world.completed_with(7, 0);
    world.ok(evaluate_probe(1, open));
    assert_eq!(world.probe_status(1), ProbeStatus::Healthy);
}

#[test]
fn a_paused_probe_does_not_fire_and_goes_on_without_making_up() {
    let mut world = World::with_probe();
    let open = world.fired(1, 7);
    world.ok(pause_probe(1, true));
    let paused = world.probe(1);
    assert!(paused.paused_at.is_some() && paused.next_slot().is_none());
    assert!(!world.state.due_probes().any(|(_, id)| id == probe_id(1)));
    // What runs is still measured.
    world.completed_with(7, 0);
    world.ok(evaluate_probe(1, open));
    assert_eq!(world.probe_status(1), ProbeStatus::Healthy);
    let slot = Time(open.0 + 5 * MINUTE);
    world.now = slot.0 + 100 * MINUTE;
    assert!(matches!(
        world.refused(world.fire(1, slot, 8)),
        Refusal::WrongStatus {
            kind: ObjectKind::Probe,
            ..
        }
    ));
    let before = world.state.meta().revision;
    world.ok(pause_probe(1, true));
    assert_eq!(world.state.meta().revision, before, "pausing twice");
    world.ok(pause_probe(1, false));
    assert!(world.next_slot(1) > Time(world.now), "nothing is made up for");
    assert_eq!(world.slots(1).len(), 1);
}

#[test]
fn a_new_schedule_begins_now_and_other_changes_move_no_slot() {
    let mut world = World::with_probe();
    let slot = world.next_slot(1);
    let renamed = ProbeDefinition {
        name: "renamed".to_owned(),
        ..probe_definition(1)
    };
    world.ok(put_probe(1, renamed.clone(), ProbeMode::Update));
    assert_eq!(world.next_slot(1), slot);
    assert!(world.state.probe_named(&ProjectName::default(), "p1").is_none());
    assert!(
        world
            .state
            .probe_named(&ProjectName::default(), "renamed")
            .is_some()
    );
    world.now = slot.0 + 90 * MINUTE;
    let hourly = ProbeDefinition {
        schedule: cron("0 * * * *"),
        ..renamed
    };
    world.ok(put_probe(1, hourly, ProbeMode::Update));
    let next = world.next_slot(1);
    assert!(next.0 > world.now && next.0.is_multiple_of(60 * MINUTE));
    // A cron slot is due a little later, at a time of the probe's own.
    let due = world.probe(1).next_due().unwrap();
    assert!(due >= next && due.since(next).0 < 30_000);
}

#[test]
fn a_probe_goes_with_its_slots_and_leaves_its_runs() {
    let mut world = World::with_probe();
    let slot = world.fired(1, 7);
    world.ok(delete_probe(1));
    assert_eq!((world.state.probes().count(), world.slots(1).len()), (0, 0));
    assert_eq!(world.run(7).probe, Some(probe_id(1)));
    world.completed_with(7, 0);
    assert!(matches!(
        world.refused(evaluate_probe(1, slot)),
        Refusal::NotFound { .. }
    ));
    assert!(matches!(
        world.refused(delete_probe(1)),
        Refusal::NotFound {
            kind: ObjectKind::Probe,
            ..
        }
    ));
    // Its name is free.
    world.ok(put_probe(2, probe_definition(1), ProbeMode::Create));
}

#[test]
fn a_test_that_a_probe_runs_is_not_deleted() {
    let mut world = World::with_probe();
    let delete = Command::DeleteTest(DeleteTest { test: test_id(1) });
    let refusal = world.refused(delete.clone());
    assert!(
        matches!(&refusal, Refusal::TestProbed { probe, .. } if probe == "p1"),
        "{refusal:?}"
    );
    assert!(refusal.to_string().contains("\"p1\""), "{refusal}");
    world.ok(delete_probe(1));
    world.ok(delete);
}

#[test]
fn names_are_unique_and_the_test_has_to_be_there() {
    let mut world = World::with_probe();
    world.ok(create_probe(2));
    let taken = ProbeDefinition {
        name: "p1".to_owned(),
        ..probe_definition(2)
    };
    let update = put_probe(2, taken, ProbeMode::Update);
    assert!(matches!(world.refused(update), Refusal::AlreadyExists { .. }));
    let unknown = put_probe(5, probe_definition(5), ProbeMode::Update);
    assert!(matches!(
        world.refused(unknown),
        Refusal::NotFound {
            kind: ObjectKind::Probe,
            ..
        }
    ));
    let nothing = ProbeDefinition {
        test: test_id(9),
        ..probe_definition(3)
    };
    let create = put_probe(3, nothing, ProbeMode::Create);
    assert!(matches!(
        world.refused(create),
        Refusal::NotFound {
            kind: ObjectKind::Test,
            ..
        }
    ));
    let elsewhere = Command::PutProbe(PutProbe {
        id: probe_id(3),
        project: ProjectName::from("other"),
        definition: std::sync::Arc::new(probe_definition(3)),
        mode: ProbeMode::Create,
    });
    // What is of another project does not exist for it.
    assert!(matches!(
        world.refused(elsewhere),
        Refusal::NotFound {
            kind: ObjectKind::Test,
            ..
        }
    ));
}

#[test]
fn every_rule_of_a_definition_is_named_at_once() {
    type Case = (fn(&mut ProbeDefinition), &'static str, &'static str);
    let cases: [Case; 10] = [
        (|d| d.name.clear(), "name", "must not be empty"),
        (|d| d.name = "x".repeat(129), "name", "at most 128 bytes"),
        (
            |d| d.thresholds = vec![threshold("mos", None, Some(1)); 33],
            "thresholds",
            "at most 32",
        ),
        (
            |d| d.thresholds = vec![threshold("moss", Some(1), None)],
            "thresholds[0].metric",
            "must be one of",
        ),
        (
            |d| d.thresholds = vec![threshold("mos", None, None)],
            "thresholds[0]",
            "warning, critical or both",
        ),
        (
            |d| d.thresholds = vec![threshold("mos", Some(2_500), Some(3_500))],
            "thresholds[0].critical",
            "worse than the warning, 2.5; the metric is HIGHER_IS_BETTER",
        ),
        (
            |d| d.thresholds = vec![threshold("mos", Some(2_500), Some(2_500))],
            "thresholds[0].critical",
            "worse than the warning",
        ),
        (
            |d| d.thresholds = vec![threshold("jitter_ms", Some(80_000), Some(30_000))],
            "thresholds[0].critical",
            "worse than the warning, 80; the metric is LOWER_IS_BETTER",
        ),
        (
            |d| d.thresholds = vec![threshold("rtt_ms", Some(i64::MIN), None)],
            "thresholds[0].warning",
            "must be from",
        ),
        (
            |d| d.thresholds = vec![threshold("mos", Some(1), None), threshold("mos", Some(2), None)],
            "thresholds[1]",
            "has a threshold already",
        ),
    ];
    for (edit, field, words) in cases {
        let mut world = World::with_probe();
        let mut definition = probe_definition(2);
        edit(&mut definition);
        let found = rules(world.refused(put_probe(2, definition, ProbeMode::Create)));
        assert!(
            found.iter().any(|(at, rule)| at == field && rule.contains(words)),
            "{field} {words}: {found:?}"
        );
    }
    let all = ProbeDefinition {
        name: String::new(),
        schedule: every(Interval::Sixty),
        thresholds: vec![threshold("x", Some(1), None), threshold("mos", None, None)],
        ..probe_definition(2)
    };
    assert_eq!(
        rules(World::with_probe().refused(put_probe(2, all, ProbeMode::Create))).len(),
        3
    );
}
