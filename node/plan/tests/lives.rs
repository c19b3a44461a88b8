//! Random lives of a small cluster: whatever workers do or fail to do, every law holds and every run ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use reeve_plan::{drain, plan_pass};
use reeve_state::command::{Command, DrainOrder, EndpointReport, ReportEvent, SetDrain, StopRun};
use reeve_state::id::{RunId, WorkerId};
use reeve_state::record::Selector;
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::worker::{AfterDrain, DrainActor, Link};
use support::{World, definition, group, region};

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    Submit { eu: u32, any: u32 },
    Stop(Index),
    Wait(u64),
    NewLeader,
    Link(Index, bool),
    Hello(Index, bool),
    Drain(Index, bool),
    Undrain(Index),
    Speak(Index, Word),
}

/// What a worker says of an assignment.
#[derive(Clone, Copy, Debug)]
enum Word {
    Agree,
    Refuse,
    Progress,
    Finish,
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<Index>;
    let word = prop::sample::select(vec![
        Word::Agree,
        Word::Agree,
        Word::Refuse,
        Word::Progress,
        Word::Finish,
    ]);
    prop_oneof![
        3 => (0_u32..90, 1_u32..90).prop_map(|(eu, any)| Act::Submit { eu, any }),
        1 => index().prop_map(Act::Stop),
        3 => (0_u64..6_000).prop_map(Act::Wait),
        1 => Just(Act::NewLeader),
        2 => (index(), any::<bool>()).prop_map(|(at, down)| Act::Link(at, down)),
        2 => (index(), any::<bool>()).prop_map(|(at, keeps)| Act::Hello(at, keeps)),
        1 => (index(), any::<bool>()).prop_map(|(at, resume)| Act::Drain(at, resume)),
        1 => index().prop_map(Act::Undrain),
        12 => (index(), word).prop_map(|(at, word)| Act::Speak(at, word)),
    ]
}

fn perform(world: &mut World, workers: &[WorkerId], runs: &mut Vec<RunId>, act: &Act) {
    match act {
        Act::Submit { eu, any } => {
            let mut groups = vec![group("any", *any, Selector::default())];
            if *eu > 0 {
                groups.push(group("eu", *eu, region("eu")));
            }
            runs.push(world.submit(definition(groups)));
        }
        Act::Stop(at) => {
            let live: Vec<RunId> = world.state.live_runs().map(|run| run.id).collect();
            if !live.is_empty() {
                let stop = StopRun {
                    run: *at.get(&live),
                    grace: Millis::from_secs(5),
                };
                world.apply(Command::StopRun(stop)).unwrap();
            }
        }
        Act::Wait(span) => world.pass(Millis(*span)),
        Act::NewLeader => world.leader_since = world.now,
        Act::Link(at, down) => {
            let id = *at.get(workers);
            if world.state.worker(id).unwrap().session.is_some() {
                world.link(id, if *down { Link::Down } else { Link::Suspect });
            }
        }
        Act::Hello(at, keeps) => {
            let id = *at.get(workers);
            let all = world
                .state
                .worker_assignments(id)
                .map(|held| (held.key.run, held.epoch));
            let all: Vec<_> = all.collect();
            let held = if *keeps { all } else { Vec::new() };
            world.connect(id, held);
        }
        Act::Drain(at, resume) => {
            let order = DrainOrder {
                actor: DrainActor::Admin("a".to_owned()),
                reason: String::new(),
                timeout: Millis::from_secs(3),
                then: if *resume {
                    AfterDrain::Resume
                } else {
                    AfterDrain::Disconnect
                },
            };
            let command = SetDrain {
                worker: *at.get(workers),
                drain: Some(order),
            };
            // An OFFLINE worker cannot drain: refused, and nothing changes.
            let _refused = world.apply(Command::SetDrain(command)).is_err();
        }
        Act::Undrain(at) => {
            let command = SetDrain {
                worker: *at.get(workers),
                drain: None,
            };
            world.apply(Command::SetDrain(command)).unwrap();
        }
        Act::Speak(at, word) => speak(world, workers, *at, *word),
    }
}

fn speak(world: &mut World, workers: &[WorkerId], at: Index, word: Word) {
    let held = workers
        .iter()
        .flat_map(|worker| world.state.worker_assignments(*worker));
    let held: Vec<_> = held.cloned().collect();
    if held.is_empty() {
        return;
    }
    let assignment = at.get(&held);
    if world.state.worker(assignment.worker).unwrap().session.is_none() {
        return;
    }
    let closed = |count: u32| {
        let one = |offset| EndpointReport {
            offset,
            phase: EndpointPhase::Closed,
            outcome: Some(EndpointOutcome::Success),
        };
        ReportEvent::Progress((0..count).map(one).collect())
    };
    let event = match (assignment.life.status(), word) {
        (AssignmentStatus::Offered, Word::Refuse) => ReportEvent::NotReady {
            reason: "busy".to_owned(),
        },
        (AssignmentStatus::Offered, _) => ReportEvent::Ready,
        (AssignmentStatus::Ready, _) => return,
        (AssignmentStatus::Started | AssignmentStatus::Stopping, Word::Finish) => closed(assignment.count),
        (AssignmentStatus::Started | AssignmentStatus::Stopping, Word::Refuse) => ReportEvent::Closed,
        (AssignmentStatus::Started | AssignmentStatus::Stopping, _) => closed(assignment.count / 2),
        (AssignmentStatus::Lost | AssignmentStatus::Closed, _) => ReportEvent::Closed,
    };
    world.report(assignment, event);
}

/// Plans everything and applies it. On one snapshot with nothing in between, apply must accept every plan for a run.
fn reconcile(world: &mut World) -> Option<reeve_state::time::Time> {
    let live: Vec<RunId> = world.state.live_runs().map(|run| run.id).collect();
    let pass = plan_pass(
        &world.state,
        live.iter().copied(),
        world.now,
        world.leader_since,
        &world.config,
    );
    assert_eq!(pass.runs.len(), live.len());
    for (run, plan) in &pass.runs {
        assert!(
            plan.next_wake.is_some_and(|at| at > world.now),
            "run {run} waits without a deadline"
        );
        world.execute(&plan.commands);
    }
    let drains = drain::plan(&world.state, world.now, world.leader_since, &world.config);
    world.execute(&drains.commands);
    pass.next_wake()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    // Covers: R113, R116, R199, R200, R201, R202, R203, R204, R205
    #[test]
    fn every_law_holds_and_every_run_ends(acts in prop::collection::vec(act(), 1..80), min_chunk in 1_u32..60) {
        let mut world = World::new();
        world.config.min_chunk = min_chunk;
        let workers: Vec<WorkerId> =
            [("eu", 60), ("eu", 100), ("us", 40), ("us", 150)].map(|(at, capacity)| world.worker(at, capacity)).into();
        let mut runs = Vec::new();
        for act in &acts {
            perform(&mut world, &workers, &mut runs, act);
            reconcile(&mut world);
        }
        // Now nobody says anything any more: time alone ends every run.
        for _ in 0..60 {
            if let Some(wake) = reconcile(&mut world) {
                world.now = world.now.max(wake);
            }
        }
        for run in runs {
            prop_assert!(world.status(run).is_terminal(), "{:?}", world.run(run));
        }
    }
}
