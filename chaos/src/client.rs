//! A client under faults: it writes through whichever node comes to hand. What is its own it repeats under the same request id until it
//! knows how a request ended; what all clients share it writes once or twice, and lets be.

pub mod calls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_proto::bearer::Connection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use crate::definition::definition;
use crate::history::op::{F, Input};
use crate::history::recorder::Recorder;
use crate::history::{Attempt, Call, History, Outcome, Read};
use calls::Answer;

/// Between two attempts of a request.
const BEFORE_REPEAT: Duration = Duration::from_millis(50);
/// A request that has no known outcome so long after the faults ended stays unknown.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Between two requests, milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 5..40;
/// Endpoints of a test: from the value, so that a repeated request is the same request.
const FEWEST: u32 = 10;
const SPREAD: u64 = 30;
/// Until a drain is taken back, milliseconds.
const DRAINED_MS: std::ops::Range<u64> = 100..600;
/// How often a shared request is sent at most.
const SHARED_ATTEMPTS: usize = 2;
/// How many tests, and workers that nobody starts, all clients share.
const SHARED: u32 = 6;
/// Runs that are still looked at and stopped: the newest.
const RECENT: usize = 12;

/// What a client does next, in shares of a hundred.
const NEXT: [(u32, Do); 13] = [
    (36, Do::Apply),
    (14, Do::Start),
    (10, Do::Read),
    (4, Do::Repeat),
    (6, Do::WriteShared),
    (2, Do::DeleteShared),
    (8, Do::ReadShared),
    (3, Do::Stop),
    (7, Do::ReadRun),
    (3, Do::List),
    (3, Do::Token),
    (3, Do::ReadWorker),
    (1, Do::Drain),
];

#[derive(Clone, Copy)]
enum Do {
    Apply,
    Start,
    Read,
    Repeat,
    WriteShared,
    DeleteShared,
    ReadShared,
    Stop,
    ReadRun,
    List,
    Token,
    ReadWorker,
    Drain,
}

/// What all clients know.
#[derive(Clone)]
pub struct Common {
    /// Runs that were started, oldest first.
    runs: Arc<Mutex<Vec<String>>>,
    /// The workers that run, by name.
    workers: Vec<String>,
}

impl Common {
    /// No run was started yet.
    pub fn new(workers: Vec<String>) -> Self {
        Self {
            runs: Arc::default(),
            workers,
        }
    }
}

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
    /// Starts that were acknowledged.
    started: Vec<String>,
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
}

impl Client {
    /// A client that works until `stop` says true.
    pub fn new(setup: Setup, stop: watch::Receiver<bool>) -> Self {
        let number = setup.number;
        Self {
            number,
            test: format!("chaos-{number}"),
            rng: StdRng::seed_from_u64(setup.seed.wrapping_add(1 + number as u64)),
            nodes: setup.nodes,
            history: setup.history,
            recorder: setup.recorder,
            common: setup.common,
            clients: setup.clients as u64,
            sequence: 0,
            acknowledged_version: 0,
            started: Vec::new(),
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
            let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
            sleep(pause).await;
        }
        self.recorder.finish()
    }

    fn draw(&mut self) -> Do {
        let mut roll = self.rng.random_range(0..100);
        for (share, what) in NEXT {
            if roll < share {
                return what;
            }
            roll -= share;
        }
        Do::Apply
    }

    async fn act(&mut self, what: Do) {
        let shared = self.rng.random_range(0..SHARED);
        let test = format!("shared-{shared}");
        let idle = format!("idle-{shared}");
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
        let at = self.rng.random_range(0..=self.common.workers.len());
        self.common.workers.get(at).cloned()
    }

    fn recent_run(&mut self) -> Option<String> {
        let runs = self.common.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = &runs[runs.len().saturating_sub(RECENT)..];
        if recent.is_empty() {
            return None;
        }
        Some(recent[self.rng.random_range(0..recent.len())].clone())
    }

    async fn apply(&mut self) {
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
        let call = Call::StartRun {
            name: self.test.clone(),
        };
        let id = self.next_id();
        if let Some(Outcome::RunStarted { run }) = self.until_known(&id, &call, 0).await {
            self.started.push(id);
            let mut runs = self.common.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.push(run);
        }
    }

    /// An old request once more: it must give the same run, and no new one.
    async fn repeat(&mut self) {
        if self.started.is_empty() {
            return;
        }
        let id = self.started[self.rng.random_range(0..self.started.len())].clone();
        let call = Call::StartRun {
            name: self.test.clone(),
        };
        self.until_known(&id, &call, 0).await;
    }

    /// A linearizable read of what this client wrote. One that fails says nothing.
    async fn read(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
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
        let node = self.rng.random_range(0..self.nodes.len());
        // What it saw, or did not, is written down.
        let _ = self.attempt(node, f, name, "", 0).await;
    }

    /// A write of what all clients share: sent again only if its end is not known, and not for long.
    async fn shared(&mut self, f: F, name: &str) {
        let id = self.next_id();
        let value = self.value();
        for _ in 0..SHARED_ATTEMPTS {
            let node = self.rng.random_range(0..self.nodes.len());
            match self.attempt(node, f, name, &id, value).await {
                Ok(_) => return,
                Err(status) if !matches!(classify(&status), Outcome::Unknown { .. }) => return,
                Err(_) => sleep(BEFORE_REPEAT).await,
            }
        }
    }

    fn next_id(&mut self) -> String {
        self.sequence += 1;
        format!("{}-{}", self.test, self.sequence)
    }

    /// A value that no other call writes.
    fn value(&self) -> u64 {
        self.sequence * self.clients + self.number as u64
    }

    /// One call, written down with its answer.
    async fn attempt(
        &mut self,
        node: usize,
        f: F,
        name: &str,
        id: &str,
        value: u64,
    ) -> Result<Answer, Status> {
        let kind = match f {
            F::CreateTest | F::ApplyTest | F::DeleteTest | F::GetTest => "test",
            F::StartRun => "request",
            F::StopRun | F::GetRun => "run",
            F::CreateWorker
            | F::DrainWorker
            | F::UndrainWorker
            | F::RegenerateToken
            | F::UseToken
            | F::GetWorker => "worker",
            F::List => "list",
        };
        let object = if f == F::StartRun { id } else { name };
        let writes = matches!(f, F::CreateTest | F::ApplyTest | F::DrainWorker);
        let input = Input {
            request: id.to_owned(),
            value: writes.then_some(value),
            token: None,
        };
        let called = self.recorder.call(f, format!("{kind}/{object}"), input, node);
        let to = self.nodes[node].clone();
        let endpoints = FEWEST + u32::try_from(value % SPREAD).unwrap_or(0);
        let answer = match f {
            F::CreateTest => calls::create_test(to, id, definition(name, endpoints, value)).await,
            F::ApplyTest => calls::apply_test(to, id, definition(name, endpoints, value)).await,
            F::DeleteTest => calls::delete_test(to, id, name).await,
            F::GetTest => calls::get_test(to, name).await,
            F::StartRun => calls::start_run(to, id, name).await,
            F::StopRun => calls::stop_run(to, id, name).await,
            F::GetRun => calls::get_run(to, name).await,
            F::List => calls::list(to).await,
            F::CreateWorker => calls::create_worker(to, id, name).await,
            F::RegenerateToken => calls::regenerate_token(to, id, name).await,
            F::DrainWorker => calls::drain_worker(to, id, name, value).await,
            F::UndrainWorker => calls::undrain_worker(to, id, name).await,
            F::GetWorker => calls::get_worker(to, name).await,
            F::UseToken => Err(Status::unimplemented("tokens are used by workers")),
        };
        match &answer {
            Ok(answer) => self.recorder.ok(called, answer.out.clone(), answer.revision),
            Err(status) => self.recorder.error(called, status),
        }
        answer
    }

    /// Repeats a request under its id until its outcome is known; `None` if that does not happen.
    async fn until_known(&mut self, id: &str, call: &Call, value: u64) -> Option<Outcome> {
        let mut give_up: Option<Instant> = None;
        loop {
            let node = self.rng.random_range(0..self.nodes.len());
            let sent_us = self.history.now_us();
            let outcome = match call {
                Call::ApplyTest { name } => {
                    let answer = self.attempt(node, F::ApplyTest, name, id, value).await;
                    answer.map(|answer| Outcome::TestStored {
                        version: answer.out.version.unwrap_or(0),
                    })
                }
                Call::StartRun { name } => {
                    let answer = self.attempt(node, F::StartRun, name, id, value).await;
                    answer.map(|answer| Outcome::RunStarted {
                        run: answer.out.run.unwrap_or_default(),
                    })
                }
            };
            let outcome = outcome.unwrap_or_else(|status| classify(&status));
            self.history.attempt(Attempt {
                client: self.number,
                request_id: id.to_owned(),
                node,
                call: call.clone(),
                sent_us,
                answered_us: self.history.now_us(),
                outcome: outcome.clone(),
            });
            if !matches!(outcome, Outcome::Unknown { .. }) {
                return Some(outcome);
            }
            if *self.stop.borrow() {
                let limit = *give_up.get_or_insert_with(|| Instant::now() + GIVE_UP);
                if Instant::now() >= limit {
                    return None;
                }
            }
            sleep(BEFORE_REPEAT).await;
        }
    }
}

/// Only what a caller got wrong is known not to have happened. A broken connection shows itself in many codes.
fn classify(status: &Status) -> Outcome {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Outcome::Refused {
            reason: format!("{:?}: {}", status.code(), status.message()),
        },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => Outcome::Unknown {
            code: format!("{:?}", status.code()),
        },
    }
}
