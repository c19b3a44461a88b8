//! A cluster in miniature: commands go through apply, and the invariants are checked after each.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_plan::{PlanConfig, Planned, RunPlan, runs};
use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{HealthIssue, Link, LivenessProfile, Resource};
use reeve_state::{State, apply, invariant};

#[derive(Clone)]
pub struct World {
    pub state: State,
    pub now: Time,
    pub leader_since: Time,
    pub config: PlanConfig,
    next: u64,
}

pub fn bytes(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub fn group(name: &str, endpoints: u32, selector: Selector) -> Group {
    let sim = SimExecutor {
        setup_min: Millis(1),
        setup_max: Millis(2),
        outcomes: Vec::new(),
        quality: None,
    };
    Group {
        name: name.to_owned(),
        endpoints,
        selector,
        callee: None,
        executor: Executor::Sim(sim),
    }
}

pub fn region(name: &str) -> Selector {
    Selector {
        region: Some(name.to_owned()),
        ..Selector::default()
    }
}

pub fn definition(groups: Vec<Group>) -> TestDefinition {
    TestDefinition {
        name: "test".to_owned(),
        duration: Millis::from_secs(20),
        buildup: Millis::from_secs(5),
        queue_timeout: Millis::from_secs(5),
        max_execution: Millis::from_secs(120),
        on_worker_loss: Default::default(),
        groups,
    }
}

impl World {
    pub fn new() -> Self {
        let now = Time(1_000_000);
        Self {
            state: State::default(),
            now,
            leader_since: Time(0),
            config: PlanConfig::default(),
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Applies a command and checks every invariant.
    pub fn apply(&mut self, command: Command) -> Result<Reply, Refusal> {
        let before = self.state.clone();
        let entry = EntryMeta {
            term: 1,
            index: self.number(),
            stamp: self.now,
        };
        let step = apply(&mut self.state, &entry, &Envelope::internal(command));
        let mut broken = invariant::check(&self.state);
        broken.extend(invariant::check_step(&before, &self.state));
        assert!(broken.is_empty(), "{broken:?}");
        step.applied.result
    }

    pub fn pass(&mut self, span: Millis) {
        self.now = self.now + span;
    }

    /// An ONLINE worker.
    pub fn worker(&mut self, region: &str, capacity: u32) -> WorkerId {
        self.labelled(region, capacity, &[])
    }

    /// One that talks in single calls.
    pub fn ping_worker(&mut self, region: &str, capacity: u32) -> WorkerId {
        self.create(region, capacity, LivenessProfile::Ping, &[])
    }

    pub fn labelled(&mut self, region: &str, capacity: u32, labels: &[(&str, &str)]) -> WorkerId {
        self.create(region, capacity, LivenessProfile::Session, labels)
    }

    fn create(
        &mut self,
        region: &str,
        capacity: u32,
        profile: LivenessProfile,
        labels: &[(&str, &str)],
    ) -> WorkerId {
        let number = self.number();
        let id = WorkerId::from_bytes(bytes(number));
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let create = CreateWorker {
            id,
            name: format!("w{number}"),
            kind: WorkerKind::UserOwned,
            profile,
            region: region.to_owned(),
            labels: labels.collect::<BTreeMap<_, _>>(),
            capacity: Some(capacity),
            token_hash: hash_of(id),
            token_ttl: None,
        };
        self.apply(Command::CreateWorker(create)).unwrap();
        match profile {
            LivenessProfile::Session => self.connect(id, Vec::new()),
            LivenessProfile::Ping => self.ping(id),
        }
        id
    }

    /// A ping worker is heard.
    pub fn ping(&mut self, worker: WorkerId) {
        let ping = PingWorker {
            worker,
            node: NodeId(1),
            health: Vec::new(),
        };
        self.apply(Command::PingWorker(ping)).unwrap();
    }

    /// The worker says Hello, as the same process.
    pub fn connect(&mut self, id: WorkerId, held: Vec<(RunId, AssignmentEpoch)>) {
        self.connect_with(id, held, None);
    }

    /// The same, with what its machine carries of SIP endpoints.
    pub fn connect_with(
        &mut self,
        id: WorkerId,
        held: Vec<(RunId, AssignmentEpoch)>,
        sip_capacity: Option<u32>,
    ) {
        let connect = ConnectWorker {
            token_hash: hash_of(id),
            node: NodeId(1),
            incarnation: Incarnation(*id.as_bytes()),
            capacity: u32::MAX,
            sip_capacity,
            health: Vec::new(),
            held,
            draining: None,
            version: String::new(),
            attempt: 0,
        };
        self.apply(Command::ConnectWorker(connect)).unwrap();
    }

    pub fn epoch(&self, id: WorkerId) -> SessionEpoch {
        self.state.worker(id).unwrap().last_epoch
    }

    pub fn link(&mut self, worker: WorkerId, link: Link) {
        let command = SetLink {
            worker,
            epoch: self.epoch(worker),
            link,
            reason: "test".to_owned(),
        };
        self.apply(Command::SetLink(command)).unwrap();
    }

    pub fn overload(&mut self, worker: WorkerId) {
        let issues = vec![HealthIssue {
            resource: Resource::Cpu,
            percent: 99,
        }];
        let command = SetHealth {
            worker,
            epoch: self.epoch(worker),
            issues,
        };
        self.apply(Command::SetHealth(command)).unwrap();
    }

    pub fn drain(&mut self, worker: WorkerId, order: DrainOrder) {
        self.apply(Command::SetDrain(SetDrain {
            worker,
            drain: Some(order),
        }))
        .unwrap();
    }

    /// A run in PENDING.
    pub fn submit(&mut self, definition: TestDefinition) -> RunId {
        self.submit_in(ProjectName::DEFAULT, definition)
    }

    /// A run of a project, in PENDING.
    pub fn submit_in(&mut self, project: &str, definition: TestDefinition) -> RunId {
        let name = ProjectName::from(project);
        if !name.is_default() && self.state.project(&name).is_none() {
            let put = PutProject {
                project: name,
                mode: PutMode::Create { credits: None },
                plan: PlanChange::default(),
            };
            self.apply(Command::PutProject(put)).unwrap();
        }
        let test = TestId::from_bytes(bytes(self.number()));
        let name = format!("t{}", self.number());
        let definition = Arc::new(TestDefinition { name, ..definition });
        let apply = ApplyTest {
            id: test,
            definition,
            mode: ApplyMode::CreateOnly,
            project: ProjectName::from(project),
        };
        self.apply(Command::ApplyTest(apply)).unwrap();
        let run = RunId::from_bytes(bytes(self.number()));
        self.apply(Command::StartRun(StartRun { run, test })).unwrap();
        run
    }

    pub fn run(&self, run: RunId) -> Arc<Run> {
        Arc::clone(self.state.run(run).unwrap())
    }

    pub fn status(&self, run: RunId) -> RunStatus {
        self.run(run).life.status()
    }

    pub fn reason(&self, run: RunId) -> (RunReasonCode, String) {
        let run = self.run(run);
        let reason = run.life.reason().expect("a reason");
        (reason.code, reason.message.clone())
    }

    pub fn suggestion(&self, run: RunId) -> String {
        self.run(run)
            .explanation
            .as_ref()
            .expect("an explanation")
            .suggestion
            .clone()
    }

    pub fn plan(&self, run: RunId) -> RunPlan {
        runs::plan(
            &self.state,
            &self.run(run),
            self.now,
            self.leader_since,
            &self.config,
        )
    }

    /// Plans the run once and applies what was planned.
    pub fn step(&mut self, run: RunId) -> RunPlan {
        let plan = self.plan(run);
        self.execute(&plan.commands);
        plan
    }

    pub fn execute(&mut self, commands: &[Planned]) {
        for planned in commands {
            self.apply(planned.command.clone()).unwrap();
        }
    }

    pub fn assignments(&self, run: RunId) -> Vec<Arc<Assignment>> {
        self.state.assignments(run).cloned().collect()
    }

    pub fn current(&self, run: RunId) -> Vec<Arc<Assignment>> {
        let all = self.assignments(run);
        all.into_iter()
            .filter(|assignment| assignment.life.status().is_current())
            .collect()
    }

    /// The worker's next report on an assignment.
    pub fn report(&mut self, assignment: &Assignment, event: ReportEvent) {
        let seq = self.state.assignment(assignment.key).unwrap().acked_seq + 1;
        let (worker, run, epoch) = (assignment.worker, assignment.key.run, assignment.epoch);
        self.apply(Command::Report(Report {
            worker,
            run,
            epoch,
            seq,
            event,
        }))
        .unwrap();
    }

    /// Every worker that was offered something confirms.
    pub fn confirm_all(&mut self, run: RunId) {
        for assignment in self.current(run) {
            if assignment.life.status() == AssignmentStatus::Offered {
                self.report(&assignment, ReportEvent::Ready);
            }
        }
    }

    /// All endpoints of an assignment close.
    pub fn finish(&mut self, assignment: &Assignment, outcome: EndpointOutcome) {
        let closed = |offset| EndpointReport {
            offset,
            phase: EndpointPhase::Closed,
            outcome: Some(outcome),
        };
        let reports = (0..assignment.count).map(closed).collect();
        self.report(assignment, ReportEvent::Progress(reports));
    }

    /// A run in RUNNING.
    pub fn running(&mut self, definition: TestDefinition) -> RunId {
        let run = self.submit(definition);
        self.step(run);
        self.step(run);
        self.confirm_all(run);
        self.step(run);
        assert_eq!(self.status(run), RunStatus::Running);
        run
    }

    /// A run in QUEUED with offers.
    pub fn offered(&mut self, definition: TestDefinition) -> RunId {
        let run = self.submit(definition);
        self.step(run);
        self.step(run);
        assert!(!self.current(run).is_empty());
        run
    }
}

pub fn hash_of(worker: WorkerId) -> TokenHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(worker.as_bytes());
    TokenHash(hash)
}
