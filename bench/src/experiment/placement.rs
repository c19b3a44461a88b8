//! P4: placement of large runs on large fleets, in this process: the planner alone, and with the apply that reserves.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use reeve_plan::placement::place;
use reeve_plan::{PlanConfig, Reservations};
use reeve_state::command::{
    ApplyMode, ApplyTest, Command, ConnectWorker, CreateWorker, EntryMeta, Envelope, PlaceRun, Placement,
    QueueRun, StartRun,
};
use reeve_state::id::{Incarnation, NodeId, ProjectName, RunId, TestId, TokenHash, WorkerId};
use reeve_state::record::{Executor, Group, Selector, SimExecutor, TestDefinition, WorkerKind};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::LivenessProfile;
use reeve_state::{State, apply};

use crate::report::{Aim, Finding, Report};
use crate::stats::{median, ms, quantile};

const FLEETS: [u64; 2] = [1_000, 10_000];
const ENDPOINTS: u32 = 10_000;
/// Runs that are placed one after the other on the same fleet.
const RUNS: u64 = 100;
const CAPACITY: u32 = 2_000;
/// Goals, milliseconds: one run, and all of them together.
const ONE_P99: f64 = 10.0;
const ALL: f64 = 1_000.0;

/// What one run took, milliseconds.
struct Timed {
    plan: f64,
    apply: f64,
    assignments: usize,
}

/// Places 100 runs on fleets of 1,000 and of 10,000 workers.
///
/// # Errors
/// A run could not be placed.
pub fn run(report: &mut Report) -> Result<()> {
    for workers in FLEETS {
        let mut world = World::with_workers(workers)?;
        let times = (0..RUNS).map(|_| world.place_one()).collect::<Result<Vec<_>>>()?;
        let plans: Vec<f64> = times.iter().map(|time| time.plan).collect();
        let both: Vec<f64> = times.iter().map(|time| time.plan + time.apply).collect();
        let assignments: usize = times.iter().map(|time| time.assignments).sum();
        let one = format!("run of {ENDPOINTS} endpoints on {workers} workers, in process");
        let all = format!("{RUNS} such runs on {workers} workers, {assignments} assignments, in process");
        let rows = [
            (&one, "plan, p50", median(&plans), None),
            (
                &one,
                "plan, p99",
                quantile(&plans, 0.99),
                Some(Aim::AtMost(ONE_P99)),
            ),
            (
                &one,
                "plan and apply, p99",
                quantile(&both, 0.99),
                Some(Aim::AtMost(ONE_P99)),
            ),
            (
                &all,
                "plan and apply, sum",
                Some(both.iter().sum()),
                Some(Aim::AtMost(ALL)),
            ),
        ];
        for (case, measure, value, aim) in rows {
            report
                .findings
                .push(Finding::new("P4", case, measure, "ms").reeve(value).aim(aim));
        }
        report
            .samples_ms
            .insert(format!("P4 plan, {workers} workers"), plans);
        report
            .samples_ms
            .insert(format!("P4 plan and apply, {workers} workers"), both);
    }
    Ok(())
}

/// A state, reached by commands as in production.
struct World {
    state: State,
    definition: Arc<TestDefinition>,
    index: u64,
    runs: u64,
}

impl World {
    /// Workers that are ONLINE and idle, and a test.
    fn with_workers(workers: u64) -> Result<Self> {
        let mut world = Self {
            state: State::default(),
            definition: Arc::new(definition()),
            index: 0,
            runs: 0,
        };
        for number in 1..=workers {
            world.apply(Command::CreateWorker(create(number)))?;
            world.apply(Command::ConnectWorker(connect(number)))?;
        }
        let test = ApplyTest {
            id: TestId::from_bytes(bytes(1)),
            definition: Arc::clone(&world.definition),
            mode: ApplyMode::CreateOnly,
            project: ProjectName::default(),
        };
        world.apply(Command::ApplyTest(test))?;
        Ok(world)
    }

    fn apply(&mut self, command: Command) -> Result<()> {
        self.index += 1;
        let entry = EntryMeta {
            term: 1,
            index: self.index,
            stamp: Time(self.index),
        };
        let envelope = Envelope::internal(command);
        let step = apply(&mut self.state, &entry, &envelope);
        step.applied
            .result
            .map(drop)
            .map_err(|refusal| anyhow!("refused: {refusal}"))
    }

    /// A new run: planned, then reserved. What came before still holds its capacity.
    fn place_one(&mut self) -> Result<Timed> {
        self.runs += 1;
        let run = RunId::from_bytes(bytes(self.runs));
        let test = TestId::from_bytes(bytes(1));
        self.apply(Command::StartRun(StartRun { run, test }))?;
        let revision = self.revision(run)?;
        self.apply(Command::QueueRun(QueueRun { run, revision }))?;
        let config = PlanConfig::default();
        let begun = Instant::now();
        let placements = place(&self.state, &self.definition, &Reservations::default(), &config)
            .map_err(|problem| anyhow!("run {}: {}", self.runs, problem.message))?;
        let planned = Instant::now();
        let assignments = placements.len();
        self.reserve(run, placements, config.ready_timeout)?;
        Ok(Timed {
            plan: ms(planned - begun),
            apply: ms(planned.elapsed()),
            assignments,
        })
    }

    fn reserve(&mut self, run: RunId, placements: Vec<Placement>, ready_timeout: Millis) -> Result<()> {
        let revision = self.revision(run)?;
        self.apply(Command::PlaceRun(PlaceRun {
            run,
            revision,
            withdraw: Vec::new(),
            placements,
            ready_timeout,
        }))
    }

    fn revision(&self, run: RunId) -> Result<reeve_state::id::Revision> {
        let run = self.state.run(run).ok_or_else(|| anyhow!("the run is gone"))?;
        Ok(run.revision)
    }
}

fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn hash(number: u64) -> TokenHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&bytes(number));
    TokenHash(hash)
}

fn create(number: u64) -> CreateWorker {
    CreateWorker {
        id: WorkerId::from_bytes(bytes(number)),
        name: format!("w{number}"),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu-west".to_owned(),
        labels: [("rack".to_owned(), (number % 40).to_string())].into(),
        capacity: Some(CAPACITY),
        token_hash: hash(number),
        token_ttl: None,
    }
}

fn connect(number: u64) -> ConnectWorker {
    ConnectWorker {
        token_hash: hash(number),
        node: NodeId(1 + number % 3),
        incarnation: Incarnation(bytes(number)),
        capacity: CAPACITY,
        sip_capacity: None,
        health: Vec::new(),
        held: Vec::new(),
        draining: None,
        version: String::new(),
        attempt: 0,
    }
}

fn definition() -> TestDefinition {
    let sim = SimExecutor {
        setup_min: Millis(200),
        setup_max: Millis(800),
        outcomes: Vec::new(),
        quality: None,
    };
    TestDefinition {
        name: "large".to_owned(),
        duration: Millis::from_secs(60),
        buildup: Millis::from_secs(10),
        queue_timeout: Millis::from_secs(60),
        max_execution: Millis::from_secs(600),
        on_worker_loss: Default::default(),
        groups: vec![Group {
            name: "callers".to_owned(),
            endpoints: ENDPOINTS,
            selector: Selector {
                region: Some("eu-west".to_owned()),
                ..Selector::default()
            },
            callee: None,
            executor: Executor::Sim(sim),
        }],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use reeve_state::invariant;

    use super::*;

    #[test]
    fn runs_are_really_reserved_in_the_state() {
        let mut world = World::with_workers(50).unwrap();
        let timed = world.place_one().unwrap();
        let reserved: u32 = (1..=50)
            .map(|n| world.state.reserved(WorkerId::from_bytes(bytes(n))))
            .sum();
        assert_eq!(reserved, ENDPOINTS);
        assert_eq!(timed.assignments, 50);
        assert_eq!(invariant::check(&world.state), Vec::new());
    }
}
