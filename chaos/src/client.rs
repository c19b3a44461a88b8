//! A client under faults: it writes through whichever node comes to hand, and repeats under the same request id until it
//! knows how a request ended.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::{ApplyTestRequest, Consistency, GetTestRequest, StartRunRequest, TestDefinition};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Status};

use crate::definition::definition;
use crate::history::{Attempt, Call, History, Outcome, Read};

/// Of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two attempts of a request.
const BEFORE_REPEAT: Duration = Duration::from_millis(50);
/// A request that has no known outcome so long after the faults ended stays unknown.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Between two requests, milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 5..40;
const ENDPOINTS: std::ops::Range<u32> = 10..40;

/// What a client does next, in per cent; the rest is repeating an old request.
const APPLY: u32 = 60;
const START: u32 = 20;
const READ: u32 = 15;

/// One client. It alone writes its test.
pub struct Client {
    number: usize,
    test: String,
    rng: StdRng,
    nodes: Vec<Connection>,
    history: Arc<History>,
    sequence: u64,
    acknowledged_version: u32,
    /// Starts that were acknowledged.
    started: Vec<String>,
    stop: watch::Receiver<bool>,
}

impl Client {
    /// A client that works until `stop` says true.
    pub fn new(
        number: usize,
        seed: u64,
        nodes: Vec<Connection>,
        history: Arc<History>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            number,
            test: format!("chaos-{number}"),
            rng: StdRng::seed_from_u64(seed.wrapping_add(1 + number as u64)),
            nodes,
            history,
            sequence: 0,
            acknowledged_version: 0,
            started: Vec::new(),
            stop,
        }
    }

    /// Works until told to stop; every request is finished first.
    pub async fn run(mut self) {
        self.apply().await;
        while !*self.stop.borrow() {
            match self.rng.random_range(0..100) {
                0..APPLY => self.apply().await,
                roll if roll < APPLY + START => self.start().await,
                roll if roll < APPLY + START + READ => self.read().await,
                _ => self.repeat().await,
            }
            let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
            sleep(pause).await;
        }
    }

    async fn apply(&mut self) {
        let wanted = definition(&self.test, self.rng.random_range(ENDPOINTS));
        let call = Call::ApplyTest {
            name: self.test.clone(),
        };
        let id = self.next_id();
        if let Some(Outcome::TestStored { version }) = self.until_known(&id, &call, Some(wanted)).await {
            self.acknowledged_version = version;
        }
    }

    async fn start(&mut self) {
        let call = Call::StartRun {
            name: self.test.clone(),
        };
        let id = self.next_id();
        if let Some(Outcome::RunStarted { .. }) = self.until_known(&id, &call, None).await {
            self.started.push(id);
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
        self.until_known(&id, &call, None).await;
    }

    /// A linearizable read of what this client wrote. One that fails says nothing.
    async fn read(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        let acknowledged = self.acknowledged_version;
        let mut request = Request::new(GetTestRequest {
            id: self.test.clone(),
            consistency: Consistency::Linearizable.into(),
            ..Default::default()
        });
        request.set_timeout(ATTEMPT_TIMEOUT);
        let seen = match TestsClient::new(self.nodes[node].clone()).get_test(request).await {
            Ok(answer) => answer.into_inner().test.map_or(0, |test| test.version),
            Err(status) if status.code() == Code::NotFound => 0,
            Err(_) => return,
        };
        self.history.read(Read {
            client: self.number,
            node,
            name: self.test.clone(),
            answered_us: self.history.now_us(),
            acknowledged,
            seen,
        });
    }

    fn next_id(&mut self) -> String {
        self.sequence += 1;
        format!("{}-{}", self.test, self.sequence)
    }

    /// Repeats a request under its id until its outcome is known; `None` if that does not happen.
    async fn until_known(
        &mut self,
        id: &str,
        call: &Call,
        wanted: Option<TestDefinition>,
    ) -> Option<Outcome> {
        let mut give_up: Option<Instant> = None;
        loop {
            let node = self.rng.random_range(0..self.nodes.len());
            let sent_us = self.history.now_us();
            let outcome = attempt(self.nodes[node].clone(), id, call, wanted.clone()).await;
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

async fn attempt(node: Connection, id: &str, call: &Call, wanted: Option<TestDefinition>) -> Outcome {
    let answer = match call {
        Call::ApplyTest { .. } => apply_test(node, id, wanted).await,
        Call::StartRun { name } => start_run(node, id, name).await,
    };
    answer.unwrap_or_else(|status| classify(&status))
}

async fn apply_test(node: Connection, id: &str, wanted: Option<TestDefinition>) -> Result<Outcome, Status> {
    let mut request = Request::new(ApplyTestRequest {
        definition: wanted,
        request_id: id.to_owned(),
        ..Default::default()
    });
    request.set_timeout(ATTEMPT_TIMEOUT);
    let answer = TestsClient::new(node).apply_test(request).await?.into_inner();
    let version = answer.test.map_or(0, |test| test.version);
    Ok(Outcome::TestStored { version })
}

async fn start_run(node: Connection, id: &str, name: &str) -> Result<Outcome, Status> {
    let mut request = Request::new(StartRunRequest {
        test: name.to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    });
    request.set_timeout(ATTEMPT_TIMEOUT);
    let answer = RunsClient::new(node).start_run(request).await?.into_inner();
    let run = answer.run.map_or_else(String::new, |run| run.id);
    Ok(Outcome::RunStarted { run })
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
