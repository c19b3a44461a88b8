//! How long placement takes at the size that P4 of the performance goals names. Ignored: run it in release, alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::wildcard_enum_match_arm, reason = "any other command fails the test")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it measures time"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_plan::{PlanConfig, plan_pass};
use reeve_state::State;
use reeve_state::change::Row;
use reeve_state::command::Command;
use reeve_state::id::ProjectName;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::run::{RunLife, RunStatus, TimelineEntry};
use reeve_state::transition::worker::{Facts, Link, LinkFact, LivenessProfile};

fn bytes(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn worker(number: u64) -> Row {
    let link = LinkFact {
        link: Link::Up,
        reason: String::new(),
        since: Time(0),
    };
    let id = WorkerId::from_bytes(bytes(number));
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(id.as_bytes());
    Row::Worker(Arc::new(Worker {
        id,
        name: format!("w{number}"),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu-west".to_owned(),
        labels: BTreeMap::new(),
        configured_capacity: Some(500),
        reported_capacity: None,
        sip_capacity: None,
        token_hash: Some(TokenHash(hash)),
        token_expires_at: None,
        function_blocks: Default::default(),
        version: String::new(),
        ip_address: String::new(),
        registered_by: None,
        flaps: 0,
        events: 0,
        facts: Facts {
            link,
            ..Facts::registered(Time(0))
        },
        session: Some(Session {
            epoch: SessionEpoch(1),
            node: NodeId(1),
            incarnation: Incarnation([0; 16]),
            since: Time(0),
        }),
        last_epoch: SessionEpoch(1),
        attempt: None,
        created_at: Time(0),
        created_by: None,
        revision: Revision(1),
    }))
}

fn queued(number: u64, definition: &Arc<TestDefinition>) -> Row {
    let entry = |status| TimelineEntry {
        status,
        at: Time(0),
        reason: None,
    };
    let timeline = vec![entry(RunStatus::Pending), entry(RunStatus::Queued)];
    Row::Run(Arc::new(Run {
        id: RunId::from_bytes(bytes(number)),
        test: TestId::from_bytes(bytes(1)),
        project: ProjectName::default(),
        test_version: 1,
        definition: Arc::clone(definition),
        life: RunLife::restore(timeline).unwrap(),
        created_at: Time(0),
        queue_deadline: Some(Time(10_000)),
        ready_deadline: None,
        start_at: None,
        execution_deadline: None,
        stop_requested_at: None,
        stop_deadline: None,
        assignments: 0,
        replacements: 0,
        explanation: None,
        credits_reserved: None,
        credits_used: None,
        probe: None,
        created_by: None,
        revision: Revision(1),
    }))
}

fn hundred_runs() -> State {
    let sim = SimExecutor {
        setup_min: Millis(1),
        setup_max: Millis(2),
        outcomes: Vec::new(),
        quality: None,
    };
    let selector = Selector {
        region: Some("eu-west".to_owned()),
        ..Selector::default()
    };
    let group = Group {
        name: "g".to_owned(),
        endpoints: 10_000,
        selector,
        callee: None,
        executor: Executor::Sim(sim),
    };
    let definition = Arc::new(TestDefinition {
        name: "t".to_owned(),
        duration: Millis(1),
        buildup: Millis(1),
        queue_timeout: Millis(1),
        max_execution: Millis(1),
        on_worker_loss: Default::default(),
        groups: vec![group],
    });
    let runs = (1..=100).map(|number| queued(number, &definition));
    State::from_rows(Default::default(), (1..=10_000).map(worker).chain(runs))
}

#[test]
#[ignore = "measures time: release build, idle machine"]
fn a_hundred_runs_of_ten_thousand_endpoints_on_ten_thousand_workers() {
    let state = hundred_runs();
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        let pass = plan_pass(&state, [], Time(1), Time(0), &PlanConfig::default());
        worst = worst.max(began.elapsed());
        let placed = pass
            .runs
            .iter()
            .flat_map(|(_, plan)| &plan.commands)
            .map(|planned| match &planned.command {
                Command::PlaceRun(place) => place.placements.len(),
                other => panic!("{other:?}"),
            });
        assert_eq!(placed.sum::<usize>(), 20_000);
    }
    assert!(worst < Duration::from_millis(500), "a pass took {worst:?}");
    let first: Vec<RunId> = state.runs().take(1).map(|run| run.id).collect();
    let run = Arc::clone(state.run(first[0]).unwrap());
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            let plan = reeve_plan::runs::plan(&state, &run, Time(1), Time(0), &PlanConfig::default());
            assert_eq!(plan.commands.len(), 1);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    assert!(
        times[197] < Duration::from_millis(10),
        "p99 of one run is {:?}",
        times[197]
    );
}
