//! Given, when, then: a state, the commands that are applied to it, and what must hold. Every step is checked against
//! every named invariant.

pub mod evidence;
pub mod probes;
pub mod project;
pub mod registry;
pub mod sip;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_state::change::Change;
use reeve_state::command::*;
use reeve_state::definition::{DEFAULT_ANSWER_TIMEOUT, DEFAULT_REGISTER_EXPIRES};
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReason, RunReasonCode, RunStatus};
use reeve_state::transition::worker::{AfterDrain, DrainActor, Link, LivenessProfile, WorkerStatus};
use reeve_state::{State, apply, invariant};

pub const TERM: u64 = 1;

/// A state and the log that led to it.
#[derive(Clone, Default)]
pub struct World {
    pub state: State,
    pub log: Vec<(EntryMeta, Envelope)>,
    pub now: u64,
    pub last_changes: Vec<Change>,
}

pub fn test_id(n: u8) -> TestId {
    TestId::from_bytes([n; 16])
}

pub fn run_id(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

pub fn worker_id(n: u8) -> WorkerId {
    WorkerId::from_bytes([n; 16])
}

pub fn token(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

pub fn process(n: u8) -> Incarnation {
    Incarnation([n; 16])
}

/// A definition with one group of `endpoints` that any worker may take.
pub fn definition(name: &str, endpoints: u32) -> TestDefinition {
    TestDefinition {
        name: name.to_owned(),
        duration: Millis::from_secs(20),
        buildup: Millis::from_secs(5),
        queue_timeout: Millis::from_secs(5),
        max_execution: Millis::from_secs(120),
        on_worker_loss: Default::default(),
        groups: vec![group("callers", endpoints)],
    }
}

/// A group of SIP endpoints that wait for calls, with the registrar "lab" and the pool "pool".
pub fn sip_group(name: &str, endpoints: u32) -> Group {
    Group {
        executor: Executor::Sip(SipExecutor {
            registrar: "lab".into(),
            accounts: "pool".into(),
            uri: None,
            codecs: SipCodec::ALL.to_vec(),
            media: None,
            packet_loss_concealment: true,
            answer_timeout: DEFAULT_ANSWER_TIMEOUT,
            ring: Millis(0),
            register_expires: DEFAULT_REGISTER_EXPIRES,
            register_buildup: None,
            actions: Vec::new(),
            trace_credentials: false,
        }),
        ..group(name, endpoints)
    }
}

pub fn group(name: &str, endpoints: u32) -> Group {
    Group {
        name: name.to_owned(),
        endpoints,
        selector: Selector::default(),
        callee: None,
        executor: Executor::Sim(SimExecutor {
            setup_min: Millis(200),
            setup_max: Millis(800),
            outcomes: Vec::new(),
            quality: None,
        }),
    }
}

pub fn create_worker(n: u8, capacity: u32) -> CreateWorker {
    CreateWorker {
        id: worker_id(n),
        name: format!("w{n}"),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu-west".to_owned(),
        labels: BTreeMap::new(),
        capacity: Some(capacity),
        token_hash: token(n),
        token_ttl: None,
    }
}

pub fn hello(n: u8, incarnation: u8, held: Vec<(RunId, AssignmentEpoch)>) -> ConnectWorker {
    ConnectWorker {
        token_hash: token(n),
        node: NodeId(1),
        incarnation: process(incarnation),
        capacity: 1_000_000,
        sip_capacity: None,
        health: Vec::new(),
        held,
        draining: None,
        version: String::new(),
        attempt: 0,
    }
}

impl World {
    /// A cluster with `workers` that are ONLINE, each with this capacity.
    pub fn with_workers(workers: u8, capacity: u32) -> Self {
        let mut world = Self::default();
        for n in 1..=workers {
            world.ok(Command::CreateWorker(create_worker(n, capacity)));
            world.ok(Command::ConnectWorker(hello(n, n, Vec::new())));
        }
        world
    }

    // --- when ---

    /// Applies an envelope, checks every invariant, and remembers it in the log.
    pub fn apply(&mut self, term: u64, envelope: Envelope) -> Applied {
        self.now += 10;
        let index = self.log.len() as u64 + 1;
        let entry = EntryMeta {
            term,
            index,
            stamp: Time(self.now),
        };
        let before = self.state.clone();
        let step = apply(&mut self.state, &entry, &envelope);
        let mut broken = invariant::check(&self.state);
        broken.extend(invariant::check_step(&before, &self.state));
        assert_eq!(broken, Vec::new(), "after {envelope:?}");
        if step.applied.result.is_err() {
            assert!(step.changes.is_empty(), "a refusal changed {:?}", step.changes);
            assert!(before.rows().eq(self.state.rows()), "a refusal changed the state");
            assert_eq!(before.meta().revision, self.state.meta().revision);
        }
        self.log.push((entry, envelope));
        self.last_changes = step.changes;
        step.applied
    }

    pub fn when(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.apply(TERM, Envelope::internal(command)).result
    }

    pub fn ok(&mut self, command: Command) -> Reply {
        let shown = format!("{command:?}");
        self.when(command)
            .unwrap_or_else(|refusal| panic!("{shown} was refused: {refusal}"))
    }

    pub fn refused(&mut self, command: Command) -> Refusal {
        let shown = format!("{command:?}");
        match self.when(command) {
            Ok(reply) => panic!("{shown} was not refused: {reply:?}"),
            Err(refusal) => refusal,
        }
    }

    pub fn apply_test(&mut self, n: u8, definition: TestDefinition) -> Reply {
        let mode = ApplyMode::CreateOrUpdate;
        self.ok(Command::ApplyTest(ApplyTest {
            id: test_id(n),
            definition: Arc::new(definition),
            mode,
            project: ProjectName::default(),
        }))
    }

    pub fn start_run(&mut self, run: u8, test: u8) {
        self.ok(Command::StartRun(StartRun {
            run: run_id(run),
            test: test_id(test),
        }));
    }

    pub fn queue_run(&mut self, run: u8) {
        let revision = self.run(run).revision;
        self.ok(Command::QueueRun(QueueRun {
            run: run_id(run),
            revision,
        }));
    }

    pub fn placement(worker: u8, group: u32, first: u32, count: u32) -> Placement {
        Placement {
            worker: worker_id(worker),
            group,
            first,
            count,
        }
    }

    pub fn place(&self, run: u8, withdraw: Vec<u32>, placements: Vec<Placement>) -> Command {
        Command::PlaceRun(PlaceRun {
            run: run_id(run),
            revision: self.run(run).revision,
            withdraw,
            placements,
            ready_timeout: Millis::from_secs(10),
        })
    }

    pub fn begin(&self, run: u8) -> Command {
        let revision = self.run(run).revision;
        Command::BeginRun(BeginRun {
            run: run_id(run),
            revision,
            start_delay: Millis(150),
        })
    }

    pub fn complete(&self, run: u8) -> Command {
        Command::CompleteRun(CompleteRun {
            run: run_id(run),
            revision: self.run(run).revision,
        })
    }

    pub fn fail(&self, run: u8, code: RunReasonCode, outcome: EndpointOutcome) -> Command {
        let reason = RunReason {
            code,
            message: format!("{code:?}"),
        };
        Command::FailRun(FailRun {
            run: run_id(run),
            revision: self.run(run).revision,
            reason,
            outcome,
        })
    }

    pub fn reject(&self, run: u8, code: RunReasonCode) -> Command {
        let reason = RunReason {
            code,
            message: format!("{code:?}"),
        };
        let revision = self.run(run).revision;
        Command::RejectRun(RejectRun {
            run: run_id(run),
            revision,
            reason,
            explanation: None,
        })
    }

    pub fn stop(run: u8) -> Command {
        Command::StopRun(StopRun {
            run: run_id(run),
            grace: Millis::from_secs(30),
        })
    }

    pub fn report(&self, run: u8, ordinal: u32, seq: u64, event: ReportEvent) -> Command {
        let assignment = self.assignment(run, ordinal);
        Command::Report(Report {
            worker: assignment.worker,
            run: run_id(run),
            epoch: assignment.epoch,
            seq,
            event,
        })
    }

    /// The next report that is due.
    pub fn next_report(&self, run: u8, ordinal: u32, event: ReportEvent) -> Command {
        self.report(run, ordinal, self.assignment(run, ordinal).acked_seq + 1, event)
    }

    pub fn ready(&mut self, run: u8, ordinal: u32) {
        self.ok(self.next_report(run, ordinal, ReportEvent::Ready));
    }

    pub fn progress(
        &mut self,
        run: u8,
        ordinal: u32,
        offsets: std::ops::Range<u32>,
        phase: EndpointPhase,
        outcome: Option<EndpointOutcome>,
    ) {
        let reports = offsets
            .map(|offset| EndpointReport {
                offset,
                phase,
                outcome,
            })
            .collect();
        self.ok(self.next_report(run, ordinal, ReportEvent::Progress(reports)));
    }

    /// Every endpoint of the assignment ends in this outcome.
    pub fn close_all(&mut self, run: u8, ordinal: u32, outcome: EndpointOutcome) {
        let count = self.assignment(run, ordinal).count;
        self.progress(run, ordinal, 0..count, EndpointPhase::Closed, Some(outcome));
    }

    pub fn link(&self, n: u8, link: Link) -> Command {
        let epoch = self.worker(n).last_epoch;
        Command::SetLink(SetLink {
            worker: worker_id(n),
            epoch,
            link,
            reason: format!("{link:?}"),
        })
    }

    pub fn down(&mut self, n: u8) {
        self.ok(self.link(n, Link::Down));
    }

    pub fn drain(&self, n: u8, actor: DrainActor) -> Command {
        let drain = Some(DrainOrder {
            actor,
            reason: "maintenance".to_owned(),
            timeout: Millis::from_secs(60),
            then: AfterDrain::Disconnect,
        });
        Command::SetDrain(SetDrain {
            worker: worker_id(n),
            drain,
        })
    }

    /// Run 1 of test 1, `endpoints` on each of `workers` workers, RUNNING.
    pub fn running(workers: u8, endpoints: u32) -> Self {
        let mut world = Self::ready_to_begin(workers, endpoints);
        world.ok(world.begin(1));
        world
    }

    /// Run 1 of test 1, QUEUED with every assignment READY.
    pub fn ready_to_begin(workers: u8, endpoints: u32) -> Self {
        let mut world = Self::offered(workers, endpoints);
        for ordinal in 0..u32::from(workers) {
            world.ready(1, ordinal);
        }
        world
    }

    /// Run 1 of test 1, QUEUED with every assignment OFFERED.
    pub fn offered(workers: u8, endpoints: u32) -> Self {
        let mut world = Self::with_workers(workers, 100_000);
        world.apply_test(1, definition("smoke", endpoints * u32::from(workers)));
        world.start_run(1, 1);
        world.queue_run(1);
        let placements = (1..=workers)
            .map(|n| Self::placement(n, 0, u32::from(n - 1) * endpoints, endpoints))
            .collect();
        world.ok(world.place(1, Vec::new(), placements));
        world
    }

    // --- then ---

    pub fn run(&self, n: u8) -> Arc<Run> {
        Arc::clone(self.state.run(run_id(n)).expect("the run exists"))
    }

    pub fn status(&self, n: u8) -> RunStatus {
        self.run(n).life.status()
    }

    pub fn reason(&self, n: u8) -> Option<RunReasonCode> {
        self.run(n).life.reason().map(|reason| reason.code)
    }

    pub fn assignment(&self, run: u8, ordinal: u32) -> Arc<Assignment> {
        let key = AssignmentKey {
            run: run_id(run),
            ordinal,
        };
        Arc::clone(self.state.assignment(key).expect("the assignment exists"))
    }

    pub fn assignment_status(&self, run: u8, ordinal: u32) -> AssignmentStatus {
        self.assignment(run, ordinal).life.status()
    }

    pub fn worker(&self, n: u8) -> Arc<Worker> {
        Arc::clone(self.state.worker(worker_id(n)).expect("the worker exists"))
    }

    pub fn worker_status(&self, n: u8) -> WorkerStatus {
        self.worker(n).status()
    }

    pub fn closed(&self, run: u8) -> u32 {
        self.state.run_counts(run_id(run)).phase(EndpointPhase::Closed)
    }

    pub fn ended_in(&self, run: u8, outcome: EndpointOutcome) -> u32 {
        self.state.run_counts(run_id(run)).outcome(outcome)
    }
}
