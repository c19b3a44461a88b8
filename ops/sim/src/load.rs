//! What clients ask for.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use reeve_state::State;
use reeve_state::command::{
    ApplyMode, ApplyTest, Command, CreateWorker, DeleteTest, DrainOrder, Envelope, RegenerateToken,
    RequestTag, SetDrain, StartRun, StopRun,
};
use reeve_state::id::{ProjectName, RunId, TestId, WorkerId};
use reeve_state::record::{
    Executor, Group, OnWorkerLoss, RequestKey, Selector, SimExecutor, TestDefinition, WorkerKind,
};
use reeve_state::time::Millis;
use reeve_state::transition::worker::{AfterDrain, DrainActor, LivenessProfile};

use crate::worker::{Post, token, token_hash};

/// Draws commands.
#[derive(Default)]
pub(crate) struct Clients {
    asked: u64,
    pub(crate) tokens: u64,
}

fn id(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = kind;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Id of a worker.
pub(crate) fn worker_id(number: u64) -> WorkerId {
    WorkerId::from_bytes(id(3, number))
}

/// Registers a worker.
pub(crate) fn create_worker(post: &Post) -> Envelope {
    Envelope::internal(Command::CreateWorker(CreateWorker {
        id: post.id,
        name: post.host(),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu".to_owned(),
        labels: Default::default(),
        capacity: None,
        token_hash: token_hash(&token(post.number, 0)),
        token_ttl: None,
    }))
}

impl Clients {
    /// The next command, and its number.
    pub(crate) fn next(&mut self, random: &mut StdRng, state: &State, posts: &[Post]) -> (u64, Envelope) {
        self.asked += 1;
        let command = self.command(random, state, posts);
        let mut envelope = Envelope::internal(command);
        if random.random_bool(0.6) {
            envelope.request = Some(RequestTag {
                key: RequestKey {
                    caller: "client".into(),
                    request_id: format!("request-{}", self.asked).into(),
                },
                hash: [0; 32],
            });
        }
        (self.asked, envelope)
    }

    /// A number for a command of the simulation's own.
    pub(crate) fn number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    fn command(&mut self, random: &mut StdRng, state: &State, posts: &[Post]) -> Command {
        let test = pick(random, state.tests().map(|test| test.id));
        let post = &posts[random.random_range(0..posts.len())];
        match (random.random_range(0..100), test) {
            (0..50, Some(test)) => Command::StartRun(StartRun {
                run: RunId::from_bytes(id(2, self.asked)),
                test,
            }),
            (50..60, _) => match pick(random, state.live_runs().map(|run| run.id)) {
                Some(run) => Command::StopRun(StopRun {
                    run,
                    grace: Millis(1_500),
                }),
                None => self.apply_test(random),
            },
            (60..75, _) => drain(random, post),
            (75..80, _) => {
                self.tokens += 1;
                Command::RegenerateToken(RegenerateToken {
                    worker: post.id,
                    token_hash: token_hash(&token(post.number, self.tokens)),
                    token_ttl: None,
                })
            }
            (80..83, Some(test)) => Command::DeleteTest(DeleteTest { test }),
            _ => self.apply_test(random),
        }
    }

    fn apply_test(&self, random: &mut StdRng) -> Command {
        let setup_min = Millis(random.random_range(10..200));
        let group = |name: &str, random: &mut StdRng| Group {
            name: name.to_owned(),
            endpoints: random.random_range(1..=40),
            selector: Selector::default(),
            callee: None,
            executor: Executor::Sim(SimExecutor {
                setup_min,
                setup_max: Millis(setup_min.0 + random.random_range(0..300)),
                outcomes: Vec::new(),
                quality: None,
            }),
        };
        let mut groups = vec![group("callers", random)];
        if random.random_bool(0.3) {
            groups.push(group("others", random));
        }
        let definition = TestDefinition {
            name: format!("test-{}", self.asked),
            duration: Millis(random.random_range(200..3_000)),
            buildup: Millis(random.random_range(0..500)),
            queue_timeout: Millis(random.random_range(500..6_000)),
            max_execution: Millis(random.random_range(4_000..15_000)),
            on_worker_loss: if random.random_bool(0.5) {
                OnWorkerLoss::Continue
            } else {
                OnWorkerLoss::Fail
            },
            groups,
        };
        Command::ApplyTest(ApplyTest {
            id: TestId::from_bytes(id(1, self.asked)),
            definition: Arc::new(definition),
            mode: ApplyMode::CreateOnly,
            project: ProjectName::default(),
        })
    }
}

fn drain(random: &mut StdRng, post: &Post) -> Command {
    let order = DrainOrder {
        actor: DrainActor::Admin("client".to_owned()),
        reason: "maintenance".to_owned(),
        timeout: Millis(random.random_range(500..5_000)),
        then: if random.random_bool(0.5) {
            AfterDrain::Disconnect
        } else {
            AfterDrain::Resume
        },
    };
    Command::SetDrain(SetDrain {
        worker: post.id,
        drain: random.random_bool(0.5).then_some(order),
    })
}

fn pick<T>(random: &mut StdRng, items: impl Iterator<Item = T>) -> Option<T> {
    let mut items: Vec<T> = items.collect();
    if items.is_empty() {
        return None;
    }
    let chosen = random.random_range(0..items.len());
    Some(items.swap_remove(chosen))
}
