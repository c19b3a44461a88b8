//! The planner of probes, with apply doing what was planned, on simulated time. Covers: R218, R219, R220, R228
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_plan::probes::{ProbeConfig, ProbePlan, plan, run_id};
use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::schedule::{Cron, Interval, Schedule};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::probe::ProbeStatus;
use reeve_state::transition::run::RunStatus;
use support::{World, bytes, definition, group};

const MINUTE: Millis = Millis(60_000);
const FIVE: Millis = Millis(300_000);

fn probe_id(n: u64) -> ProbeId {
    ProbeId::from_bytes(bytes(n))
}

fn cron(text: &str) -> Schedule {
    Schedule::Cron(Cron::parse(text).unwrap())
}

fn every_five() -> Schedule {
    Schedule::Every(Interval::Five)
}

/// A worker, and a probe of a test that it can run.
fn world(schedule: Schedule) -> World {
    let mut world = World::new();
    world.worker("eu", 1_000);
    let test = TestId::from_bytes(bytes(90));
    let definition = Arc::new(TestDefinition {
        name: "call".to_owned(),
        ..definition(vec![group("g", 1, Selector::default())])
    });
    let apply = ApplyTest {
        id: test,
        definition,
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    };
    world.apply(Command::ApplyTest(apply)).unwrap();
    put(&mut world, 91, schedule);
    world
}

fn put(world: &mut World, n: u64, schedule: Schedule) {
    let definition = ProbeDefinition {
        name: format!("p{n}"),
        test: TestId::from_bytes(bytes(90)),
        schedule,
        thresholds: Vec::new(),
    };
    let put = PutProbe {
        id: probe_id(n),
        project: ProjectName::default(),
        definition: Arc::new(definition),
        mode: ProbeMode::CreateOrUpdate,
    };
    world.apply(Command::PutProbe(put)).unwrap();
}

fn look(world: &World) -> ProbePlan {
    plan(&world.state, world.now, &ProbeConfig::default())
}

fn probe(world: &World) -> Arc<Probe> {
    Arc::clone(world.state.probe(probe_id(91)).unwrap())
}

fn slots(world: &World) -> Vec<Arc<ProbeSlot>> {
    world.state.probe_slots(probe_id(91)).cloned().collect()
}

/// Looks and does what was planned, until nothing is to be done now. What is refused is a fault.
fn settle(world: &mut World) {
    for _ in 0..100 {
        let plan = look(world);
        if plan.commands.is_empty() {
            return;
        }
        world.execute(&plan.commands);
    }
    panic!("the planner does not come to rest");
}

/// Time passes until the next slot is due.
fn until_due(world: &mut World) -> Time {
    let probe = probe(world);
    world.now = world.now.max(probe.next_due().unwrap());
    probe.next_slot().unwrap()
}

/// The run that is open, to its end.
fn complete(world: &mut World) {
    let run = probe(world).open.unwrap().run;
    world.step(run);
    world.step(run);
    world.confirm_all(run);
    world.step(run);
    for assignment in world.current(run) {
        world.finish(&assignment, EndpointOutcome::Success);
    }
    world.step(run);
    assert_eq!(world.status(run), RunStatus::Completed);
}

fn summarise(world: &mut World, run: RunId) {
    let summary = RecordSummary {
        run,
        metrics: Default::default(),
        complete: true,
        missing: String::new(),
        responses: Default::default(),
        groups: Vec::new(),
    };
    world.apply(Command::RecordSummary(summary)).unwrap();
}

#[test]
fn a_probe_waits_for_its_slot_and_fires_it_once() {
    for schedule in [every_five(), cron("*/5 * * * *")] {
        let mut world = world(schedule);
        let due = probe(&world).next_due().unwrap();
        let waiting = look(&world);
        assert_eq!((waiting.commands.len(), waiting.next_wake), (0, Some(due)));
        world.now = Time(due.0 - 1);
        assert!(look(&world).commands.is_empty());
        world.now = due;
        let plan = look(&world);
        let [fire] = plan.commands.as_slice() else {
            panic!("{plan:?}");
        };
        let Command::FireProbe(command) = &fire.command else {
            panic!("{fire:?}");
        };
        assert_eq!(command.run, run_id(probe_id(91), due));
        assert_eq!(plan.next_wake, Some(world.now + ProbeConfig::default().retry));
        world.execute(&plan.commands);
        assert_eq!(probe(&world).last_run, Some(command.run));
        // The run goes on, the next slot is waited for.
        assert_eq!(look(&world).next_wake, probe(&world).next_due());
        // Who planned the same meanwhile, whatever leader, is refused.
        for planned in plan.commands {
            let refused = world.apply(planned.command).unwrap_err();
            assert!(matches!(refused, Refusal::SlotNotOpen { .. }), "{refused}");
        }
        assert_eq!(world.state.runs().count(), 1);
    }
}

#[test]
fn the_end_of_a_run_is_judged_when_it_is_summed_up() {
    let mut world = world(every_five());
    until_due(&mut world);
    settle(&mut world);
    complete(&mut world);
    let ended = world.now;
    // Its summary is waited for, but not for ever.
    let waiting = look(&world);
    assert_eq!(
        (waiting.commands.len(), waiting.next_wake),
        (0, Some(ended + Millis::from_secs(30)))
    );
    let mut without = World::new();
    without.state = world.state.clone();
    without.now = ended + Millis::from_secs(30);
    settle(&mut without);
    assert_eq!(probe(&without).health.status(), ProbeStatus::Healthy);
    let run = probe(&world).open.unwrap().run;
    summarise(&mut world, run);
    settle(&mut world);
    assert_eq!(probe(&world).health.status(), ProbeStatus::Healthy);
    assert_eq!(probe(&world).open, None);
}

#[test]
fn the_next_slot_does_not_wait_for_a_summary() {
    let mut world = world(cron("* * * * *"));
    until_due(&mut world);
    settle(&mut world);
    // It ends a second before the next slot is due.
    world.now = Time(probe(&world).next_due().unwrap().0 - 1_000);
    complete(&mut world);
    assert!(look(&world).commands.is_empty());
    let second = until_due(&mut world);
    settle(&mut world);
    let all = slots(&world);
    assert!(all[0].end.is_some());
    assert_eq!((all[1].key.slot, all[1].run.is_some()), (second, true));
}

#[test]
fn a_slot_beside_a_run_that_is_not_over_is_skipped() {
    let mut world = world(every_five());
    until_due(&mut world);
    settle(&mut world);
    for _ in 0..3 {
        until_due(&mut world);
        settle(&mut world);
    }
    let ends: Vec<_> = slots(&world)
        .iter()
        .map(|slot| (slot.run.is_some(), slot.skipped))
        .collect();
    let still = (false, Some(SkipReason::PreviousStillRunning));
    assert_eq!(ends, [(true, None), still, still, still]);
    complete(&mut world);
    world.pass(Millis::from_secs(30));
    settle(&mut world);
    until_due(&mut world);
    settle(&mut world);
    assert!(slots(&world)[4].run.is_some());
}

#[test]
fn how_late_a_slot_may_fire() {
    // Schedule, how long nobody led after the slot was due, and whether it fires.
    let table = [
        ("*/5 * * * *", 0, true),
        ("*/5 * * * *", 150_000, true),
        ("*/5 * * * *", 150_001, false),
        // A minute at least, but then the next slot is due.
        ("* * * * *", 59_999, true),
        // A quarter of an hour at most.
        ("0 0 * * *", 15 * 60_000, true),
        ("0 0 * * *", 15 * 60_000 + 1, false),
    ];
    for (expression, late, fires) in table {
        let mut world = world(cron(expression));
        let slot = until_due(&mut world);
        world.pass(Millis(late));
        settle(&mut world);
        let row = slots(&world)
            .into_iter()
            .find(|row| row.key.slot == slot)
            .unwrap();
        assert_eq!(row.run.is_some(), fires, "{expression} {late}");
        assert_eq!(
            row.skipped,
            (!fires).then_some(SkipReason::Missed),
            "{expression} {late}"
        );
    }
}

#[test]
fn of_slots_that_are_due_together_the_last_fires() {
    let mut world = world(cron("* * * * *"));
    until_due(&mut world);
    world.pass(Millis(3 * MINUTE.0));
    settle(&mut world);
    let rows: Vec<_> = slots(&world)
        .iter()
        .map(|row| (row.skipped, row.run.is_some()))
        .collect();
    let missed = (Some(SkipReason::Missed), false);
    assert_eq!(rows, [missed, missed, missed, (None, true)]);
}

#[test]
fn a_long_time_without_a_leader_is_told_in_few_rows() {
    for (slots_missed, expected) in [(20u64, 20usize), (21, 21), (22, 21), (500, 21)] {
        let mut world = world(every_five());
        let first = until_due(&mut world);
        // Beyond the grace of the last.
        world.now = Time(first.0 + (slots_missed - 1) * FIVE.0 + 200_000);
        settle(&mut world);
        let rows = slots(&world);
        assert_eq!(rows.len(), expected, "{slots_missed}");
        let told: u64 = rows.iter().map(|row| u64::from(row.count)).sum();
        assert_eq!(told, slots_missed);
        assert!(rows.iter().skip(1).all(|row| row.count == 1));
        assert!(rows.iter().all(|row| row.skipped == Some(SkipReason::Missed)));
        assert_eq!(
            rows.last().unwrap().key.slot.0,
            first.0 + (slots_missed - 1) * FIVE.0
        );
        assert_eq!(world.state.runs().count(), 0);
    }
}

#[test]
fn a_year_without_a_leader_is_told_in_passes() {
    let mut world = world(cron("* * * * *"));
    until_due(&mut world);
    world.pass(Millis(25_000 * MINUTE.0));
    let first = look(&world);
    assert_eq!(first.commands.len(), 1, "{first:?}");
    settle(&mut world);
    let told: u64 = slots(&world).iter().map(|row| u64::from(row.count)).sum();
    assert_eq!(told, 25_001);
    assert!(slots(&world).last().unwrap().run.is_some(), "the last is in time");
}

#[test]
fn a_paused_probe_is_not_looked_at() {
    let mut world = world(every_five());
    let pause = PauseProbe {
        probe: probe_id(91),
        paused: true,
    };
    world.apply(Command::PauseProbe(pause)).unwrap();
    world.pass(Millis(100 * MINUTE.0));
    assert_eq!(look(&world), ProbePlan::default());
}

#[test]
fn thousands_of_probes_are_fired_in_passes_and_not_at_once() {
    let mut world = world(every_five());
    for n in 0..600 {
        put(&mut world, 1_000 + n, every_five());
    }
    world.pass(FIVE);
    let mut fired = 0;
    let mut passes = 0;
    loop {
        let plan = look(&world);
        if plan.commands.is_empty() {
            break;
        }
        assert!(plan.commands.len() <= 500, "{}", plan.commands.len());
        fired += plan
            .commands
            .iter()
            .filter(|planned| matches!(planned.command, Command::FireProbe(_)))
            .count();
        // Without the checks of the invariants, which would take all day here.
        for planned in plan.commands {
            let entry = EntryMeta {
                term: 1,
                index: 1,
                stamp: world.now,
            };
            reeve_state::apply(&mut world.state, &entry, &Envelope::internal(planned.command));
        }
        passes += 1;
        assert!(passes < 10);
    }
    // Half of them are later than their grace.
    let skipped = world
        .state
        .probes()
        .filter(|probe| probe.last_slot.is_some() && probe.last_run.is_none());
    assert_eq!(fired + skipped.count(), 601);
    assert!(passes >= 2);
}

#[test]
fn ids_of_runs_are_the_slots_own() {
    let mut seen = BTreeSet::new();
    let mut last = None;
    for due in 1_000_000..1_000_100 {
        for n in 0..100 {
            let id = run_id(probe_id(n), Time(due));
            assert_eq!(id, run_id(probe_id(n), Time(due)));
            assert_eq!(
                (id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6),
                (8, 2),
                "a UUID of version 8"
            );
            assert!(seen.insert(id), "{n} {due}");
        }
        // They sort by time, as the ids of other runs do.
        let newest = seen.last().copied();
        assert!(newest > last);
        last = newest;
    }
}

#[test]
fn a_run_that_is_gone_settles_its_slot() {
    let mut world = world(every_five());
    until_due(&mut world);
    settle(&mut world);
    complete(&mut world);
    let run = probe(&world).open.unwrap().run;
    summarise(&mut world, run);
    let purge = PurgeRun {
        run,
        retention: Millis(0),
    };
    world.apply(Command::PurgeRun(purge)).unwrap();
    settle(&mut world);
    assert_eq!(probe(&world).health.status(), ProbeStatus::Unknown);
    assert_eq!(slots(&world)[0].end.as_ref().unwrap().status, None);
}
