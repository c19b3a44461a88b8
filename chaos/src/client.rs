//! A client under faults: it writes through whichever node comes to hand. What is its own it repeats under the same request id until it
//! knows how a request ended; what all clients share it writes once or twice, and lets be.

mod attempt;
pub mod calls;
mod common;
mod gateway;
mod mix;
mod tokens;
mod until;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_proto::bearer::Connection;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Code;

use crate::history::op::F;
use crate::history::recorder::Recorder;
use crate::history::{Call, History, Outcome, Read};
pub use common::Common;
use mix::Do;
pub use mix::Mix;
use until::classify;

/// Between two attempts of a request.
const BEFORE_REPEAT: Duration = Duration::from_millis(50);
/// Until a drain is taken back, milliseconds.
const DRAINED_MS: std::ops::Range<u64> = 100..600;
/// How often a shared request is sent at most.
const SHARED_ATTEMPTS: usize = 2;
/// How many tests, and workers that nobody starts, clients share.
const SHARED: u32 = 6;
/// Requests after which a client goes on to another test of its own, so that the calls on one can be judged.
const OWN: u64 = 1_000;

/// One client. It alone writes its test.
pub struct Client {
    number: usize,
    test: String,
    rng: StdRng,
    nodes: Vec<Connection>,
    history: Arc<History>,
    recorder: Recorder,
    common: Common,
    clients: u64,
    sequence: u64,
    acknowledged_version: u32,
    /// Starts that were acknowledged: the request and the test.
    started: Vec<(String, String)>,
    mix: Mix,
    stop: watch::Receiver<bool>,
}

/// What a client is made of.
pub struct Setup {
    /// Which of how many.
    pub number: usize,
    /// How many there are.
    pub clients: usize,
    /// What it does is drawn from this and its number.
    pub seed: u64,
    /// Every node.
    pub nodes: Vec<Connection>,
    /// Where attempts and reads go.
    pub history: Arc<History>,
    /// Where each of its calls goes.
    pub recorder: Recorder,
    /// What all clients know.
    pub common: Common,
    /// What is done.
    pub mix: Mix,
}

impl Client {
    /// A client that works until `stop` says true.
    pub fn new(setup: Setup, stop: watch::Receiver<bool>) -> Self {
        let number = setup.number;
        Self {
            number,
            test: format!("chaos-{number}-0"),
            rng: StdRng::seed_from_u64(setup.seed.wrapping_add(1 + number as u64)),
            nodes: setup.nodes,
            history: setup.history,
            recorder: setup.recorder,
            common: setup.common,
            clients: setup.clients as u64,
            sequence: 0,
            acknowledged_version: 0,
            started: Vec::new(),
            mix: setup.mix,
            stop,
        }
    }

    /// Works until told to stop; every request is finished first.
    ///
    /// # Errors
    /// Its history could not be written.
    pub async fn run(mut self) -> anyhow::Result<()> {
        self.apply().await;
        while !*self.stop.borrow() {
            let next = self.draw();
            self.act(next).await;
            let pause = Duration::from_millis(self.rng.random_range(self.mix.pause_ms.clone()));
            sleep(pause).await;
        }
        self.recorder.finish()
    }

    fn draw(&mut self) -> Do {
        let roll = self.rng.random_range(0..self.mix.sum());
        self.mix.at(roll)
    }

    async fn act(&mut self, what: Do) {
        let shared = self.rng.random_range(0..SHARED);
        let test = self.common.name("shared", self.number, shared);
        let idle = self.common.name("idle", self.number, shared);
        match what {
            Do::Apply => self.apply().await,
            Do::Start => self.start().await,
            Do::Read => self.read().await,
            Do::Repeat => self.repeat().await,
            Do::WriteShared if self.rng.random_range(0..3) == 0 => self.shared(F::CreateTest, &test).await,
            Do::WriteShared => self.shared(F::ApplyTest, &test).await,
            Do::DeleteShared => self.shared(F::DeleteTest, &test).await,
            Do::ReadShared => self.look(F::GetTest, &test).await,
            Do::Stop => {
                if let Some(run) = self.recent_run() {
                    self.shared(F::StopRun, &run).await;
                }
            }
            Do::ReadRun => {
                if let Some(run) = self.recent_run() {
                    self.look(F::GetRun, &run).await;
                }
            }
            Do::List => self.look(F::List, "runs").await,
            Do::Token if self.rng.random_range(0..3) == 0 => self.shared(F::CreateWorker, &idle).await,
            Do::Token => self.shared(F::RegenerateToken, &idle).await,
            Do::UseToken => self.use_a_token(&idle).await,
            Do::TokenRace => self.race(&idle).await,
            Do::ReadWorker => {
                let name = self.any_worker().unwrap_or(idle);
                self.look(F::GetWorker, &name).await;
            }
            Do::Drain => {
                if let Some(name) = self.any_worker() {
                    self.shared(F::DrainWorker, &name).await;
                    sleep(Duration::from_millis(self.rng.random_range(DRAINED_MS))).await;
                    self.shared(F::UndrainWorker, &name).await;
                }
            }
        }
    }

    /// A worker that runs; none: one that does not is as good.
    fn any_worker(&mut self) -> Option<String> {
        let workers = self.common.workers();
        let at = self.rng.random_range(0..=workers.len());
        workers.get(at).cloned()
    }

    fn recent_run(&mut self) -> Option<String> {
        let any = self.rng.random_range(0..usize::MAX);
        self.common.recent_run(any)
    }

    /// Some node.
    fn any_node(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.len())
    }

    async fn apply(&mut self) {
        let test = format!("chaos-{}-{}", self.number, self.sequence / OWN);
        if test != self.test {
            self.test = test;
            self.acknowledged_version = 0;
        }
        let call = Call::ApplyTest {
            name: self.test.clone(),
        };
        let id = self.next_id();
        let value = self.value();
        if let Some(Outcome::TestStored { version }) = self.until_known(&id, &call, value).await {
            self.acknowledged_version = version;
        }
    }

    async fn start(&mut self) {
        if !self.common.may_start(self.mix.most_runs) {
            return;
        }
        let name = self.test.clone();
        let id = self.next_id();
        let call = Call::StartRun { name: name.clone() };
        if let Some(Outcome::RunStarted { run }) = self.until_known(&id, &call, 0).await {
            self.started.push((id, name));
            self.common.started(run);
        }
    }

    /// An old request once more: it must give the same run, and no new one.
    async fn repeat(&mut self) {
        if self.started.is_empty() {
            return;
        }
        let (id, name) = self.started[self.rng.random_range(0..self.started.len())].clone();
        self.until_known(&id, &Call::StartRun { name }, 0).await;
    }

    /// A linearizable read of what this client wrote. One that fails says nothing.
    async fn read(&mut self) {
        let node = self.any_node();
        let acknowledged = self.acknowledged_version;
        let name = self.test.clone();
        let seen = match self.attempt(node, F::GetTest, &name, "", 0).await {
            Ok(answer) => answer.out.version.unwrap_or(0),
            Err(status) if status.code() == Code::NotFound => 0,
            Err(_) => return,
        };
        self.history.read(Read {
            client: self.number,
            node,
            name,
            answered_us: self.history.now_us(),
            acknowledged,
            seen,
        });
    }

    /// A read that only the history judges.
    async fn look(&mut self, f: F, name: &str) {
        let node = self.any_node();
        // What it saw, or did not, is written down.
        let _ = self.attempt(node, f, name, "", 0).await;
    }

    /// A write of what all clients share: sent again only if its end is not known, and not for long.
    async fn shared(&mut self, f: F, name: &str) {
        let id = self.next_id();
        let value = self.value();
        for _ in 0..SHARED_ATTEMPTS {
            let node = self.any_node();
            match self.attempt(node, f, name, &id, value).await {
                Ok(_) => return,
                Err(status) if !matches!(classify(&status), Outcome::Unknown { .. }) => return,
                Err(_) => sleep(BEFORE_REPEAT).await,
            }
        }
    }

    fn next_id(&mut self) -> String {
        self.sequence += 1;
        format!("chaos-{}-{}", self.number, self.sequence)
    }

    /// A value that no other call writes.
    fn value(&self) -> u64 {
        self.sequence * self.clients + self.number as u64
    }
}
