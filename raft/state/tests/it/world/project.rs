//! Words for projects.

use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;

use super::*;

/// A new project without limits, whose credits are not counted.
pub fn create_project(name: &str) -> PutProject {
    PutProject {
        project: ProjectName::from(name),
        mode: PutMode::Create { credits: None },
        plan: PlanChange::default(),
    }
}

pub fn update_project(name: &str, plan: PlanChange) -> Command {
    Command::PutProject(PutProject {
        project: ProjectName::from(name),
        mode: PutMode::Update,
        plan,
    })
}

pub fn delete_project(name: &str) -> Command {
    Command::DeleteProject(DeleteProject {
        project: ProjectName::from(name),
    })
}

pub fn adjust(name: &str, change: CreditChange) -> Command {
    Command::AdjustCredits(AdjustCredits {
        project: ProjectName::from(name),
        change,
        reason: "monthly".to_owned(),
    })
}

/// A new test of a project, with one group of `endpoints`.
pub fn test_of(n: u8, project: &str, name: &str, endpoints: u32) -> Command {
    Command::ApplyTest(ApplyTest {
        id: test_id(n),
        definition: Arc::new(definition(name, endpoints)),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::from(project),
    })
}

impl World {
    /// A worker with room for everything, project red, and test 1 of it with so many endpoints.
    pub fn with_project(plan: PlanChange, credits: Option<u64>, endpoints: u32) -> Self {
        let mut world = Self::with_workers(1, 1_000_000);
        world.ok(Command::PutProject(PutProject {
            mode: PutMode::Create { credits },
            plan,
            ..create_project("red")
        }));
        world.ok(test_of(1, "red", "smoke", endpoints));
        world
    }

    pub fn project(&self, name: &str) -> Arc<Project> {
        let found = self.state.project(&ProjectName::from(name));
        Arc::clone(found.expect("the project exists"))
    }

    pub fn credits(&self, name: &str) -> u64 {
        self.project(name).credits.expect("credits are counted")
    }

    pub fn usage(&self, name: &str) -> Usage {
        self.state.usage(&ProjectName::from(name))
    }

    /// Asks for the next step of a PENDING run.
    pub fn queue(&self, run: u8) -> Command {
        Command::QueueRun(QueueRun {
            run: run_id(run),
            revision: self.run(run).revision,
        })
    }

    /// Starts a run of a test and queues it.
    pub fn start_and_queue(&mut self, run: u8, test: u8) -> Result<Reply, Refusal> {
        self.start_run(run, test);
        self.when(self.queue(run))
    }

    /// Brings a QUEUED run with all endpoints on worker 1 to RUNNING; the time at which its calls start.
    pub fn run_on_worker_1(&mut self, run: u8) -> u64 {
        let endpoints = self.run(run).definition.endpoints();
        self.ok(self.place(run, Vec::new(), vec![Self::placement(1, 0, 0, endpoints)]));
        self.ready(run, 0);
        self.ok(self.begin(run));
        self.run(run).start_at.expect("it began").0
    }
}
